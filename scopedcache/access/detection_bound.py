"""How soon a change of permissions is noticed: the bound B, and the probe period that keeps it (design §1)."""

from __future__ import annotations

from typing import Final

from .hold_off import HOLD_OFF_SECONDS
from .review_budget import REVIEWS_PER_SECOND

# Between two rules reviews of one place (design §1).
PERIOD_SECONDS: Final = 5.0
# The shortest there may be.
LEAST_PERIOD_SECONDS: Final = 0.5
# Probes are spread by up to this part of their period.
JITTER_FRACTION: Final = 0.1
# Time for the requests themselves.
SLACK_SECONDS: Final = 1.0


def effective_bound(
    period: float, places: int, rate: float = REVIEWS_PER_SECOND, hold_off: float = HOLD_OFF_SECONDS
) -> float:
    """Return B: the seconds within which a change of permissions is noticed.

    Args:
        period: seconds between two probes of a place.
        places: requests that one round of all places takes.
        rate: reviews per second.
        hold_off: seconds a doubt must last.
    """
    return (1 + JITTER_FRACTION) * max(period, places / rate) + hold_off + SLACK_SECONDS


def period_for(bound: float) -> float:
    """Return the probe period that keeps a bound while the budget does not bind.

    Raises:
        ValueError: the bound leaves no time to probe.
    """
    period = (bound - HOLD_OFF_SECONDS - SLACK_SECONDS) / (1 + JITTER_FRACTION)
    if not period >= LEAST_PERIOD_SECONDS:  # nor is NaN any number of seconds
        least = effective_bound(LEAST_PERIOD_SECONDS, places=0)
        raise ValueError(f"detection_bound={bound} s is too short: {least:.2f} s is the least")
    return period
