"""What is done to a cluster while it is timed: starts, writes, watches, one test of an operator.

Each function does its work once, on a cluster of its own or on the one it is given, and returns figures by name.
Everything is timed twice: by the clock, and by the CPU seconds of this process, which the machine's other work cannot
stretch as much.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs

import scopedcache as sc
from examples.memcached_operator.operand import MEMCACHED
from examples.memcached_operator.reconciler import MemcachedReconciler
from scopedcache.testing import EmbeddedCluster, Twice, eventually, virtual_time
from scopedcache.testing.rest import MERGE_PATCH, Rest

WRITES = 2_000
WATCHES = 20
UPDATES = 1_000
# Requests under way at a time. In process they only take turns; a server across a socket would wait for one.
WRITERS = 8

_NAMESPACE = "bench"
_PATH = f"/api/v1/namespaces/{_NAMESPACE}/configmaps"
_END = "end"
_PATIENCE = 60.0
_CRD = Path(__file__).resolve().parent.parent.parent / "examples" / "memcached_operator" / "config" / "crd.yaml"


class WrongCountError(Exception):
    """A watch told something else than what was written."""


@attrs.define
class Spent:
    """Seconds by the clock, and of this process's CPU; both are there when the block has ended."""

    wall: float = 0.0
    cpu: float = 0.0

    def rates(self, name: str, count: int) -> dict[str, float]:
        """Return how many there were per second of either kind."""
        return {f"{name}_per_s": count / self.wall, f"{name}_per_cpu_s": count / self.cpu}

    def times(self, name: str) -> dict[str, float]:
        """Return the milliseconds of either kind."""
        return {f"{name}_ms": self.wall * 1e3, f"{name}_cpu_ms": self.cpu * 1e3}


@contextmanager
def spent(used: Callable[[], float] = time.process_time) -> Iterator[Spent]:
    """Time a block; `used` tells the CPU seconds. The garbage of what ran before is not its business."""
    gc.collect()
    found, wall, cpu = Spent(), time.perf_counter(), used()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, used() - cpu


def ready() -> dict[str, float]:
    """Start a cluster and ask it something, in process and over HTTPS."""
    with ExitStack() as clusters:
        with spent() as quiet:
            cluster = clusters.enter_context(EmbeddedCluster.start())
            cluster.request("GET", "/api/v1/namespaces/default")
        with spent() as open_:
            cluster = clusters.enter_context(EmbeddedCluster.start(http=True))
            rest = Rest(cluster.url, str(cluster.ca_file))
            clusters.callback(rest.close)
            rest.request("GET", "/api/v1/namespaces/default", token=cluster.admin.token)
    return quiet.times("ready") | open_.times("ready_http")


def embedded_writes() -> dict[str, float]:
    """Write to an embedded cluster, through a client and through the admin."""
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace(_NAMESPACE)
        figures = asyncio.run(client_writes(cluster.client))
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace(_NAMESPACE)
        return figures | _admin_writes(cluster)


async def client_writes(connect: Callable[[], sc.Client], namespace: str = _NAMESPACE) -> dict[str, float]:
    """Create ConfigMaps and patch each of them, through the library's own client."""

    async def create(number: int) -> None:
        await client.create(config_map(number), namespace=namespace)

    async def patch(number: int) -> None:
        await client.patch("configmaps", f"config-{number}", _patch(number), namespace=namespace)

    async with connect() as client:
        await client.list("configmaps", namespace=namespace)  # what is asked only once, is asked
        with spent() as creating:
            await _by_writers(create)
        with spent() as patching:
            await _by_writers(patch)
    return creating.rates("creates", WRITES) | patching.rates("patches", WRITES)


def deliveries() -> dict[str, float]:
    """Watch one kind many times over while it is written.

    Raises:
        WrongCountError: a watch did not tell each update once, in order.
    """
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace(_NAMESPACE)
        cluster.request("POST", _PATH, config_map(0))
        return asyncio.run(_deliveries(cluster))


