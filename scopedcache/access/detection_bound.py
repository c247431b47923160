"""How soon a change of permissions is noticed: the bound B, and the probe period that keeps it (design §1)."""

from __future__ import annotations

from .hold_off import HOLD_OFF_SECONDS
from .review_budget import REVIEWS_PER_SECOND

# Seconds between two rules reviews of one place (design §1).
PERIOD_SECONDS = 5.0

# Probes are spread by up to this part of their period.
JITTER_FRACTION = 0.1

# Time for the requests themselves.
SLACK_SECONDS = 1.0


def effective_bound(period: float, places: int, rate: float = REVIEWS_PER_SECOND) -> float:
    """Return the seconds within which a change of rights is noticed (design §1)."""
    return (1 + JITTER_FRACTION) * max(period, places / rate) + HOLD_OFF_SECONDS + SLACK_SECONDS


def period_for(bound: float) -> float:
    """Return the probe period that keeps a bound while the budget does not bind.

    Raises:
        ValueError: the bound leaves no time to probe.
    """
    period = (bound - HOLD_OFF_SECONDS - SLACK_SECONDS) / (1 + JITTER_FRACTION)
    if not period >= 0.5:  # nor is NaN any number of seconds
        raise ValueError(
            f"detection_bound={bound} s is too short: {HOLD_OFF_SECONDS + SLACK_SECONDS + 0.55:.2f} s is the least"
        )
    return period
