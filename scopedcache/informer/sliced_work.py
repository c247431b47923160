"""Work over everything that is held, which must not hold the loop: what a slice of time allows is done at once.

The rest goes on in the background, slice by slice. Small stores never come to that, so for them it is as if there were
no slices at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, Final

from ..api.watch.pace import Pace

logger = logging.getLogger("scopedcache.informer")

# Steps taken before the clock is looked at.
STEPS_PER_LOOK: Final = 32

StartTask = Callable[[str, Coroutine[Any, Any, None]], "asyncio.Task[Any]"]


class SlicedWork:
    """Takes the steps of what it is given; `close` ends all of it.

    Attributes:
        start_task: how the background work gets a task: by the loop, or by who is to wait for its end.
    """

    def __init__(self) -> None:
        self.start_task: StartTask = _start_in_loop
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, name: str, steps: Iterator[None]) -> None:
        """Take the steps of a slice now, and the others later, in order. Without a running loop, all of them now."""
        if self._take_slice(steps):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            for _ in steps:
                pass
            return
        try:
            task = self.start_task(name, self._take(steps))
        except RuntimeError:  # who would wait for it has ended: nobody needs the rest of it any more
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Take no further step."""
        for task in self._tasks:
            task.cancel()

    def __len__(self) -> int:
        """Return how much work goes on in the background."""
        return len(self._tasks)

    async def _take(self, steps: Iterator[None]) -> None:
        await asyncio.sleep(0)
        while not self._take_slice(steps):
            await asyncio.sleep(0)

    @staticmethod
    def _take_slice(steps: Iterator[None]) -> bool:
        """Take steps until a slice of time is over; tell whether none is left."""
        pace = Pace()
        while sum(1 for _ in islice(steps, STEPS_PER_LOOK)) == STEPS_PER_LOOK:
            if pace.is_over:
                return False
        return True


def _start_in_loop(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(work, name=f"scopedcache/{name}")
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("task.failed", extra={"task": task.get_name()}, exc_info=error)
