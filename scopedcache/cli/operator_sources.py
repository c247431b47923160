"""Finds an operator's modules by the name of one: imports them, but never their `__main__`, which would run it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from .exit_status import CommandError
from .source_declarations import Source, module_names

MAIN = "__main__"


def load_sources(module: str) -> list[Source]:
    """Return the sources of a module, or of a package and all in it.

    Raises:
        CommandError: it does not import.
    """
    root = _imported(module)
    sources = [_source(root)]
    for found in pkgutil.walk_packages(getattr(root, "__path__", []), f"{module}."):
        if found.name.rpartition(".")[2] != MAIN:
            sources.append(_source(_imported(found.name)))
    sources += _main_of(root)
    return sources


def load_manifests(module: str) -> list[dict[str, Any]]:
    """Return the manifests of an operator: those in its folder, and in `config` beside that.

    Files that are no YAML are left alone.

    Raises:
        CommandError: the module does not import.
    """
    root = _imported(module)
    folder = Path(root.__file__ or "").parent
    inside = folder.rglob("*.y*ml") if hasattr(root, "__path__") else folder.glob("*.y*ml")
    files = sorted({*inside, *(folder.parent / "config").rglob("*.y*ml")})
    return [document for file in files for document in _documents(file)]


def read_manifests(path: str) -> list[dict[str, Any]]:
    """Return the manifests of a file, or of all files of a folder.

    Raises:
        CommandError: it is not there, or no YAML.
    """
    place = Path(path)
    if not place.exists():
        raise CommandError(f"{path} is not there")
    try:
        files = sorted(place.rglob("*.y*ml")) if place.is_dir() else [place]
        return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{path} is not YAML: {error}") from None


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    # A Kustomization has a kind and is no object: it has no metadata.
    yield from (
        document for document in documents if isinstance(document, dict) and {"kind", "metadata"} <= {*document}
    )


def _imported(name: str) -> ModuleType:
    # As for `python -m`, which console scripts do not do.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if frame.filename.startswith("<frozen") else f" ({frame.filename}:{frame.lineno})"
        raise CommandError(f"{name} does not import: {type(error).__name__}: {error}{place}") from None


def _source(module: ModuleType) -> Source:
    file = module.__file__
    if file is None or not file.endswith(".py"):
        raise CommandError(f"the source of {module.__name__} is not there to be read")
    return Source(_shown(Path(file)), Path(file).read_text(), vars(module))


def _main_of(root: ModuleType) -> list[Source]:
    file = Path(root.__file__ or "").parent / f"{MAIN}.py"
    if not hasattr(root, "__path__") or not file.exists():
        return []
    text = file.read_text()
    imported: dict[str, Any] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= _names_of_import(node, root.__name__)
    return [Source(_shown(file), text, module_names(text, imported))]


def _names_of_import(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    if isinstance(node, ast.Import):
        for alias in node.names:
            names[alias.asname or alias.name.partition(".")[0]] = _imported(
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
        return names
    module = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
    if module and module != "__future__":
        for alias in node.names:
            found = _imported(module)
            if hasattr(found, alias.name):
                names[alias.asname or alias.name] = getattr(found, alias.name)
    return names


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
