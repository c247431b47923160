"""How long one piece of work may hold the loop before it gives it back."""

from __future__ import annotations

import asyncio
import time
from typing import Final

# The loop is given back after this many seconds of work.
SLICE_SECONDS: Final = 0.001


class Pace:
    """Gives the loop back when a slice of time is used up."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_SECONDS

    async def checkpoint(self) -> None:
        """Let others run if we have run for long enough."""
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE_SECONDS
