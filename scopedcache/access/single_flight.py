"""One piece of work per place at a time; whoever asks for it meanwhile shares it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..supervisor import Supervisor
from .probe_schedule import Place


class SingleFlight:
    """Runs `work(place)` as a task of a supervisor, never twice at once for one place."""

    def __init__(self, name: str, work: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._work = work
        self._tasks: dict[Place, asyncio.Task[None]] = {}

    def start(self, place: Place, supervisor: Supervisor, *, quiet: bool = False) -> asyncio.Task[None]:
        """Start the work for a place, unless it is under way; return its task. `quiet` as for the supervisor."""
        task = self._tasks.get(place)
        if task is None or task.done():
            task = self._tasks[place] = supervisor.start(f"{self._name}/{place}", self._work(place), quiet=quiet)
            task.add_done_callback(lambda done: self._forget(place, done))
        return task

    async def share(self, place: Place, supervisor: Supervisor) -> None:
        """Wait until the work for a place is done; raises what it raised. Who gives up waiting stops nobody else."""
        await asyncio.shield(self.start(place, supervisor, quiet=True))

    def _forget(self, place: Place, done: asyncio.Task[None]) -> None:
        if self._tasks.get(place) is done:
            del self._tasks[place]
