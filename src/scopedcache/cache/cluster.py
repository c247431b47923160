"""The cluster-wide part of a cache: what is watched for everybody, and scopes over cluster-scoped kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NotWatchedError
from ..objects import Kind, Need, Object
from .changes import OwnerId
from .lister import Lister, View
from .resource_cache import ResourceCache
from .scopes import Scopes

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
        for scope in self._scopes.in_cluster():
            held = scope.find(kind)
            if held is None:
                continue
            if held.informer is not None:
                return scope.handle.view_of(kind)
            missing = scope.error
        raise missing or NotWatchedError(f"nobody watches {kind} in the whole cluster")
