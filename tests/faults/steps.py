"""A loop that knows how much work one of its turns took, of this thread alone."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class _Meter(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self._began = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest = max(self.longest, time.thread_time() - self._began)
        ready = super().select(timeout)
        self._began = time.thread_time()
        return ready


class MeteredLoop(asyncio.SelectorEventLoop):
    """The loop. A turn is all that is ready at once: no step of any task in it is longer."""

    def __init__(self) -> None:
        self.meter = _Meter()
        super().__init__(self.meter)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=MeteredLoop) as runner:
        return runner.run(main)


def longest(*, reset: bool = False) -> float:
    """Return the longest turn so far, in seconds; begin anew where told to."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MeteredLoop)
    found = loop.meter.longest
    if reset:
        loop.meter.longest = 0.0
    return found


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20
