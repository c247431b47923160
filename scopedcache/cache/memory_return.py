"""Memory that closed informers leave free goes back to the system.

What an informer held, and the buffers and TLS state of its connection, are freed when it closes; but the allocator
keeps the pages, because something small and alive lies in between. Where many have closed, it is asked to give them
back, in a thread, for that takes milliseconds in a large heap. Only glibc can be asked; elsewhere nothing happens.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from functools import cache
from typing import Final

# So many informers must have closed since the last time: a few leave nothing worth the while.
CLOSED_INFORMERS: Final = 20
# None has closed for so long: their connections are closed by then, and what they held is buried.
SETTLED_SECONDS: Final = 5.0


class MemoryReturn:
    """Counts informers that closed. `trim` gives back what is free; it is called in a thread."""

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim or give_back
        self._closed = 0

    def closed(self) -> None:
        """An informer has closed."""
        self._closed += 1
        if self._closed == CLOSED_INFORMERS:
            self._wait()

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._begin, self._closed)

    def _begin(self, closed: int) -> None:
        if self._closed > closed:  # rights go place by place, as they are reviewed
            self._wait()
            return
        self._closed = 0
        asyncio.get_running_loop().run_in_executor(None, self._trim)


def give_back() -> None:
    """Give free memory back to the system, where the C library can."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows has no library without a name
        return None
    return found
