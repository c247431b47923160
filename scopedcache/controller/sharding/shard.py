"""What of the objects this process shows, works on, and may write for, at the moment; `coordinator.py` sets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from ...api.request_info import RequestInfo
from ...errors import NotLeaderError
from ...hash_ranges import HashRanges
from ...informer.shard_filter import ShardFilter
from ..manager.leader_fence import is_fenced
from ..reconcile_run import CURRENT_RUN

NOTHING: Final = HashRanges()


class Shard:
    """The part of one process. It belongs to the running loop.

    Attributes:
        known: set once it was said what the part is, if it is nothing too.
        filter: what informers of primary kinds hold.
    """

    def __init__(self) -> None:
        self.known = asyncio.Event()
        self.filter = ShardFilter()
        self.worked_on = NOTHING
        self.writable = NOTHING
        self._listeners: list[Callable[[], None]] = []

    @property
    def shown(self) -> HashRanges:
        return self.filter.ranges

    def set(self, shown: HashRanges, worked_on: HashRanges, writable: HashRanges) -> None:
        """Say what is shown, where runs may begin, and where they may write."""
        self.known.set()
        if (shown, worked_on, writable) == (self.shown, self.worked_on, self.writable):
            return
        self.worked_on, self.writable = worked_on, writable
        self.filter.set_ranges(shown)
        for tell in list(self._listeners):
            tell()

    def subscribe(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` after each change; returns the way to end it."""
        self._listeners.append(tell)
        return lambda: self._listeners.remove(tell)

    @asynccontextmanager
    async def admit(self, info: RequestInfo) -> AsyncIterator[None]:
        """Let a write of a run pass, if its key lies in our part; a WriteFence of the client.

        What belongs to no run is let pass: whether this process may write at all is for the fences of its Leases.

        Raises:
            NotLeaderError: another replica works on the key.
        """
        run = CURRENT_RUN.get()
        if run is not None and run.point is not None and run.point not in self.writable and is_fenced(info):
            raise NotLeaderError(f"may not {info.verb} {info.resource}: {run.key} is another replica's to work on now")
        yield
