"""How many reviews may be sent: a token bucket."""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

# Reviews per second, for all places together; client-go's default for a whole client is 5, 20 is controller-runtime's.
REVIEWS_PER_SECOND: Final = 20.0
# Reviews per second that RBAC events may trigger: they are rare, and each is worth an answer at once.
BURST_REVIEWS_PER_SECOND: Final = 100.0


@attrs.define
class SharedRound:
    """The round of all places that share a budget: how many requests it takes, and when the next one has its turn.

    Turns are as far apart as the budget wants it, whoever takes them. So no part of a long round is busier than others,
    however the places came, and what is due at its turn does not wait for a crowd.
    """

    requests: int = 0
    _last_turn: float = attrs.field(default=-inf, init=False)

    def seconds(self, rate: float) -> float:
        """Return how long the round takes."""
        return self.requests / rate

    def take_turn(self, now: float, cost: int, rate: float) -> float:
        """Return when the next turn is that nobody has: a round from now, or earlier where turns are free."""
        self._last_turn = min(max(self._last_turn, now) + cost / rate, now + self.seconds(rate))
        return self._last_turn


@attrs.define
class ReviewBudget:
    """At most `rate` a second on average, and at most one second's worth at once."""

    rate: float
    _tokens: float = attrs.field(init=False)
    _at: float = attrs.field(init=False, default=-inf)

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