def operator_test() -> dict[str, float]:
    """Run what the first test of docs/testing.md does, for an operator with no more rights than it needs."""
    with spent() as testing:
        with EmbeddedCluster.start() as cluster:
            virtual_time.run(_operator_test(cluster))
    return testing.times("test")


def config_map(number: int) -> dict[str, Any]:
    """Return a ConfigMap of half a kilobyte."""
    metadata = {"name": f"config-{number}", "labels": {"app": "bench"}}
    data = {f"key-{key}": "x" * 40 for key in range(8)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _patch(number: int) -> dict[str, Any]:
    return {"data": {"key-0": f"now {number}"}}


async def _by_writers(write: Callable[[int], Any]) -> None:
    async def some(first: int) -> None:
        for number in range(first, WRITES, WRITERS):
            await write(number)

    async with asyncio.TaskGroup() as tasks:
        for first in range(WRITERS):
            tasks.create_task(some(first))


def _admin_writes(cluster: EmbeddedCluster) -> dict[str, float]:
    with spent() as creating:
        for number in range(WRITES):
            cluster.request("POST", _PATH, config_map(number))
    with spent() as patching:
        for number in range(WRITES):
            cluster.request("PATCH", f"{_PATH}/config-{number}", _patch(number), content_type=MERGE_PATCH)
    return creating.rates("admin_creates", WRITES) | patching.rates("admin_patches", WRITES)


async def _deliveries(cluster: EmbeddedCluster) -> dict[str, float]:
    async with cluster.client() as client, asyncio.timeout(_PATIENCE), _open_watches(cluster, client) as watches:
        with spent() as delivering:
            written = [
                (await client.patch("configmaps", "config-0", _patch(n), namespace=_NAMESPACE)).resource_version
                for n in range(UPDATES)
            ]
            await client.create({**config_map(0), "metadata": {"name": _END}}, namespace=_NAMESPACE)
            told = await asyncio.gather(*watches)
    wrong = [len(versions) for versions in told if versions != written]
    if wrong or len(set(written)) != UPDATES:
        raise WrongCountError(f"{len(wrong)} of {WATCHES} watches told other than {UPDATES} updates in order: {wrong}")
    return delivering.rates("deliveries", WATCHES * UPDATES)


@asynccontextmanager
async def _open_watches(cluster: EmbeddedCluster, client: sc.Client) -> AsyncIterator[list[asyncio.Task[list[str]]]]:
    """Open the watches; each returns the versions that it was told of, once it is told of the end."""
    start = (await client.list("configmaps", namespace=_NAMESPACE)).resource_version

    async def versions() -> list[str]:
        found: list[str] = []
        watch = client.watch("configmaps", namespace=_NAMESPACE, resource_version=start)
        async with aclosing(watch) as events:
            async for _, told in events:
                if told.name == _END:
                    break
                found.append(told.resource_version)
        return found

    async with asyncio.TaskGroup() as tasks:
        watches = [tasks.create_task(versions()) for _ in range(WATCHES)]
        await eventually(lambda: len(cluster.server.watches) == WATCHES)
        yield watches


async def _operator_test(cluster: EmbeddedCluster) -> None:
    cluster.apply(_CRD)
    operator = cluster.service_account("system", "operator")
    memcacheds = ("memcacheds.cache.example.com", "memcacheds.cache.example.com/status")
    cluster.grant(operator, ("get", "list", "watch", "update", "patch"), memcacheds)
    needed = ("get", "list", "watch", "create", "update")
    cluster.grant(operator, needed, ("deployments.apps", "pods"), namespace="default")
    resource = {"apiVersion": "cache.example.com/v1alpha1", "kind": "Memcached", "metadata": {"name": "one"}}
    cluster.create({**resource, "spec": {"size": 3}}, "default")
    client = cluster.client(operator)
    async with sc.ScopedCache(client) as cache, asyncio.TaskGroup() as tasks:
        reconciler = Twice(MemcachedReconciler(cache, client), client)
        running = tasks.create_task(sc.Controller(for_=MEMCACHED, reconcile=reconciler).run(cache))
        await eventually(lambda: len(cluster.list("pods", "default")) == 3)
        running.cancel()
    reconciler.check()
