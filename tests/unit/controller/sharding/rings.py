"""Shards of one ring, each with a client of its own, on the embedded cluster or a real one, and what they did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import attrs

from scopedcache import Client, ControllerRing, Manager, Request, ScopedCache, Sharding
from scopedcache.clock import loop_time
from scopedcache.controller.controller import Controller
from scopedcache.errors import NotLeaderError
from scopedcache.testing import Grant
from scopedcache.testing.resources import Resources
from tests.unit.cluster import CONFIG_MAP, MEMCACHED, Manifest, manifest
from tests.unit.controller.sharding.replicas import Link
from tests.unit.controller.sharding.sharder import Sharder

SYSTEM = "system"
RING = "memcached-operator"
Key = tuple[str, str]


@attrs.frozen
class Run:
    """A reconcile that went to its end: whose, of what, when, and whether its object was there."""

    shard: str
    key: Key
    begun: float
    ended: float
    found: bool


@attrs.define(eq=False)
class RunningShard:
    """One replica."""

    name: str
    link: Link
    cache: ScopedCache
    manager: Manager
    stop: asyncio.Event
    task: asyncio.Task[None]
    refused: list[Key]

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait({self.task})

    async def kill(self) -> None:
        """End it as SIGKILL does: its Lease stays as it is."""
        self.link.freeze()
        self.task.cancel()
        await asyncio.wait({self.task})

    @property
    def objects(self) -> int:
        """Return how many primaries it holds in memory."""
        informers = self.cache.snapshot().informers
        return sum(informer.objects for informer in informers if informer.kind == str(MEMCACHED))

    @property
    def opened(self) -> int:
        """Return in how many namespaces its objects have ConfigMaps open."""
        return sum(informer.kind == str(CONFIG_MAP) for informer in self.cache.snapshot().informers)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.manager.summary()["sharding"]
        return found

    @property
    def reasons(self) -> str:
        return " ".join(self.manager.summary()["reasons"])


class Ring:
    """All shards, the sharder, and the runs there were. `cluster` is asked as an admin."""

    def __init__(self, cluster: Resources, client_of: Callable[[str], Client]) -> None:
        self.cluster = cluster
        self.sharder = Sharder(cluster, RING, MEMCACHED, SYSTEM)
        self.runs: list[Run] = []
        self.shards: dict[str, RunningShard] = {}
        self.rights: dict[str, Grant] = {}  # to the primary kind
        self._client_of = client_of
        self._clients: list[Client] = []
        self._tasks: list[asyncio.Task[None]] = []

    def share_out(self) -> None:
        """Let the sharder work."""
        self._tasks.append(asyncio.create_task(self.sharder.run(), name="sharder"))

    def put(self, namespace: str, name: str = "m", **labels: str | None) -> None:
        if self.cluster.get(str(MEMCACHED), name, namespace) is None:
            self.cluster.create_namespace(namespace)
            self.cluster.create(manifest(MEMCACHED, name, namespace))
        if labels:
            self.label(namespace, name, labels)

    def label(self, namespace: str, name: str, labels: dict[str, str | None]) -> None:
        self.cluster.patch(str(MEMCACHED), name, {"metadata": {"labels": labels}}, namespace)

    def touch(self, namespace: str, name: str = "m", **annotations: str) -> None:
        self.cluster.patch(str(MEMCACHED), name, {"metadata": {"annotations": annotations}}, namespace)

    def labels(self) -> dict[str, Manifest]:
        """Return the labels of the sharder by namespace."""
        return {obj["metadata"]["namespace"]: obj["metadata"].get("labels", {}) for obj in self._objects()}

    def owners(self) -> dict[str, str | None]:
        """Return by namespace which shard an object is assigned to."""
        return {namespace: labels.get(self.sharder.shard_label) for namespace, labels in self.labels().items()}

    def _objects(self) -> list[Manifest]:
        return self.cluster.list(str(MEMCACHED))

    def runs_of(self, namespace: str, since: float = 0.0) -> list[str]:
        """Return whose runs there were for an object, each shard once in a row."""
        found: list[str] = []
        for run in self.runs:
            if run.key[0] == namespace and run.ended >= since and found[-1:] != [run.shard]:
                found.append(run.shard)
        return found

    def two_at_once(self) -> list[tuple[Run, Run]]:
        """Return runs of two shards for one object that overlapped."""
        return [
            (one, other)
            for one in self.runs
            for other in self.runs
            if one.shard < other.shard and one.key == other.key and one.begun < other.ended and other.begun < one.ended
        ]

    async def start(
        self,
        name: str,
        *,
        takes: float | Sequence[float] = 0.0,
        opens: bool = False,
        ring: ControllerRing | Sharding | None = None,
        **options: Any,
    ) -> RunningShard:
        """Start a shard; a reconcile lasts so long, in one controller or in several.

        `opens`: it has the ConfigMaps of its object's namespace open.
        """
        link = Link(self._client_of(name).transport)
        client = await Client(link).__aenter__()
        self._clients.append(client)
        cache = await ScopedCache(client, rbac_watch=False, chance=lambda: 0.5).__aenter__()
        refused: list[Key] = []

        async def reconcile(request: Request, seconds: float) -> None:
            begun, key = loop_time(), (request.namespace, request.name)
            found = cache.cluster.get(MEMCACHED, request.key)
            if opens and found is not None:
                await cache.open(found, CONFIG_MAP)
            await asyncio.sleep(seconds)
            if found is not None:
                try:
                    patch = {"metadata": {"annotations": {"writer": name}}}
                    await client.patch(MEMCACHED, request.name, patch, namespace=request.namespace)
                except NotLeaderError:
                    refused.append(key)
                    raise
            self.runs.append(Run(name, key, begun, loop_time(), found is not None))

        stop = asyncio.Event()
        manager = Manager(
            cache,
            controllers=[
                Controller(
                    for_=MEMCACHED.gvk,
                    reconcile=partial(reconcile, seconds=seconds),
                    name=f"m{number}",
                    **{"workers": 4, **options},
                )
                for number, seconds in enumerate([takes] if isinstance(takes, float) else takes)
            ],
            sharding=ring or ControllerRing(RING, namespace=SYSTEM, shard=name),
        )
        task = asyncio.create_task(manager.run(stop), name=name)
        self.shards[name] = running = RunningShard(name, link, cache, manager, stop, task, refused)
        return running

    async def until(self, check: Callable[[], Any], seconds: float = 60.0) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(seconds):
            while not check():  # noqa: ASYNC110 - a real server tells nobody
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        for shard in self.shards.values():
            shard.link.thaw()
        for task in [*self._tasks, *(shard.task for shard in self.shards.values())]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        for shard in self.shards.values():
            await shard.cache.__aexit__(None, None, None)
        for client in self._clients:
            await client.__aexit__(None, None, None)


@asynccontextmanager
async def ring_on(cluster: Resources, client_of: Callable[[str], Client]) -> AsyncIterator[Ring]:
    cluster.create_namespace(SYSTEM)
    running = Ring(cluster, client_of)
    try:
        yield running
    finally:
        await running.close()
