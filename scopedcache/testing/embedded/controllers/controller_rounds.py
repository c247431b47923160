"""When the controllers of a cluster have their turn: after each change, and when one of them is due.

Whoever calls holds the lock of the cluster; the alarms of the loops come back through `run_due`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from ....errors import ScopedCacheError
from ..clock import Clock
from ..loop_timer import LoopTimer
from ..storage.storage import Event
from .controller import Controller

# A controller that writes for ever is a mistake; nothing real takes so many rounds.
ROUNDS_LIMIT: Final = 10_000


class ControllerRounds:
    """Runs controllers in rounds until nothing changes any more, on the time of every loop that is used."""

    def __init__(self, clock: Clock, run_due: Callable[[], None], controllers: Iterable[Controller]) -> None:
        self.controllers = list(controllers)
        self.pending = False
        self._clock = clock
        self._run_due = run_due
        self._due: float | None = None
        self._alarms: dict[asyncio.AbstractEventLoop, LoopTimer] = {}

    @property
    def due(self) -> bool:
        """Tell whether something is due."""
        return self._due is not None and self._due <= self._clock.now()

    def observe(self, event: Event) -> None:
        """Let every controller take note of a change."""
        self.pending = True
        for controller in self.controllers:
            controller.observe(event)

    def run(self) -> float | None:
        """Run until nothing is left to do now; return when there is again, None: not by itself."""
        for _ in range(ROUNDS_LIMIT):
            self.pending = False
            now = self._clock.now()
            self._due = min((due for c in self.controllers if (due := c.step(now)) is not None), default=None)
            if not self.pending:
                break
        else:
            raise ScopedCacheError(f"the controllers write for ever: {self.controllers}")
        for alarm in self._alarms.values():
            alarm.set(self._due)
        return self._due

    def advance(self, seconds: float) -> None:
        """Let time pass at once: everything due within it happens at its time."""
        end = self._clock.now() + seconds
        self.run()
        while self._due is not None and self._due <= end:
            self._clock.advance(max(0.0, self._due - self._clock.now()))
            self.run()
        self._clock.advance(max(0.0, end - self._clock.now()))

    def go_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go by the time of this loop, and run what is due on it."""
        self._alarms = {known: alarm for known, alarm in self._alarms.items() if not known.is_closed()}
        self._clock.follow(loop.time)
        alarm = self._alarms[loop] = LoopTimer(loop, self._clock.now, self._run_due)
        alarm.set(self._due)

    def knows(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether this loop is gone by."""
        return loop in self._alarms

    def close(self) -> None:
        """Run nothing more by itself."""
        for alarm in self._alarms.values():
            alarm.close()
        self._alarms = {}
