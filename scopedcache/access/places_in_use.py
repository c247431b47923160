"""The places in which something happens: reviewed as often as a few places are, on a budget of their own.

With a thousand places a round takes a minute, though most of them are at rest at any time. Where events come that
concern an owner, a lost right matters most. Such a place comes round after the shortest period, as long as the others'
turn is not sooner, and stays one for a while after its last event.
"""

from __future__ import annotations

from typing import Final

import attrs

from .review_budget import SharedRound

# How much is spent on places in use, as a part of what is spent on the round of all.
IN_USE_FRACTION: Final = 0.25
# How long a place stays in use after an event.
IN_USE_SECONDS: Final = 60.0


@attrs.define
class PlacesInUse:
    """Which places are in use, and when each has its next turn. `rate`: reviews a second for all of them."""

    rate: float
    shared: SharedRound
    _until: dict[str, float] = attrs.field(factory=dict, init=False)

    def note(self, place: str, now: float) -> bool:
        """Something happens in a place; tell whether it was not in use."""
        is_new = place not in self._until
        self._until[place] = now + IN_USE_SECONDS
        self.shared.requests += is_new
        return is_new

    def take_turn(self, place: str, now: float, longest: float) -> float | None:
        """Return the next turn of a place; None where it is not in use, or a round of these takes `longest` or more."""
        until = self._until.get(place)
        if until is None:
            return None
        if until <= now:
            self.forget(place)
            return None
        return self.shared.take_turn(now, 1, self.rate) if self.shared.seconds(self.rate) < longest else None

    def forget(self, place: str) -> None:
        """Nobody needs a place any more, or nothing has happened in it for long."""
        if self._until.pop(place, None) is not None:
            self.shared.requests -= 1

    @property
    def count(self) -> int:
        """Return how many are in use, those of others in the same budget included."""
        return self.shared.requests
