"""The cluster-wide part of a cache: what is watched for everybody, and scopes over cluster-scoped kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from types import MappingProxyType
from typing import Final, Protocol

import attrs

from ..errors import NotSyncedError, NotWatchedError, where
from ..kinds import Kind
from ..needs import Need
from ..objects import Object
from ..selectors import LabelSelector
from .lister import Lister, View
from .owner import OwnerId
from .resource_cache import ResourceCache
from .scope_table import ScopeTable

# What an owner's need selects is that owner's affair.
EVERYTHING: Final = LabelSelector()


class Opener(Protocol):
    """Opens scopes."""

    async def open(
        self, owner: Object | OwnerId, needs: Iterable[Kind | Need], namespace: str | None, wait: float | None
    ) -> ResourceCache:
        """Open what an owner needs in a namespace, None for the whole cluster."""


class ClusterCache(Lister):
    """Reads of the kinds that somebody watches in the whole cluster: a controller's own kind, for one.

    Where a kind is watched in single namespaces instead, `get` with a namespace in the key, and `in_namespace`, read
    what is watched there.
    """

    def __init__(self, opener: Opener, table: ScopeTable) -> None:
        super().__init__(_ClusterViews(table))
        self._opener = opener
        self._table = table

    async def open(
        self, owner: Object | OwnerId, *needs: Kind | Need, sync_timeout: float | None = None
    ) -> ResourceCache:
        """Open cluster-scoped kinds, or namespaced ones over all namespaces, for an owner. See `ScopedCache.open`."""
        return await self._opener.open(owner, needs, None, sync_timeout)

    def in_namespace(self, namespace: str) -> Lister:
        """Return a lister of what is watched for everybody, in the whole cluster or there, that shows one namespace."""
        return Lister(_NamespaceViews(self._table, namespace))


class _ClusterViews:
    """Finds a view anew each time: informers come and go with the rights to them."""

    views: Mapping[Kind, View] = MappingProxyType({})

    def __init__(self, table: ScopeTable) -> None:
        self._table = table

    def find(self, kind: Kind, namespace: str | None = None) -> View:
        """Return how a kind is seen: the whole cluster goes before the namespace, all of a kind before one name."""
        missing: Exception | None = None
        named: View | None = None
        for binding in self._table.of_everybody(namespace):
            need = binding.scope.needs.find(kind)
            if need is None:
                lost = binding.scope.needs.find_lost(kind)
                missing = lost.error or missing if lost is not None else missing
                continue
            place = binding.scope.namespace if need.resource.namespaced else None
            informer = binding.informer_of(need)
            if informer is None:
                missing = binding.scope.denial or NotSyncedError(f"{kind} {_words(place)}: not open yet")
            elif need.need.name is None:
                return View(informer, need.resource, place, EVERYTHING)
            else:
                named = named or View(informer, need.resource, place, EVERYTHING, need.need.name)
        if named is not None:
            return named
        raise copy(missing) or NotWatchedError(f"nobody watches {kind} {_words(namespace)}")


class _NamespaceViews(_ClusterViews):
    """The same, narrowed to one namespace."""

    def __init__(self, table: ScopeTable, namespace: str) -> None:
        super().__init__(table)
        self._namespace = namespace

    def find(self, kind: Kind, namespace: str | None = None) -> View:
        view = super().find(kind, self._namespace)
        return attrs.evolve(view, namespace=self._namespace) if view.resource.namespaced else view


def _words(namespace: str | None) -> str:
    return where(namespace) if namespace else "in the whole cluster"
