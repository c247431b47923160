"""Rights that no need declares, but that a call was refused for want of: their owners are told when they are there."""

from __future__ import annotations

from collections.abc import Callable

from ..access import Monitor
from ..api.permission import Permission
from .owner import OwnerChanged, OwnerId


class PendingGrants:
    """Who waits for which right; each wait tracks its verdict, until the grant or by `drop`."""

    def __init__(self, monitor: Monitor, publish: Callable[[OwnerChanged], None]) -> None:
        self._monitor = monitor
        self._publish = publish
        self._owners: dict[Permission, dict[OwnerId, None]] = {}
        self._permissions: dict[str, dict[Permission, None]] = {}

    def add(self, owner: OwnerId, permission: Permission, *, settled: bool) -> None:
        """Let an owner wait for a right; `settled`: the authoriser has just denied it.

        Where it has not, the right may be there already: then the owner is told at once.
        """
        owners = self._owners.setdefault(permission, {})
        if owner not in owners:
            owners[owner] = None
            self._permissions.setdefault(owner.uid, {})[permission] = None
            self._monitor.track([permission])
            if settled:
                self._monitor.take(permission, "no")
            elif (verdict := self._monitor.verdict(permission)) is not None and verdict.granted:
                self.end(permission)

    def end(self, permission: Permission) -> None:
        """A right is there: tell who waited for it."""
        for owner in list(self._owners.get(permission, ())):
            self._remove(owner, permission)
            self._publish(OwnerChanged(owner.kind, owner.key, owner.uid, "granted"))

    def drop(self, uid: str) -> None:
        """An owner waits no longer."""
        for permission in list(self._permissions.get(uid, ())):
            for owner in [owner for owner in self._owners[permission] if owner.uid == uid]:
                self._remove(owner, permission)

    @property
    def owners(self) -> list[OwnerId]:
        """Return who waits."""
        return [owner for owners in self._owners.values() for owner in owners]

    def clear(self) -> None:
        """Nobody waits any longer."""
        for uid in list(self._permissions):
            self.drop(uid)

    def _remove(self, owner: OwnerId, permission: Permission) -> None:
        owners, permissions = self._owners[permission], self._permissions[owner.uid]
        del owners[owner]
        permissions.pop(permission, None)
        if not owners:
            del self._owners[permission]
        if not permissions:
            del self._permissions[owner.uid]
        self._monitor.untrack([permission])

    def __len__(self) -> int:
        return sum(len(owners) for owners in self._owners.values())
