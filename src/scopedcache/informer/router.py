"""Whom does an event concern? A dictionary look-up, whatever the number of owners.

An owner is found by the UID in the object's owner references, by a label pair it asked for, by a route function, or
through an object it owns itself (a chain of kinds: the Deployment's ReplicaSet's Pods).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..objects import GVK, Entry, Object, ObjectKey, Route
from ..selectors import LabelSelector
from .store import Delta


class Owner(Protocol):
    """Who is told. Compared by identity."""

    @property
    def uid(self) -> str: ...
    @property
    def key(self) -> ObjectKey: ...

    def concerned(self, gvk: GVK, delta: Delta, initial: bool) -> None:
        """Take note of a change; called directly for each event, so only enqueue."""


class Chain:
    """UID of an owned object → its owner, over all kinds of one place: lets Pods find the owner of their ReplicaSet."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._owned: dict[Owner, set[str]] = {}

    def find(self, uid: str) -> Owner | None:
        return self._owners.get(uid)

    def owned(self, owner: Owner) -> Iterable[str]:
        return tuple(self._owned.get(owner, ()))

    def link(self, uid: str, owner: Owner) -> None:
        if self._owners.get(uid) is not owner:
            self.unlink(uid)
            self._owners[uid] = owner
            self._owned.setdefault(owner, set()).add(uid)

    def unlink(self, uid: str) -> None:
        owner = self._owners.pop(uid, None)
        if owner is not None:
            self._owned[owner].discard(uid)
            if not self._owned[owner]:
                del self._owned[owner]

    def drop(self, owner: Owner) -> None:
        """Forget everything that leads to an owner."""
        for uid in self._owned.pop(owner, ()):
            del self._owners[uid]

    def __len__(self) -> int:
        return len(self._owners)


class Router:
    """The routes of one informer."""

    def __init__(self, gvk: GVK, chain: Chain | None = None) -> None:
        self._gvk = gvk
        self._chain = chain
        self._by_uid: dict[str, Owner] = {}
        self._by_key: dict[ObjectKey, Owner] = {}
        self._pairs: dict[str, dict[str, list[tuple[LabelSelector, Owner]]]] = {}
        self._loose: list[tuple[LabelSelector, Owner]] = []
        self._routes: dict[Route, int] = {}

    def add(self, owner: Owner, *, selector: LabelSelector | None = None, route: Route | None = None) -> None:
        """Let an owner hear of its objects."""
        self._by_uid[owner.uid] = owner
        self._by_key[owner.key] = owner
        if selector:
            self._bucket(selector).append((selector, owner))
        if route is not None:
            self._routes[route] = self._routes.get(route, 0) + 1

    def remove(self, owner: Owner, *, selector: LabelSelector | None = None, route: Route | None = None) -> None:
        """End what `add` began with the same arguments."""
        if self._by_uid.get(owner.uid) is owner:
            del self._by_uid[owner.uid]
        if self._by_key.get(owner.key) is owner:
            del self._by_key[owner.key]
        if selector:
            self._remove_selector(selector, owner)
        if route is not None and route in self._routes:
            self._routes[route] -= 1
            if not self._routes[route]:
                del self._routes[route]

    def __len__(self) -> int:
        return len(self._by_uid)

    @property
    def by_content(self) -> bool:
        """Tell whether labels or functions route here, and not owner references alone."""
        return bool(self._pairs or self._loose or self._routes)

    def chained(self, owner: Owner) -> Iterable[str]:
        """Return the UIDs of objects through which others belong to an owner."""
        return self._chain.owned(owner) if self._chain is not None else ()

    def route(self, delta: Delta, initial: bool) -> None:
        """Tell everyone a change concerns: those of its old state and those of its new one, each once."""
        old, new = delta.old, delta.new
        owners = self.owners_of(new) if new is not None else ()
        if old is not None and (new is None or _moved(old, new) or self._routes):
            before = self.owners_of(old)
            owners = (*owners, *(owner for owner in before if owner not in owners)) if owners else before
        if self._chain is not None:
            self._link(delta, owners)
        for owner in owners:
            owner.concerned(self._gvk, delta, initial)

    def owners_of(self, entry: Entry) -> tuple[Owner, ...] | list[Owner]:
        """Return the owners an object belongs to."""
        found: list[Owner] = []
        metadata = entry.metadata
        for reference in metadata.owner_references or ():
            owner = self._by_uid.get(reference.uid)
            if owner is None and self._chain is not None:
                owner = self._chain.find(reference.uid)
            if owner is not None and owner not in found:
                found.append(owner)
        if self._pairs or self._loose:
            self._by_labels(metadata.labels or {}, found)
        if self._routes:
            self._by_route(entry, found)
        return found

    def _by_labels(self, labels: dict[str, str], found: list[Owner]) -> None:
        for label, values in self._pairs.items():
            value = labels.get(label)
            if value is None:
                continue
            for selector, owner in values.get(value, ()):
                if owner not in found and (len(selector.requirements) == 1 or selector.matches(labels)):
                    found.append(owner)
        for selector, owner in self._loose:
            if owner not in found and selector.matches(labels):
                found.append(owner)

    def _by_route(self, entry: Entry, found: list[Owner]) -> None:
        for route in self._routes:
            # Each route reads an Object of its own: what one of them does to it, the next must not see.
            named = route(Object(entry.metadata, entry.raw, self._gvk))
            owner = self._by_key.get(named) if isinstance(named, tuple) else self._by_uid.get(named or "")
            if owner is not None and owner not in found:
                found.append(owner)

    def _link(self, delta: Delta, owners: tuple[Owner, ...] | list[Owner]) -> None:
        """Remember whose this object is, so that what it owns finds the way."""
        assert self._chain is not None
        subject = delta.new or delta.old
        if delta.new is None and subject is not None:
            self._chain.unlink(subject.metadata.uid)
        elif len(owners) == 1 and subject is not None:
            self._chain.link(subject.metadata.uid, owners[0])

    def _bucket(self, selector: LabelSelector) -> list[tuple[LabelSelector, Owner]]:
        if not selector.pairs:
            return self._loose
        # The longest value is likeliest to be one owner's own: `app=memcached` is everybody's, a name is not.
        label, value = max(selector.pairs, key=lambda pair: len(pair[1]))
        return self._pairs.setdefault(label, {}).setdefault(value, [])

    def _remove_selector(self, selector: LabelSelector, owner: Owner) -> None:
        bucket = self._bucket(selector)
        if (selector, owner) in bucket:
            bucket.remove((selector, owner))
        if selector.pairs:
            label, value = max(selector.pairs, key=lambda pair: len(pair[1]))
            if not bucket:
                del self._pairs[label][value]
            if not self._pairs[label]:
                del self._pairs[label]


def _moved(old: Entry, new: Entry) -> bool:
    a, b = old.metadata, new.metadata
    return a.labels != b.labels or a.owner_references != b.owner_references
