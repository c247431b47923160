"""Rights that a call was refused for want of: their owners are told when they are there.

One wait for each verb, resource and place of an owner, however many names its calls are about: a reconcile that deletes
the Pod of the day is refused another one every day. It waits for the name that was refused last, as far as not too many
names are waited for at once; beyond that for the right on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs
import msgspec

from ..access import Monitor
from ..access.refusals import is_tried
from ..api.permission import Permission
from .owner import OwnerChanged, OwnerId

# Different rights that one owner waits for at once. A reconcile is refused one at a time; the oldest is given up.
WAITS_OF_OWNER: Final = 16
# Different names of one verb, resource and place that are waited for at once, each a question of its own.
NAMES_AT_ONCE: Final = 4
# An owner is not told of the same right again before this has passed, whoever contradicts whom.
TOLD_APART_SECONDS: Final = 10.0


@attrs.frozen
class PendingGrant:
    """One wait: who waits, and for what."""

    owner: OwnerId
    permission: Permission


class PendingGrants:
    """Who waits for which right. Each wait tracks its verdict, until a "yes", or `drop`."""

    def __init__(
        self, monitor: Monitor, publish: Callable[[OwnerChanged], None], *, timer: Callable[[], float]
    ) -> None:
        self._monitor = monitor
        self._publish = publish
        self._timer = timer
        # By owner's UID, and by what is waited for without its name; the oldest first.
        self._waits: dict[str, dict[Permission, PendingGrant]] = {}
        self._by_permission: dict[Permission, dict[str, PendingGrant]] = {}
        self._named: dict[Permission, set[Permission]] = {}
        self._told_at: dict[str, dict[Permission, float]] = {}

    def add(self, owner: OwnerId, permission: Permission, *, settled: bool) -> None:
        """Let an owner wait for a right; `settled`: the authoriser has just denied it.

        Where it has not, the right may be there already: then the owner is told at once.
        """
        kept = self._track(owner, permission)
        if settled:
            self._monitor.take(kept, "refused" if is_tried(kept) else "no")
        elif (verdict := self._monitor.verdict(kept)) is not None and verdict.granted:
            self.end(kept)

    def end(self, permission: Permission) -> None:
        """A right is there: tell who waited for it, unless they have just been told the same."""
        now = self._timer()
        for wait in list(self._by_permission.get(permission, {}).values()):
            told = self._told_at.setdefault(wait.owner.uid, {})
            subject = _unnamed(permission)
            if now - told.get(subject, -TOLD_APART_SECONDS) < TOLD_APART_SECONDS:
                self._monitor.await_yes(permission)
                continue
            told[subject] = now
            self._remove(wait)
            owner = wait.owner
            self._publish(OwnerChanged(owner.kind, owner.key, owner.uid, "granted"))

    def drop(self, uid: str, namespace: str | None = None) -> None:
        """An owner waits no longer; or not for what it was refused in one namespace."""
        for wait in list(self._waits.get(uid, {}).values()):
            if namespace in (None, wait.permission.namespace):
                self._remove(wait)
        if namespace is None:
            self._told_at.pop(uid, None)

    def clear(self) -> None:
        """Nobody waits any longer."""
        for uid in [*self._waits, *self._told_at]:
            self.drop(uid)

    def of_owner(self, uid: str) -> list[PendingGrant]:
        """Return what an owner waits for."""
        return list(self._waits.get(uid, {}).values())

    def has(self, permission: Permission) -> bool:
        """Tell whether somebody waits for a right."""
        return permission in self._by_permission

    def awaits(self, uid: str, permission: Permission) -> bool:
        """Tell whether an owner waits for a right, or for it on a name."""
        return _unnamed(permission) in self._waits.get(uid, {})

    def _track(self, owner: OwnerId, permission: Permission) -> Permission:
        """Begin a wait in the place of one for another name; return what is waited for."""
        subject = _unnamed(permission)
        waits = self._waits.get(owner.uid, {})
        before = waits.get(subject)
        if before is not None and before.permission == permission:
            return permission
        if before is not None:
            self._remove(before)
        elif len(waits) >= WAITS_OF_OWNER:
            self._remove(next(iter(waits.values())))
        named = self._named.get(subject, set())
        kept = permission if permission in named or len(named) < NAMES_AT_ONCE else subject
        wait = PendingGrant(owner, kept)
        self._waits.setdefault(owner.uid, {})[subject] = wait
        self._by_permission.setdefault(kept, {})[owner.uid] = wait
        if kept != subject:
            self._named.setdefault(subject, set()).add(kept)
        self._monitor.track([kept])
        return kept

    def _remove(self, wait: PendingGrant) -> None:
        uid, permission = wait.owner.uid, wait.permission
        subject = _unnamed(permission)
        waits, owners, named = self._waits[uid], self._by_permission[permission], self._named.get(subject, set())
        del waits[subject], owners[uid]
        if not waits:
            del self._waits[uid]
        if not owners:
            del self._by_permission[permission]
            named.discard(permission)
            if not named:
                self._named.pop(subject, None)
        self._monitor.untrack([permission])

    def __iter__(self) -> Iterator[PendingGrant]:
        for waits in list(self._waits.values()):
            yield from list(waits.values())

    def __len__(self) -> int:
        return sum(len(waits) for waits in self._waits.values())


def _unnamed(permission: Permission) -> Permission:
    return msgspec.structs.replace(permission, name=None)
