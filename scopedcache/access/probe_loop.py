"""The loop that reviews the place that is due first, inside the budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..supervisor import Supervisor
from .probe_schedule import Place, ProbeSchedule
from .review_budget import BURST_REVIEWS_PER_SECOND, ReviewBudget


class ProbeLoop:
    """Waits as the schedule and the budget say, and reviews one place after another, without waiting for answers."""

    def __init__(
        self,
        schedule: ProbeSchedule,
        budget: ReviewBudget,
        budget_in_use: ReviewBudget,
        review: Callable[[Place], Awaitable[None]],
        *,
        timer: Callable[[], float],
    ) -> None:
        self._schedule = schedule
        self._budget = budget
        self._review = review
        self._timer = timer
        self._due_earlier = asyncio.Event()
        # What confirms a denial is rare, and does not queue behind the probes of all other places; nor does what is in
        # use.
        self._apart = {"doubt": ReviewBudget(BURST_REVIEWS_PER_SECOND), "use": budget_in_use}

    def wake(self) -> None:
        """Look at the schedule again: a place is due earlier than it was."""
        self._due_earlier.set()

    def bring_forward(self, place: Place, at: float) -> None:
        """Bring the next probe of a place forward."""
        if self._schedule.bring_forward(place, at):
            self.wake()

    def confirm(self, place: Place, at: float) -> None:
        """Bring the next probe of a place forward, that confirms a denial or clears it: it has a budget of its own."""
        if self._schedule.confirm(place, at):
            self.wake()

    async def run(self, supervisor: Supervisor) -> None:
        """Probe for ever; each probe is a task of `supervisor`."""
        while True:
            self._due_earlier.clear()
            now = self._timer()
            first = self._schedule.first()
            if first is None:
                await self._due_earlier.wait()
                continue
            place, due = first
            if due > now:
                await self._sleep(due - now)
                continue
            reason = self._schedule.begin_probe(place, now)
            if reason != "round":
                seconds = self._apart[reason].take(now)
                supervisor.start(f"probe/{reason}/{place}", self._probe_after(seconds, place))
                continue
            await asyncio.sleep(self._budget.take(now))
            if place in self._schedule:
                supervisor.start(f"probe/{place}", self._probe(place))

    async def _probe_after(self, seconds: float, place: Place) -> None:
        await asyncio.sleep(seconds)
        if place in self._schedule:
            await self._probe(place)

    async def _probe(self, place: Place) -> None:
        await self._review(place)
        for _ in range(self._schedule.cost(place) - 1):  # what an incomplete review took on top
            self._budget.take(self._timer())

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._due_earlier.wait()
        except TimeoutError:
            pass
