"""The time of a cluster: that of the loop its clients run on, counted on from the day it was started."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970, that never jump back: following another timer begins where the last one stood.

    Within one step of the cluster (a request, a round of controllers) the time is a plain number handed on.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic, start: float | None = None) -> None:
        self._timer = timer
        self._offset = (time.time() if start is None else start) - timer()

    def now(self) -> float:
        """Return the time."""
        return self._timer() + self._offset

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
