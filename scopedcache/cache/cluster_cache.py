"""The cluster-wide part of a cache: what is watched for everybody, and scopes over cluster-scoped kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from types import MappingProxyType
from typing import Final, Protocol

from ..errors import NotSyncedError, NotWatchedError
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
        self, owner: OwnerId, needs: Iterable[Kind | Need], namespace: str | None, wait: float | None
    ) -> ResourceCache:
        """Open what an owner needs in a namespace, None for the whole cluster."""


class ClusterCache(Lister):
    """Reads of the kinds that somebody watches in the whole cluster: a controller's own kind, for one."""

    def __init__(self, opener: Opener, table: ScopeTable) -> None:
        super().__init__(_ClusterViews(table))
        self._opener = opener

    async def open(
        self, owner: Object | OwnerId, *needs: Kind | Need, sync_timeout: float | None = None
    ) -> ResourceCache:
        """Open cluster-scoped kinds, or namespaced ones over all namespaces, for an owner. See `ScopedCache.open`."""
        return await self._opener.open(OwnerId.of(owner), needs, None, sync_timeout)


class _ClusterViews:
    """Finds a view anew each time: informers come and go with the rights to them."""

    views: Mapping[Kind, View] = MappingProxyType({})

    def __init__(self, table: ScopeTable) -> None:
        self._table = table

    def find(self, kind: Kind) -> View:
        """Return how a kind is seen in the whole cluster: all of it, if anybody does, or else by one name."""
        missing: Exception | None = None
        named: View | None = None
        for binding in self._table.in_cluster():
            need = binding.scope.needs.find(kind)
            if need is None:
                continue
            informer = binding.informer_of(need)
            if informer is None:
                missing = missing or binding.scope.error or NotSyncedError(f"{kind} in the whole cluster: not open yet")
            elif need.need.name is None:
                return View(informer, need.resource, None, EVERYTHING)
            else:
                named = View(informer, need.resource, None, EVERYTHING, need.need.name)
        if named is not None:
            return named
        raise copy(missing) or NotWatchedError(f"nobody watches {kind} in the whole cluster")
