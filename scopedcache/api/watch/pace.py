"""How long one piece of work may hold the loop before it gives it back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Final, TypeVar

# The loop is given back after this many seconds of work.
SLICE_SECONDS: Final = 0.001

T = TypeVar("T")


class Pace:
    """Gives the loop back when a slice of time is used up."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a slice: the loop has had its turn."""
        self._until = time.perf_counter() + SLICE_SECONDS

    @property
    def is_over(self) -> bool:
        """Tell whether the slice is used up."""
        return time.perf_counter() >= self._until

    async def checkpoint(self) -> None:
        """Let others run if we have run for long enough."""
        if self.is_over:
            await asyncio.sleep(0)
            self.begin()


async def take_steps(steps: Generator[None, None, T]) -> T:
    """Take steps to their end and return what they end with; the loop gets its turn in between."""
    pace = Pace()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: T = end.value
            return answer
        await pace.checkpoint()
