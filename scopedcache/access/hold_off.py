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
# The same after trouble: a lost connection may mean a restart.
HOLD_OFF_AFTER_TROUBLE_SECONDS: Final = 3.0
# Trouble makes a "no" doubtful for this long.
TROUBLE_MATTERS_SECONDS: Final = 30.0
# Between two refused calls that deny, where no review answers.
REFUSALS_APART_SECONDS: Final = 3.0


@attrs.define
class HoldOff:
    """The hold-off in force: the long one for a while after the last trouble."""

    _trouble_at: float = attrs.field(default=-inf, init=False)

    def observe(self, error: ScopedCacheError | None, now: float) -> None:
        """Take in how one of our requests ended."""
        if isinstance(error, TransportError):
            self._trouble_at = now

    def seconds(self, now: float) -> float:
        """Return how far apart two answers must be to deny."""
        doubtful = now - self._trouble_at < TROUBLE_MATTERS_SECONDS
        return HOLD_OFF_AFTER_TROUBLE_SECONDS if doubtful else HOLD_OFF_SECONDS
