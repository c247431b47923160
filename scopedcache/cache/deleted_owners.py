"""Owners that went, and owners whose scope is still on its way: neither may leave a scope that nobody closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cachetools

from ..errors import ScopeClosedError
from .informer_pool import Pool
from .owner import OwnerId

# UIDs of owners seen deleted, so that a reconcile still under way cannot open a scope that nobody would close.
_GONE = 10_000
_GONE_TTL = 600.0


class DeletedOwners:
    """Remembers deleted owners for a while, and hears of closings while an opening asks discovery."""

    def __init__(self, pool: Pool, *, timer: Callable[[], float]) -> None:
        self._pool = pool
        self._gone: cachetools.TTLCache[str, bool] = cachetools.TTLCache(_GONE, _GONE_TTL, timer=timer)
        self._arriving: dict[str, list[list[str]]] = {}

    def check(self, owner: OwnerId) -> None:
        """Raise if an owner was deleted; one that only left the selection of its informer may be back.

        Raises:
            ScopeClosedError: it was.
        """
        if owner.uid in self._gone:
            if not self._pool.shows(owner.kind, owner.key, owner.uid):
                raise ScopeClosedError(f"{owner} was deleted")
            del self._gone[owner.uid]

    def has(self, uid: str) -> bool:
        return uid in self._gone

    def gone(self, uid: str) -> None:
        """An owner was deleted."""
        self._gone[uid] = True

    def closed(self, uid: str) -> None:
        """An owner was closed: what is on its way for it ends."""
        for closings in self._arriving.get(uid, ()):
            closings.append(uid)

    def closed_all(self) -> None:
        for uid in self._arriving:
            self.closed(uid)

    @contextmanager
    def arriving(self, owner: OwnerId) -> Iterator[None]:
        """Stand for a scope that is not there yet, as long as the block lasts.

        Raises:
            ScopeClosedError: the owner was closed meanwhile.
        """
        closings: list[str] = []
        arrivals = self._arriving.setdefault(owner.uid, [])
        arrivals.append(closings)
        try:
            yield
        finally:
            arrivals[:] = [other for other in arrivals if other is not closings]
            if not arrivals:
                del self._arriving[owner.uid]
        if closings:
            raise ScopeClosedError(f"{owner} was closed while it opened")
