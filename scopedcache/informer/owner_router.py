"""Whom does an event concern? A dictionary look-up, whatever the number of owners.

An owner is found by the UID in the object's owner references, by a label pair it asked for, by a route function, or
through an object it owns itself (a chain of kinds: the Deployment's ReplicaSet's Pods).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from ..containment import UserFunction
from ..kinds import GVK, ObjectKey
from ..needs import Route
from ..objects import Entry, Object
from ..selectors import LabelSelector
from .delta import Delta
from .ownership_chain import Owner, OwnershipChain

T = TypeVar("T")

# Owners, each with the number of times it was added.
_Owners = dict[Owner, int]
_Bucket = dict[LabelSelector, _Owners]


class OwnerRouter:
    """The routes of one informer."""

    def __init__(self, gvk: GVK, chain: OwnershipChain | None = None) -> None:
        self._gvk = gvk
        self._chain = chain
        # Several owners may share a UID: what one custom resource opened in several namespaces.
        self._by_uid: dict[str, _Owners] = {}
        self._by_key: dict[ObjectKey, _Owners] = {}
        # By the label and the value that stand for a selector; what has no such pair is looked at for each event.
        self._pairs: dict[str, dict[str, _Bucket]] = {}
        self._loose: _Bucket = {}
        self._by_name: dict[str, _Owners] = {}  # who asked for the object of a name
        self._routes: dict[Route, int] = {}
        self._asked: dict[Route, UserFunction[Iterable[Owner]]] = {}

    def add(
        self,
        owner: Owner,
        *,
        selector: LabelSelector | None = None,
        route: Route | None = None,
        name: str | None = None,
    ) -> None:
        """Let an owner hear of its objects, and of the one of a name, which need not be its own."""
        _add(self._by_uid, owner.uid, owner)
        _add(self._by_key, owner.key, owner)
        if name is not None:
            _add(self._by_name, name, owner)
        if selector:
            _add(self._bucket(selector), selector, owner)
        if route is not None:
            self._routes[route] = self._routes.get(route, 0) + 1
            if route not in self._asked:
                self._asked[route] = self._function_of(route)

    def remove(
        self,
        owner: Owner,
        *,
        selector: LabelSelector | None = None,
        route: Route | None = None,
        name: str | None = None,
    ) -> None:
        """End what `add` began with the same arguments."""
        _remove(self._by_uid, owner.uid, owner)
        _remove(self._by_key, owner.key, owner)
        if name is not None:
            _remove(self._by_name, name, owner)
        if selector:
            self._remove_selector(selector, owner)
        if route is not None and route in self._routes:
            self._routes[route] -= 1
            if not self._routes[route]:
                del self._routes[route], self._asked[route]

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
        if not self._by_uid and self._chain is None:  # there is nobody
            return
        old, new = delta.old, delta.new
        owners = self.owners_of(new) if new is not None else {}
        if self._chain is not None:
            self._link(old, new, owners)
        if old is not None and (new is None or _moved(old, new) or self._routes):
            before = self.owners_of(old)
            owners = {**owners, **before} if owners else before
        if self._by_name:
            subject = new or old
            asking = self._by_name.get(subject.metadata.name) if subject is not None else None
            if asking:
                owners = {**owners, **dict.fromkeys(asking)}
        for owner in owners:
            owner.concerned(self._gvk, delta, initial)

    def owners_of(self, entry: Entry) -> dict[Owner, None]:
        """Return the owners an object belongs to."""
        owners: dict[Owner, None] = {}
        metadata = entry.metadata
        for reference in metadata.owner_references or ():
            by_reference: Iterable[Owner] = self._by_uid.get(reference.uid, ())
            if not by_reference and self._chain is not None:
                by_reference = self._chain.find(reference.uid)
            for owner in by_reference:
                owners[owner] = None
        if self._pairs or self._loose:
            self._by_labels(metadata.labels or {}, owners)
        if self._routes:
            self._by_route(entry, owners)
        return owners

    def _by_labels(self, labels: Mapping[str, str], owners: dict[Owner, None]) -> None:
        for label, value in labels.items():
            values = self._pairs.get(label)
            bucket = values.get(value) if values is not None else None
            if bucket is not None:
                _select(bucket, labels, owners)
        if self._loose:
            _select(self._loose, labels, owners)

    def _by_route(self, entry: Entry, owners: dict[Owner, None]) -> None:
        for route in self._asked.values():
            # A failing one names nobody: others use this informer too.
            for owner in route.call(entry.metadata, entry):
                owners[owner] = None

    def _function_of(self, route: Route) -> UserFunction[Iterable[Owner]]:
        def owners_named(entry: Entry) -> Iterable[Owner]:
            # Each route reads an Object of its own: what one of them does to it, the next must not see.
            named = route(Object(entry.metadata, entry.raw, self._gvk))
            if not named:
                return ()
            if isinstance(named, str | tuple):
                return self._named(named)
            return [owner for one in named for owner in self._named(one)]

        return UserFunction(owners_named, "route.failed", otherwise=(), kind=self._gvk.kind, named=route)

    def _named(self, name: ObjectKey | str | tuple[str, str]) -> Iterable[Owner]:
        """Return the owners of a key or a UID."""
        return self._by_key.get(ObjectKey(*name), ()) if isinstance(name, tuple) else self._by_uid.get(name, ())

    def _link(self, old: Entry | None, new: Entry | None, owners: dict[Owner, None]) -> None:
        """Remember whose this object is now, so that what it owns finds the way."""
        chain = self._chain
        assert chain is not None
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            chain.gone(old.metadata.uid)
        if new is None:
            return
        # What several custom resources share leads to none of them: its children are not anybody's own.
        if owners and (len(owners) == 1 or len({owner.uid for owner in owners}) == 1):
            chain.link(new.metadata.uid, tuple(owners))
        elif old is not None:
            chain.unlink(new.metadata.uid)

    def _bucket(self, selector: LabelSelector) -> _Bucket:
        if not selector.pairs:
            return self._loose
        label, value = _pair(selector)
        return self._pairs.setdefault(label, {}).setdefault(value, {})

    def _remove_selector(self, selector: LabelSelector, owner: Owner) -> None:
        bucket = self._bucket(selector)
        _remove(bucket, selector, owner)
        if selector.pairs:
            label, value = _pair(selector)
            if not bucket:
                del self._pairs[label][value]
            if not self._pairs[label]:
                del self._pairs[label]


def _pair(selector: LabelSelector) -> tuple[str, str]:
    """Return the pair that stands for a selector.

    The longest value is likeliest to be one owner's own: `app=memcached` is everybody's, a name is not.
    """
    return max(selector.pairs, key=lambda pair: len(pair[1]))


def _select(bucket: _Bucket, labels: Mapping[str, str], owners: dict[Owner, None]) -> None:
    """Add the owners whose selectors match."""
    for selector, selecting in bucket.items():
        if (selector.pairs and len(selector.requirements) == 1) or selector.matches(labels):
            owners.update(dict.fromkeys(selecting))


def _add(table: dict[T, _Owners], key: T, owner: Owner) -> None:
    owners = table.setdefault(key, {})
    owners[owner] = owners.get(owner, 0) + 1


def _remove(table: dict[T, _Owners], key: T, owner: Owner) -> None:
    """Take one entry of an owner out of a table."""
    owners = table.get(key)
    if owners is None or owner not in owners:
        return
    owners[owner] -= 1
    if not owners[owner]:
        del owners[owner]
    if not owners:
        del table[key]


def _moved(old: Entry, new: Entry) -> bool:
    a, b = old.metadata, new.metadata
    if a.labels is not b.labels and a.labels != b.labels:
        return True
    return a.owner_references is not b.owner_references and a.owner_references != b.owner_references
