"""A loop that knows how much work one of its turns took, of this thread alone.

A full collection of cycles may fall into any turn, whatever is done in it, and is counted apart.
"""

from __future__ import annotations

import asyncio
import gc
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
        self.longest_collection = 0.0
        self._began = time.thread_time()
        self._collecting = 0.0  # in this turn
        self._collection_began = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest = max(self.longest, time.thread_time() - self._began - self._collecting)
        ready = super().select(timeout)
        self._began, self._collecting = time.thread_time(), 0.0
        return ready

    def collected(self, phase: str, _: dict[str, int]) -> None:
        """A collection begins, or ends."""
        if phase == "start":
            self._collection_began = time.thread_time()
            return
        took = time.thread_time() - self._collection_began
        self._collecting += took
        self.longest_collection = max(self.longest_collection, took)


class MeteredLoop(asyncio.SelectorEventLoop):
    """The loop. A turn is all that is ready at once: no step of any task in it is longer."""

    def __init__(self) -> None:
        self.meter = _Meter()
        super().__init__(self.meter)
        gc.callbacks.append(self.meter.collected)

    def close(self) -> None:
        gc.callbacks.remove(self.meter.collected)
        super().close()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=MeteredLoop) as runner:
        return runner.run(main)


def longest(*, reset: bool = False) -> float:
    """Return the longest turn so far, in seconds; begin anew where told to."""
    meter = _meter()
    found = meter.longest
    if reset:
        meter.longest = meter.longest_collection = 0.0
    return found


def longest_collection() -> float:
    """Return the longest collection of cycles since then, in seconds."""
    return _meter().longest_collection


def _meter() -> _Meter:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MeteredLoop)
    return loop.meter


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20
