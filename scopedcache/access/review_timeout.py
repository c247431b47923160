"""How long the answer to a review is waited for: short, since one that is lost must not hold detection up.

Longer after one that did not come, in case the server is slow rather than silent, but always below the probe period.
"""

from __future__ import annotations

from typing import Final

import attrs

# What is ordinary: an authoriser behind the API server takes some hundred milliseconds at most.
USUAL_TIMEOUT_SECONDS: Final = 1.5
# No time-out is longer than this part of the probe period.
PERIOD_FRACTION: Final = 0.8
# A server that was slow may be that much slower the next time.
MARGIN_FACTOR: Final = 2.0


@attrs.define
class ReviewTimeout:
    """The time-out of the next review; `seconds` is what it is."""

    _period: float
    seconds: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.seconds = min(USUAL_TIMEOUT_SECONDS, self.longest)

    @property
    def longest(self) -> float:
        return self._period * PERIOD_FRACTION

    def answered(self, took: float) -> None:
        """Take in an answer that took this long."""
        self.seconds = min(max(USUAL_TIMEOUT_SECONDS, MARGIN_FACTOR * took), self.longest)

    def expired(self) -> None:
        """Take in that no answer came in time."""
        self.seconds = min(MARGIN_FACTOR * self.seconds, self.longest)
