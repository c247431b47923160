"""Places in several clusters: `app` is a namespace of the manager's own, `east/app` one of the cluster `east`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import attrs

from ..cache import ScopedCache
from ..controller import Cluster
from ..errors import APIError, CacheError, NotSyncedError
from ..kinds import GVK

NAMESPACE: Final = GVK("", "v1", "Namespace")


@attrs.frozen
class ClusterPlaces:
    """Leads from a place to its cache.

    Attributes:
        home: the cache of the manager's own cluster.
        clusters: the others, if any; they come and go.
    """

    home: ScopedCache
    clusters: Mapping[str, Cluster] | None

    def find(self, place: str) -> tuple[ScopedCache, str]:
        """Return the cache of a place, and its namespace there.

        Raises:
            NotSyncedError: its cluster is not there now, or does not answer.
        """
        cluster, namespace = split(place)
        cache = self.home if not cluster else self._cache_of(cluster)
        if cache is None:
            raise NotSyncedError(f"there is no cluster {cluster!r} now")
        if cluster and cache.monitor.server_away:
            raise NotSyncedError(f"the API server of cluster {cluster!r} does not answer")
        return cache, namespace

    def caches(self) -> Iterator[tuple[str, ScopedCache]]:
        """Return the caches that run, by cluster; the manager's own goes first."""
        yield "", self.home
        for cluster in self.clusters or ():
            if (cache := self._cache_of(cluster)) is not None:
                yield cluster, cache

    def without_gone(self, places: Iterable[str]) -> set[str]:
        """Leave out the places that are known to be there no more: Namespaces are watched, and theirs is gone.

        Raises:
            APIError: those of the manager's own cluster may not be seen.
        """
        there: dict[str, set[str]] = {}
        for cluster, cache in self.caches():
            with suppress(*((CacheError, APIError) if cluster else (CacheError,))):
                there[cluster] = {one.name for one in cache.cluster.list(NAMESPACE)}
        split_places = [(place, *split(place)) for place in places]
        return {place for place, cluster, namespace in split_places if namespace in there.get(cluster, (namespace,))}

    def _cache_of(self, cluster: str) -> ScopedCache | None:
        found = self.clusters.get(cluster) if self.clusters is not None else None
        return found.cache if found is not None and found.cache.loop is not None else None


def split(place: str) -> tuple[str, str]:
    """Return the cluster of a place, empty for the manager's own, and its namespace."""
    cluster, _, namespace = place.rpartition("/")
    return cluster, namespace


def place_in(cluster: str, namespace: str) -> str:
    """Return the name of a place."""
    return f"{cluster}/{namespace}" if cluster else namespace
