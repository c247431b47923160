"""What the monitors of several identities have together: one table, one budget, one listener."""

from __future__ import annotations

import attrs

from .change_notifier import ChangeNotifier
from .review_budget import ReviewBudget, SharedRound
from .tracked_verdicts import TrackedVerdicts


@attrs.define(eq=False)
class SharedVerdicts:
    """The verdicts about the permissions of all identities of a cache.

    Attributes:
        budget: how many reviews may be sent, for all places of all identities together.
        tracked: the verdicts, by permission; a permission says whose it is.
        changes: who hears of a changed one.
        round: the requests that one round of all places takes.
        reviews: the requests that reviews have taken.
    """

    budget: ReviewBudget
    tracked: TrackedVerdicts = attrs.field(factory=TrackedVerdicts)
    changes: ChangeNotifier = attrs.field(factory=ChangeNotifier)
    round: SharedRound = attrs.field(factory=SharedRound)
    reviews: int = 0
