"""The cluster-wide part of a cache: what is watched for everybody, and scopes over cluster-scoped kinds."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from ..errors import NotSyncedError, NotWatchedError
from ..kinds import Kind
from ..needs import Need
from ..objects import Object
from ..selectors import LabelSelector
from .lister import Lister, View
from .owner import OwnerId
from .resource_cache import ResourceCache
from .scope_table import Scopes

if TYPE_CHECKING:
    from .scoped_cache import ScopedCache


class ClusterCache(Lister):
    """Reads of the kinds that somebody watches in the whole cluster: a controller's own kind, for one."""

    def __init__(self, cache: ScopedCache, scopes: Scopes) -> None:
        super().__init__()
        self._cache = cache
        self._scopes = scopes

    async def open(self, owner: Object | OwnerId, *needs: Kind | Need) -> ResourceCache:
        """Open cluster-scoped kinds, or namespaced ones over all namespaces, for an owner. See `ScopedCache.open`."""
        return await self._cache._open(OwnerId.of(owner), needs, None)

    def _view(self, kind: Kind) -> View:
        """Find the view anew each time: informers come and go with the rights to them."""
        missing: Exception | None = None
        named: View | None = None
        for scope in self._scopes.in_cluster():
            held = scope.find(kind)
            if held is None:
                continue
            if held.informer is None:
                missing = missing or scope.error or NotSyncedError(f"{kind} in the whole cluster: not open yet")
            elif held.need.name is None:  # what an owner's need selects is that owner's affair
                return View(held.informer, held.resource, None, LabelSelector())
            else:
                named = View(held.informer, held.resource, None, LabelSelector(), held.need.name)
        if named is not None:
            return named
        raise copy(missing) or NotWatchedError(f"nobody watches {kind} in the whole cluster")
