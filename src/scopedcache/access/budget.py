"""How many reviews may be sent: a token bucket, and the bound on detection that follows from it."""

from __future__ import annotations

import attrs

from .verdict import HOLD_OFF

# Seconds between two rules reviews of one place (design §1).
PERIOD = 5.0
# Reviews per second, for all places together; client-go's default for a whole client is 5, 20 is controller-runtime's.
RATE = 20.0
# Reviews per second that RBAC events may trigger: they are rare, and each is worth an answer at once.
BURST_RATE = 100.0
# Probes are spread by up to this part of their period.
JITTER = 0.1
# Time for the requests themselves.
SLACK = 1.0


@attrs.define
class Budget:
    """At most `rate` a second on average, and at most one second's worth at once."""

    rate: float
    _tokens: float = attrs.field(init=False)
    _at: float = attrs.field(init=False, default=float("-inf"))

    def __attrs_post_init__(self) -> None:
        self._tokens = self.rate

    def take(self, now: float) -> float:
        """Take one token; return how many seconds to wait before using it."""
        if now > self._at:
            elapsed = now - self._at
            self._tokens = min(self.rate, self._tokens + elapsed * self.rate)
            self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)


def effective_bound(period: float, places: int, rate: float = RATE) -> float:
    """Return the seconds within which a change of rights is noticed (design §1)."""
    return (1 + JITTER) * max(period, places / rate) + HOLD_OFF + SLACK


def period_for(bound: float) -> float:
    """Return the probe period that keeps a bound while the budget does not bind.

    Raises:
        ValueError: the bound leaves no time to probe.
    """
    period = (bound - HOLD_OFF - SLACK) / (1 + JITTER)
    if not period >= 0.5:  # nor is NaN any number of seconds
        raise ValueError(f"detection_bound={bound} s is too short: {HOLD_OFF + SLACK + 0.55:.2f} s is the least")
    return period
