"""How fast what failed is tried again: each key by its back-off, all keys together by a budget. Plain decisions."""

from __future__ import annotations

from typing import Final

import attrs

# The exponent is cut long before a float is too small for it.
DOUBLINGS_AT_MOST: Final = 60
# Ten thousand keys that failed together are all tried again within two minutes, and no second sees more than twice
# this many of them.
RETRIES_PER_SECOND: Final = 100.0


@attrs.frozen
class FailureBackoff:
    """How long a failing key waits: `base` seconds, doubled with each failure in a row, `cap` at most.

    Each pause is up to `jitter` of it shorter, at random: keys that failed together do not come back together.

    5 ms is client-go's start: a lost race is over by then. Its cap of 1000 s is too long here: when an outage ends,
    nothing tells the key so, and 60 s is then the longest anyone waits. It costs one run a minute for a broken key.

    Raises:
        ValueError: these are no pauses.
    """

    base: float = 0.005
    cap: float = 60.0
    jitter: float = attrs.field(default=0.5, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not 0 < self.base <= self.cap:
            raise ValueError(f"base= is above zero, and cap= no less: not {self.base!r} and {self.cap!r}")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter= is a part of the pause, from 0 to below 1, not {self.jitter!r}")

    def delay(self, failures: int, chance: float = 0.0) -> float:
        """Return the pause after so many failures in a row (the first one is 1)."""
        longest = min(self.cap, self.base * 2.0 ** min(failures - 1, DOUBLINGS_AT_MOST))
        return longest * (1 - self.jitter * chance)


class RetryBudget:
    """A token bucket: so many retries in a second, and as many at once after a quiet second.

    Raises:
        ValueError: `per_second` is not above zero.
    """

    def __init__(self, per_second: float = RETRIES_PER_SECOND) -> None:
        if not per_second > 0:
            raise ValueError(f"retries_per_second= is above zero, not {per_second!r}")
        self.per_second = per_second
        self._burst = max(1.0, per_second)
        self._tokens = self._burst
        self._at = float("-inf")

    def reserve(self, now: float) -> float:
        """Take a token, now or in advance; return the seconds until it is there."""
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self.per_second)
            self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self.per_second)

    def __repr__(self) -> str:
        return f"<RetryBudget of {self.per_second:g}/s tokens={self._tokens:.1f}>"
