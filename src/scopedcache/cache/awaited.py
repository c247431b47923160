"""Rights that no need declares, but that a call was refused for want of: their owners are told when they are there."""

from __future__ import annotations

from collections.abc import Callable

from ..access import Monitor
from ..api.reviews import Right
from .changes import OwnerChanged, OwnerId


class AwaitedRights:
    """Who waits for which right; each wait is a lease on its verdict, ended by the grant or by `drop`."""

    def __init__(self, monitor: Monitor, publish: Callable[[OwnerChanged], None]) -> None:
        self._monitor = monitor
        self._publish = publish
        self._owners: dict[Right, dict[OwnerId, None]] = {}
        self._rights: dict[str, dict[Right, None]] = {}

    def add(self, owner: OwnerId, right: Right, *, settled: bool) -> None:
        """Let an owner wait for a right; `settled`: a review said that the authoriser denies it."""
        owners = self._owners.setdefault(right, {})
        if owner not in owners:
            owners[owner] = None
            self._rights.setdefault(owner.uid, {})[right] = None
            self._monitor.lease([right])
            if settled:
                self._monitor.refused(right)

    def gained(self, right: Right) -> None:
        """A right is there: tell who waited for it."""
        for owner in list(self._owners.get(right, ())):
            self._end(owner, right)
            self._publish(OwnerChanged(owner.kind, owner.key, owner.uid, "granted"))

    def drop(self, uid: str) -> None:
        """An owner waits no longer."""
        for right in list(self._rights.get(uid, ())):
            for owner in [owner for owner in self._owners[right] if owner.uid == uid]:
                self._end(owner, right)

    def clear(self) -> None:
        """Nobody waits any longer."""
        for uid in list(self._rights):
            self.drop(uid)

    def _end(self, owner: OwnerId, right: Right) -> None:
        owners, rights = self._owners[right], self._rights[owner.uid]
        del owners[owner]
        rights.pop(right, None)
        if not owners:
            del self._owners[right]
        if not rights:
            del self._rights[owner.uid]
        self._monitor.release([right])

    def __len__(self) -> int:
        return sum(len(owners) for owners in self._owners.values())
