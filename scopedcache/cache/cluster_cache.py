"""The cluster-wide part of a cache: what is watched for everybody, and scopes over cluster-scoped kinds."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import attrs

from ..errors import NotSyncedError, NotWatchedError, where
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
    """Reads of the kinds that somebody watches in the whole cluster: a controller's own kind, for one.

    Where a kind is watched in single namespaces instead, `get` with a namespace in the key, and `in_namespace`, read
    what is watched there.
    """

    def __init__(self, cache: ScopedCache, scopes: Scopes) -> None:
        super().__init__()
        self._cache = cache
        self._scopes = scopes

    async def open(self, owner: Object | OwnerId, *needs: Kind | Need) -> ResourceCache:
        """Open cluster-scoped kinds, or namespaced ones over all namespaces, for an owner. See `ScopedCache.open`."""
        return await self._cache._open(OwnerId.of(owner), needs, None)

    def in_namespace(self, namespace: str) -> Lister:
        """Return a lister of what is watched for everybody, in the whole cluster or there, that shows one namespace."""
        return _InNamespace(self._scopes, namespace)

    def _view(self, kind: Kind, namespace: str | None = None) -> View:
        return _find(self._scopes, kind, namespace)


class _InNamespace(Lister):
    """One namespace of what is watched for everybody."""

    def __init__(self, scopes: Scopes, namespace: str) -> None:
        super().__init__()
        self._scopes = scopes
        self._namespace = namespace

    def _view(self, kind: Kind, namespace: str | None = None) -> View:
        view = _find(self._scopes, kind, self._namespace)
        return attrs.evolve(view, namespace=self._namespace) if view.resource.namespaced else view


def _find(scopes: Scopes, kind: Kind, namespace: str | None) -> View:
    """Find a view anew each time: informers come and go with the rights to them.

    The whole cluster goes before the namespace, all of a kind before one name. What an owner's need selects is that
    owner's affair.
    """
    missing: Exception | None = None
    named: View | None = None
    for scope in scopes.of_everybody(namespace):
        held = scope.find(kind)
        if held is None:
            continue
        place = scope.namespace if held.resource.namespaced else None
        if held.informer is None:
            waited_for = scope.error if scope.state == "waiting" else None
            missing = waited_for or NotSyncedError(f"{kind} {_words(place)}: not open yet")
        elif held.need.name is None:
            return View(held.informer, held.resource, place, LabelSelector())
        else:
            named = named or View(held.informer, held.resource, place, LabelSelector(), held.need.name)
    if named is not None:
        return named
    raise copy(missing) or NotWatchedError(f"nobody watches {kind} {_words(namespace)}")


def _words(namespace: str | None) -> str:
    return where(namespace) if namespace else "in the whole cluster"
