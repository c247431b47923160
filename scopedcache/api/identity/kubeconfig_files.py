"""Kubeconfig files, read; what stands in them is `documents.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...errors import ConfigurationError
from .documents import Document, parse
from .system_errors import words_of_system


def read_documents(paths: Iterable[str]) -> tuple[Document, ...]:
    """Read kubeconfig files in their order; those that do not exist are left out. Blocks.

    Raises:
        ConfigurationError: a file cannot be read, or is not a kubeconfig; names it, and quotes nothing of it.
    """
    found = []
    for path in dict.fromkeys(filter(None, paths)):
        file = Path(path).expanduser()
        try:
            content = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"kubeconfig {path} cannot be read: {words_of_system(error)}") from None
        try:
            found.append(parse(str(file), content))
        except ConfigurationError as error:
            raise ConfigurationError(f"kubeconfig {path} cannot be used: {error}") from None
    return tuple(found)
