"""The limit of open files: a watch is a socket, and one that gets none would wait in silence."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

# A thousand namespaces with two kinds each want more than the usual soft limit of 1024.
FILE_DESCRIPTORS: Final = 65_536


def raise_descriptor_limit() -> None:
    """Raise the soft limit of this process, as far as the hard one and FILE_DESCRIPTORS allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILE_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, FILE_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
