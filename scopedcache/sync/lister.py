"""The blocking twins of the read handles. Each read is one hop to the loop; decoding happens in the caller's thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

from .. import cache
from ..cache.lister import Name
from ..cache.owner import Denial
from ..kinds import Kind
from ..objects import Object
from ..selectors import Labels
from .client import Client
from .portal import Portal

T = TypeVar("T")


class Lister:
    """`scopedcache.Lister` for threads: the same answers, the same errors."""

    def __init__(self, lister: cache.Lister, portal: Portal) -> None:
        self._lister = lister
        self._portal = portal

    @overload
    def get(self, kind: Kind, key: Name, *, max_age: float | None = None) -> Object | None: ...
    @overload
    def get(self, kind: Kind, key: Name, *, model: type[T], max_age: float | None = None) -> T | None: ...

    def get(
        self, kind: Kind, key: Name, *, model: type[T] | None = None, max_age: float | None = None
    ) -> Object | T | None:
        """Return an object, or None where it is known not to be there."""
        obj = self._portal.call(lambda: self._lister.get(kind, key, max_age=max_age))
        return obj.to_model(model) if obj is not None and model else obj

    @overload
    def list(self, kind: Kind, *, labels: Labels = None, max_age: float | None = None) -> Sequence[Object]: ...
    @overload
    def list(
        self, kind: Kind, *, labels: Labels = None, model: type[T], max_age: float | None = None
    ) -> Sequence[T]: ...

    def list(
        self, kind: Kind, *, labels: Labels = None, model: type[T] | None = None, max_age: float | None = None
    ) -> Sequence[Object] | Sequence[T]:
        """Return all objects of a kind that the labels select, in no particular order."""
        objects = self._portal.call(lambda: self._lister.list(kind, labels=labels, max_age=max_age))
        return [obj.to_model(model) for obj in objects] if model else objects

    def by_index(self, kind: Kind, name: str, value: str) -> Sequence[Object]:
        """Return what an index holds under a value."""
        return self._portal.call(lambda: self._lister.by_index(kind, name, value))

    def age(self, kind: Kind) -> float:
        """Return the seconds since the server was last heard about a kind."""
        return self._portal.call(lambda: self._lister.age(kind))

    def __repr__(self) -> str:
        return f"<sync {self._lister!r}>"


class ResourceCache(Lister):
    """`scopedcache.ResourceCache` for threads: what one owner sees in one namespace."""

    def __init__(self, resource_cache: cache.ResourceCache, portal: Portal) -> None:
        super().__init__(resource_cache, portal)
        self._cache = resource_cache

    @property
    def owner(self) -> cache.OwnerId | None:
        """Return who opened it."""
        return self._cache.owner

    @property
    def namespace(self) -> str | None:
        """Return where it looks; None for the whole cluster."""
        return self._cache.namespace

    @property
    def generation(self) -> int:
        """Return how often its scope was opened anew."""
        return self._cache.generation

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds it shows."""
        return self._portal.call(lambda: self._cache.kinds)

    @property
    def missing_permissions(self) -> Sequence[Denial]:
        """Return what is missing of the declared verbs beyond list and watch."""
        return self._portal.call(lambda: self._cache.missing_permissions)

    @property
    def client(self) -> Client:
        """Return the client that sends as this owner's identity; see `scopedcache.ResourceCache.client`."""
        return Client(self._portal.call(lambda: self._cache.client), self._portal)

    def owned(self, kind: Kind) -> Sequence[Object]:
        """Return the objects of a kind that belong to this owner."""
        return self._portal.call(lambda: self._cache.owned(kind))

    def check(self) -> None:
        """Raise if this handle shows nothing any more, or a declared verb is missing."""
        self._portal.call(self._cache.check)

    def release(self, kind: Kind) -> None:
        """Give up one kind."""
        self._portal.call(lambda: self._cache.release(kind))
