"""The time of a cluster: that of the loop its clients run on, counted on from the day it was started.

A server has two clocks. Whatever waits (watches, controllers, faults) goes by one that never jumps, and what it stamps
and what expires goes by the one on the wall. Both travel in one number, so that nobody has to hand on two.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Moment(float):
    """A time on the clock that never jumps, to be compared and counted with; `wall` is what the other one says then."""

    __slots__ = ("wall",)
    wall: float

    def __new__(cls, steady: float, wall: float) -> Moment:
        moment = super().__new__(cls, steady)
        moment.wall = wall
        return moment


def wall(now: float) -> float:
    """Return what the wall clock says at a moment; of a plain number, that number."""
    return now.wall if isinstance(now, Moment) else now


class Clock:
    """Seconds since 1970, that never jump back: following another timer begins where the last one stood.

    Within one step of the cluster (a request, a round of controllers) one Moment is handed on, as a `float`. Whoever
    counts with it loses `wall`: `now + 5` is a plain number, good to compare with, and wrong to stamp or to expire by
    as soon as the clock on the wall has jumped. Count after `wall(now)` for that, or leave it to `timestamp(now, 5)`.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic, start: float | None = None) -> None:
        self._timer = timer
        self._offset = (time.time() if start is None else start) - timer()
        self._ahead = 0.0

    def now(self) -> Moment:
        """Return the time."""
        steady = self._timer() + self._offset
        return Moment(steady, steady + self._ahead)

    def follow(self, timer: Callable[[], float]) -> None:
        """Go by this timer from now on: a loop with virtual time makes ten seconds cost nothing."""
        now = self.now()
        self._timer = timer
        # Every ordinary loop reads the monotonic clock: no new offset for it, or rounding would creep in.
        if abs(timer() + self._offset - now) > 1e-3:
            self._offset = now - timer()

    def advance(self, seconds: float) -> None:
        """Let time pass for the cluster alone; what is due runs at the next request or `tick`."""
        self._offset += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, forward or back: timestamps and the end of tokens follow, and nothing that waits does."""
        self._ahead += seconds
