"""How long a doubt must last before it is a denial.

A "no" counts when another one follows that much later and nothing spoke for the permission in between. An API server
that has just restarted refuses everybody for a second, so the time is longer while one may have (semantics 1.3, 7).
"""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

from ..errors import ScopedCacheError, TransportError

# Between two answers of reviews that deny.
HOLD_OFF_SECONDS: Final = 1.0
# The same after trouble: a lost connection may mean a restart, a server that is not ready means one.
HOLD_OFF_AFTER_TROUBLE_SECONDS: Final = 3.0
# Trouble makes a "no" doubtful for this long.
TROUBLE_MATTERS_SECONDS: Final = 30.0
# Doubts in two places come "at once" when they are no further apart.
DOUBTS_TOGETHER_SECONDS: Final = 5.0


def is_lost_connection(error: ScopedCacheError | None) -> bool:
    """Tell whether an error is a lost connection. An answer that did not come in time says nothing of a restart."""
    return isinstance(error, TransportError) and not isinstance(error.__cause__, TimeoutError)


@attrs.define
class HoldOff:
    """The hold-off in force: the long one for a while after the last trouble."""

    _trouble_at: float = attrs.field(default=-inf, init=False)
    _doubts: dict[str | None, float] = attrs.field(factory=dict, init=False)

    def observe(self, error: ScopedCacheError | None, now: float) -> None:
        """Take in how one of our requests ended."""
        if is_lost_connection(error):
            self._trouble_at = now

    def not_ready_seen(self, now: float) -> None:
        """Take in that a server is not ready: it may have just started."""
        self._trouble_at = now

    def doubt(self, place: str | None, now: float) -> None:
        """Take in a "no" where no server can be asked whether it is ready: in two places at once, it may have started.

        An admin takes rights away in one place after the other, a server that comes up denies all of them.
        """
        recent = {name: at for name, at in self._doubts.items() if now - at < DOUBTS_TOGETHER_SECONDS}
        self._doubts = recent | {place: now}
        if len(self._doubts) > 1:
            self._trouble_at = now

    def seconds(self, now: float) -> float:
        """Return how far apart two answers must be to deny."""
        doubtful = now - self._trouble_at < TROUBLE_MATTERS_SECONDS
        return HOLD_OFF_AFTER_TROUBLE_SECONDS if doubtful else HOLD_OFF_SECONDS
