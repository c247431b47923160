"""A timer on a loop, that is set again and again, from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LoopTimer:
    """Calls `ring` on its loop when the time has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], ring: Callable[[], None]) -> None:
        self._loop = loop
        self._now = now
        self._ring = ring
        self._due: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due: float | None) -> None:
        """Ring at `due`, and at no other time; None: not at all."""
        if due == self._due or self._loop.is_closed():
            return
        self._due = due
        if running_here(self._loop):
            self._arm()
        else:
            self._loop.call_soon_threadsafe(self._arm)

    def close(self) -> None:
        """Ring no more."""
        self.set(None)

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._due is not None:
            self._handle = self._loop.call_later(max(0.0, self._due - self._now()), self._rung)

    def _rung(self) -> None:
        self._due = self._handle = None
        self._ring()


def running_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether this is the loop that runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
