"""Owners that were deleted: a reconcile still under way may not open a scope for one, since nobody would close it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import cachetools

from ..errors import ScopeClosedError
from ..kinds import GVK, ObjectKey
from .owner import OwnerId

# UIDs that are remembered, and for how long: no reconcile takes longer.
REMEMBERED_OWNERS: Final = 10_000
REMEMBERED_SECONDS: Final = 600.0


class Sight(Protocol):
    """Knows what can be seen now."""

    def shows(self, kind: GVK, key: ObjectKey, uid: str) -> bool:
        """Tell whether an object is held."""


class DeletedOwners:
    """The UIDs of owners that were deleted lately."""

    def __init__(self, sight: Sight, *, timer: Callable[[], float]) -> None:
        self._sight = sight
        self._uids: cachetools.TTLCache[str, bool] = cachetools.TTLCache(
            REMEMBERED_OWNERS, REMEMBERED_SECONDS, timer=timer
        )

    def add(self, uid: str) -> None:
        """An owner was deleted."""
        self._uids[uid] = True

    def has(self, uid: str) -> bool:
        return uid in self._uids

    def check(self, owner: OwnerId) -> None:
        """Raise if an owner was deleted; one that only left the selection of its informer may be back.

        Raises:
            ScopeClosedError: it was.
        """
        if owner.uid in self._uids:
            if not self._sight.shows(owner.kind, owner.key, owner.uid):
                raise ScopeClosedError(f"{owner} was deleted")
            del self._uids[owner.uid]

    def __len__(self) -> int:
        return len(self._uids)
