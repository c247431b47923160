"""Whose an object is through others: what a custom resource owns, owns in turn (Deployment ▸ ReplicaSet ▸ Pod)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from ..kinds import GVK, ObjectKey
from .delta import Delta

# Deleted objects whose owner is remembered, because their own children may outlive them.
GONE_REMEMBERED: Final = 1024


class Owner(Protocol):
    """Who is told. Compared by identity."""

    @property
    def uid(self) -> str: ...
    @property
    def key(self) -> ObjectKey: ...

    def concerned(self, gvk: GVK, delta: Delta, initial: bool) -> None:
        """Take note of a change; called directly for each event, so only enqueue."""


class OwnershipChain:
    """UID of an owned object → its owners, over all kinds of one cache: lets Pods find the owner of their ReplicaSet.

    Objects that are gone are remembered for a while: what they owned goes later, and concerns the same owners.
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[Owner, ...]] = {}
        self._owned: dict[Owner, set[str]] = {}
        self._gone: dict[str, None] = {}

    def find(self, uid: str) -> tuple[Owner, ...]:
        return self._owners.get(uid, ())

    def owned(self, owner: Owner) -> Iterable[str]:
        return tuple(self._owned.get(owner, ()))

    def link(self, uid: str, owners: tuple[Owner, ...]) -> None:
        self._gone.pop(uid, None)
        if self._owners.get(uid) != owners:
            self.unlink(uid)
            self._owners[uid] = owners
            for owner in owners:
                self._owned.setdefault(owner, set()).add(uid)

    def unlink(self, uid: str) -> None:
        self._gone.pop(uid, None)
        for owner in self._owners.pop(uid, ()):
            self._disown(owner, uid)

    def gone(self, uid: str) -> None:
        """The object was deleted: forget it once enough others are."""
        if uid in self._owners:
            self._gone[uid] = None
            if len(self._gone) > GONE_REMEMBERED:
                self.unlink(next(iter(self._gone)))

    @property
    def gone_uids(self) -> frozenset[str]:
        """Return the UIDs of deleted objects whose owners are still remembered."""
        return frozenset(self._gone)

    def drop(self, owner: Owner) -> None:
        """Forget everything that leads to an owner."""
        for uid in self._owned.pop(owner, ()):
            others = tuple(other for other in self._owners[uid] if other is not owner)
            if others:
                self._owners[uid] = others
            else:
                del self._owners[uid]
                self._gone.pop(uid, None)

    def _disown(self, owner: Owner, uid: str) -> None:
        owned = self._owned[owner]
        owned.discard(uid)
        if not owned:
            del self._owned[owner]

    def __len__(self) -> int:
        return len(self._owners)
