"""What an RBAC event sets off: reviews of its place at once and twice again, however many events come.

An event decides nothing, and servers learn of it at different times: a review at once, one for servers that are a
little behind, one for those that are far behind. Events in a burst share these: the last one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .probe_schedule import Place
from .review_budget import BURST_REVIEWS_PER_SECOND, ReviewBudget

REVIEW_DELAYS_SECONDS: Final = (0.0, 0.3, 1.0)
# Between two reviews of one place while its events do not end.
PAUSE_SECONDS: Final = 0.1


class RBACEvents:
    """The places something happened in, and when last."""

    def __init__(self, review: Callable[[Place], Awaitable[None]], *, timer: Callable[[], float]) -> None:
        self._review = review
        self._timer = timer
        self._budget = ReviewBudget(BURST_REVIEWS_PER_SECOND)
        self._last_event_at: dict[Place, float] = {}

    def note(self, place: Place) -> bool:
        """Take note of an event; tell whether `follow` must be run for it."""
        known = place in self._last_event_at
        self._last_event_at[place] = self._timer()
        return not known

    async def follow(self, place: Place) -> None:
        """Review a place as often as its last event asks for."""
        try:
            while True:
                if await self._review_round(place, self._last_event_at[place]):
                    return
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            del self._last_event_at[place]

    async def _review_round(self, place: Place, event_at: float) -> bool:
        """Review once per delay; tell whether no other event came meanwhile."""
        for delay in REVIEW_DELAYS_SECONDS:
            await asyncio.sleep(max(0.0, event_at + delay - self._timer()))
            await asyncio.sleep(self._budget.take(self._timer()))
            await self._review(place)
            if self._last_event_at[place] != event_at:
                return False
        return True

    def __len__(self) -> int:
        return len(self._last_event_at)
