"""How soon a change of permissions is noticed: the bound B, and the probe period that keeps it (design §1)."""

from __future__ import annotations

from math import ceil, inf
from typing import Any, Final

import attrs

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


@attrs.frozen
class ReviewLoad:
    """What asking about rights comes to: how many places, how many reviews a second at most, and the bound of it.

    `period`: how often each place is to be reviewed, as the bound that was asked for wants it. `in_use`: the places in
    which something happens, where there are so many that it matters, and `bound_in_use` the bound for them.
    """

    places: int
    rate: float
    period: float
    bound: float
    told_by_events: bool
    in_use: int = 0
    bound_in_use: float = inf

    @property
    def advice(self) -> str | None:
        """Return what would make the bound shorter; None where it is as short as it was asked to be."""
        if self.told_by_events or self.places <= self.rate * self.period:
            return None
        wanted = ceil(self.places / self.period)
        return (
            f"{self.places:,} places are reviewed at {self.rate:g} a second, so a change of rights is noticed within "
            f"{self.bound:.0f} s. About a second: let the operator list and watch roles, rolebindings, clusterroles "
            f"and clusterrolebindings (rbac.authorization.k8s.io). Or review_rate={wanted}, or more replicas (Sharding)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "places": self.places,
            "per_second": self.rate,
            "seconds_per_round": round(self.places / self.rate, 1),
            "told_by_events": self.told_by_events,
            "in_use": {"places": self.in_use, "bound": round(min(self.bound, self.bound_in_use), 2)},
            "advice": self.advice,
        }


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
