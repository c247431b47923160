"""Replicas of one operator that share their work, each with a client and a user of its own, on one embedded cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, ScopedCache
from scopedcache.api.transport import Query, Response, Stream, Transport
from scopedcache.controller.controller import Controller
from scopedcache.controller.manager.manager import Manager
from scopedcache.controller.request import Request
from scopedcache.controller.sharding.settings import Sharding
from scopedcache.errors import NotLeaderError
from scopedcache.hash_ranges import ring_hash
from scopedcache.testing.virtual_time import now
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, LEASE, MEMCACHED, Cluster, manifest

SYSTEM = "system"


class Link:
    """A transport that can be frozen: what is asked then waits, and what was sent is answered late."""

    def __init__(self, way: Transport) -> None:
        self._way = way
        self._thawed = asyncio.Event()
        self._thawed.set()

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    async def request(self, method: str, path: str, query: Query = (), **about: Any) -> Response:
        await self._thawed.wait()
        answer = await self._way.request(method, path, query, **about)
        await self._thawed.wait()
        return answer

    def stream(self, path: str, query: Query = (), **about: Any) -> AbstractAsyncContextManager[Stream]:
        return self._way.stream(path, query, **about)

    async def close(self) -> None:
        await self._way.close()


@attrs.frozen
class Write:
    """A write of a run that the server took: who, for which object, when the run began and when it had written."""

    replica: str
    key: tuple[str, str]
    begun: float
    done: float


@attrs.define(eq=False)
class Running:
    """One replica. `runs` names the keys it has reconciled; `refused` counts writes that a fence stopped."""

    name: str
    link: Link
    client: Client
    cache: ScopedCache
    manager: Manager
    stop: asyncio.Event
    task: asyncio.Task[None]
    runs: list[tuple[str, str]]
    refused: list[tuple[str, str]]

    async def end(self) -> None:
        """Stop it in good order."""
        self.stop.set()
        await asyncio.wait({self.task})

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing it sends arrives any more."""
        self.link.freeze()
        self.task.cancel()
        await asyncio.wait({self.task})

    def works_on(self, namespace: str) -> bool:
        """Tell whether its runs may write for objects of a namespace now, by what it shows of itself."""
        parts = self.manager.summary().get("sharding", {}).get("parts", [])
        ours = [part for part in parts if part["state"] in ("held", "draining")]
        return any(int(part["from"], 16) <= ring_hash(namespace) < int(part["to"], 16) for part in ours)

    @property
    def objects(self) -> int:
        """Return how many primaries it holds in memory."""
        informers = self.cache.snapshot().informers
        return sum(informer.objects for informer in informers if informer.kind == str(MEMCACHED))


class Fleet:
    """All replicas, and what they wrote."""

    def __init__(self, server: Cluster) -> None:
        self.server = server
        self.writes: list[Write] = []
        self.replicas: dict[str, Running] = {}
        self._everything: list[Any] = []

    def primaries(self, names: Iterable[str], each: int = 1) -> None:
        for name in names:
            for number in range(each):
                self.server.write({**manifest(MEMCACHED, f"m{number}", name), "spec": {"size": 1}})

    def touch(self, namespace: str, size: int, name: str = "m0") -> None:
        self.server.write({**manifest(MEMCACHED, name, namespace), "spec": {"size": size}})

    async def start(
        self,
        name: str,
        *,
        takes: float = 0.0,
        sharding: Sharding | None = None,
        through: Callable[[Transport], Transport] = lambda way: way,
        **options: Any,
    ) -> Running:
        """Start a replica; a reconcile lasts so long between what it reads and what it writes."""
        embedded = self.server.embedded
        user = embedded.user(name)
        embedded.grant(user, ALL_VERBS, [str(MEMCACHED), f"{MEMCACHED}/status", str(LEASE), str(CONFIG_MAP)])
        embedded.grant(user, ALL_VERBS, ["events.events.k8s.io", "namespaces"])
        link = Link(through(embedded.client(user).transport))
        client = await Client(link).__aenter__()
        cache = await ScopedCache(client, rbac_watch=False, chance=lambda: 0.5).__aenter__()
        runs: list[tuple[str, str]] = []
        refused: list[tuple[str, str]] = []

        async def reconcile(request: Request) -> None:
            begun = now()
            runs.append((request.namespace, request.name))
            await asyncio.sleep(takes)
            try:
                await client.patch(
                    MEMCACHED,
                    request.name,
                    {"metadata": {"annotations": {"writer": name}}},
                    namespace=request.namespace,
                )
            except NotLeaderError:
                refused.append((request.namespace, request.name))
                raise
            self.writes.append(Write(name, (request.namespace, request.name), begun, now()))

        stop = asyncio.Event()
        manager = Manager(
            cache,
            controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile, **{"workers": 4, **options})],
            sharding=sharding or Sharding("operator", namespace=SYSTEM, identity=name),
        )
        task = asyncio.create_task(manager.run(stop), name=name)
        self.replicas[name] = running = Running(name, link, client, cache, manager, stop, task, runs, refused)
        return running

    async def close(self) -> None:
        for replica in self.replicas.values():
            replica.link.thaw()
            replica.task.cancel()
        for replica in self.replicas.values():
            await asyncio.wait({replica.task})
            await replica.cache.__aexit__(None, None, None)
            await replica.client.__aexit__(None, None, None)

    # -- what was seen -------------------------------------------------------------------------------------------

    def owners(self) -> dict[str, list[str]]:
        """Return by namespace which replicas would begin a run for it now."""
        names = {body["metadata"]["namespace"] for body in self.server.embedded.list(str(MEMCACHED))}
        return {
            namespace: [name for name, one in self.replicas.items() if one.works_on(namespace)]
            for namespace in sorted(names)
        }

    def two_at_once(self) -> list[tuple[Write, Write]]:
        """Return the writes of one replica that fell into the run of another one for the same object."""
        found = []
        for one in self.writes:
            for other in self.writes:
                if one.replica != other.replica and one.key == other.key and one.begun < other.done <= one.done:
                    found.append((one, other))
        return found

    def writers(self, namespace: str, name: str = "m0") -> list[str]:
        """Return who wrote to an object, in order, each once in a row."""
        found: list[str] = []
        for write in self.writes:
            if write.key == (namespace, name) and found[-1:] != [write.replica]:
                found.append(write.replica)
        return found


@asynccontextmanager
async def fleet() -> AsyncIterator[Fleet]:
    with Cluster.running() as server:
        server.embedded.create_namespace(SYSTEM)
        running = Fleet(server)
        try:
            yield running
        finally:
            await running.close()
