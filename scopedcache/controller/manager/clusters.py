"""The other clusters of a process: by name, coming and going at run time.

    clusters = Clusters({"east": Client.connect(context="east"), "west": Client.connect(context="west")})
    controller = Controller(for_=MEMCACHED, reconcile=…, clusters="others")
    manager = Manager(cache, controllers=[controller], clusters=clusters)

Each has a cache of its own: what happens to one cluster tells nothing of another, and delays nobody there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...event_logger import event_logger
from .cluster_secrets import ClusterSecrets, check_cluster_name

if TYPE_CHECKING:
    from ...api.client import Client
    from ...cache import ScopedCache

logger: Final = event_logger("scopedcache.controller")


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@attrs.frozen(eq=False)
class Cluster:
    """One cluster: its client, and the cache over that, which runs while a manager does.

    Attributes:
        idle: set while nothing of a manager runs there.
    """

    name: str
    client: Client
    cache: ScopedCache
    idle: asyncio.Event = attrs.field(factory=_set_event, init=False, repr=False)


class Clusters(Mapping[str, Cluster]):
    """The clusters there are now, by name; a manager follows what is added and removed. Belongs to the manager's loop.

    Args:
        clients: the clusters that are there from the beginning. Who made a client closes it.
        secrets: where further clusters are found: in Secrets of the manager's own cluster.
        cache_options: what their caches are made with, as for `ScopedCache`.
    """

    def __init__(
        self,
        clients: Mapping[str, Client] = MappingProxyType({}),
        *,
        secrets: ClusterSecrets | None = None,
        cache_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._secrets = secrets
        self._cache_options = dict(cache_options)
        self._clusters: dict[str, Cluster] = {}
        self._listeners: list[Callable[[], None]] = []
        for name, client in clients.items():
            self.add(name, client)

    def add(self, name: str, client: Client) -> Cluster:
        """Add a cluster, in the place of one of that name that is there: what was of that one begins anew. Plain.

        Raises:
            ValueError: it has no name: the manager's own cluster is the one without.
        """
        from ...cache import ScopedCache
        from ..cluster_metrics import ClusterMetrics

        check_cluster_name(name)
        cache = ScopedCache(client, **{"instrumentation": ClusterMetrics(name), **self._cache_options})
        cluster = self._clusters[name] = Cluster(name, client, cache)
        self._changed()
        return cluster

    def remove(self, name: str) -> None:
        """Let a cluster go: nothing is read or written there any more. Nothing happens where there is none. Plain."""
        if self._clusters.pop(name, None) is not None:
            self._changed()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` for every cluster that comes or goes; returns the way to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def find(self, cache: ScopedCache) -> None:
        """Follow the Secrets, if any, until cancelled; the manager calls it."""
        if self._secrets is not None:
            await self._secrets.follow(cache, self)

    def close(self, owner: Any) -> None:
        """Close what an owner of the manager's own cluster opened in any of them."""
        for cluster in self._clusters.values():
            if cluster.cache.loop is not None:
                cluster.cache.close(owner)

    def _changed(self) -> None:
        for listener in list(self._listeners):
            listener()

    def __getitem__(self, name: str) -> Cluster:
        return self._clusters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._clusters))

    def __len__(self) -> int:
        return len(self._clusters)

    def __repr__(self) -> str:
        return f"<Clusters {', '.join(self._clusters) or 'none'}>"
