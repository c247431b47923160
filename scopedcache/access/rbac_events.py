"""What an RBAC event sets off: reviews of its place at once and twice again, however many events come.

An event decides nothing, and servers learn of it at different times: a review at once, one for servers that are a
little behind, one for those that are far behind. Events in a burst share these: the last one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .review_budget import BURST_REVIEWS_PER_SECOND, Budget

REVIEW_DELAYS_SECONDS = (0.0, 0.3, 1.0)
# Between two reviews of one place while its events do not end.
PAUSE_SECONDS = 0.1


class RBACEvents:
    """The places something happened in, and when last."""

    def __init__(self, review: Callable[[str | None], Awaitable[None]], *, timer: Callable[[], float]) -> None:
        self._review = review
        self._timer = timer
        self._budget = Budget(BURST_REVIEWS_PER_SECOND)
        self._at: dict[str | None, float] = {}

    def note(self, place: str | None) -> bool:
        """Take note of an event; tell whether `follow` must be run for it."""
        known = place in self._at
        self._at[place] = self._timer()
        return not known

    async def follow(self, place: str | None) -> None:
        """Review a place as often as its last event asks for."""
        try:
            while True:
                if await self._round(place, self._at[place]):
                    return
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            del self._at[place]

    async def _round(self, place: str | None, hinted: float) -> bool:
        """Review once per delay; tell whether no other event came meanwhile."""
        for delay in REVIEW_DELAYS_SECONDS:
            await asyncio.sleep(max(0.0, hinted + delay - self._timer()))
            await asyncio.sleep(self._budget.take(self._timer()))
            await self._review(place)
            if self._at[place] != hinted:
                return False
        return True

    def __len__(self) -> int:
        return len(self._at)
