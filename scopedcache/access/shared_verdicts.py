"""What the monitors of several identities have together: one table, one budget, one listener."""

from __future__ import annotations

import attrs

from .change_notifier import ChangeNotifier
from .places_in_use import IN_USE_FRACTION
from .review_budget import ReviewBudget, SharedRound
from .tracked_verdicts import TrackedVerdicts


@attrs.define(eq=False)
class SharedVerdicts:
    """The verdicts about the permissions of all identities of a cache.

    Attributes:
        budget: how many reviews may be sent, for all places of all identities together.
        budget_in_use: how many more, of places in which something happens.
        tracked: the verdicts, by permission; a permission says whose it is.
        changes: who hears of a changed one.
        round: the requests that one round of all places takes.
        in_use: those that one round of the places in use takes.
        reviews: the requests that reviews have taken.
    """

    budget: ReviewBudget
    budget_in_use: ReviewBudget = attrs.field()
    tracked: TrackedVerdicts = attrs.field(factory=TrackedVerdicts)
    changes: ChangeNotifier = attrs.field(factory=ChangeNotifier)
    round: SharedRound = attrs.field(factory=SharedRound)
    in_use: SharedRound = attrs.field(factory=SharedRound)
    reviews: int = 0

    @budget_in_use.default
    def _make_budget_in_use(self) -> ReviewBudget:
        return ReviewBudget(self.budget.rate * IN_USE_FRACTION)
