"""Small costs of ours: reads, an event with one scope open and with many, opening a scope, the import.

    python -m tests.benchmarks.micro [--scopes 10000]

Prints one line of JSON. The caches are real ones, each on a load server of its own.
"""

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs
import msgspec

from scopedcache.cache import OwnerChanged, OwnerId, ResourceCache, ScopedCache
from scopedcache.kinds import GVK, ObjectKey
from tests.benchmarks.drivers.common import NAMESPACE, Control
from tests.benchmarks.drivers.scopedcache_informer import connect
from tests.benchmarks.pods import owner_uid
from tests.benchmarks.processes import load_server

POD = GVK("", "v1", "Pod")
REPLICA_SET = GVK("apps", "v1", "ReplicaSet")
_READS = 20_000
_EVENTS = 10_000
_ROUNDS = 5
_PATIENCE_SECONDS = 300.0
_EDGE = 100
"""So many of the first and of the last scopes opened are compared."""

_IMPORT = """
import sys, time
began = time.perf_counter()
import scopedcache
took = time.perf_counter() - began
print(took, sum(name in sys.modules for name in ("kubernetes", "kubernetes_asyncio")))
"""


@attrs.define
class World:
    """A running cache with scopes open, and the door to its server. Every Pod belongs to exactly one of the scopes."""

    control: Control
    opening: list[float]
    """Seconds each scope took to open, in order; the first waits for the first list."""
    scope: ResourceCache
    told: int = 0
    _expected: int = 0
    _done: asyncio.Event = attrs.field(factory=asyncio.Event)

    def take(self, change: OwnerChanged) -> None:
        """Be the subscriber that a controller would be."""
        self.told += 1
        if self.told == self._expected:
            self._done.set()

    async def event_cost(self) -> float:
        """Return the CPU seconds of an event, from the socket to the subscriber."""
        self._expected = self.told + _EVENTS
        self._done.clear()
        gc.collect()
        began = time.process_time()
        self.control.start_events(_EVENTS)
        await asyncio.wait_for(self._done.wait(), 60)
        return (time.process_time() - began) / _EVENTS


async def open_world(stack: AsyncExitStack, scopes: int, pods: int) -> World:
    """Open a cache with so many scopes in one namespace."""
    server = stack.enter_context(load_server(pods, "--owners", str(scopes)))
    client = await stack.enter_async_context(connect(server.url, server.ca))
    cache = await stack.enter_async_context(ScopedCache(client, rbac_watch=False))
    opening: list[float] = []
    for number in range(scopes):
        owner = OwnerId(REPLICA_SET, ObjectKey(NAMESPACE, f"owner-{number}"), owner_uid(number))
        began = time.perf_counter()
        scope = await cache.open(owner, POD, sync_timeout=_PATIENCE_SECONDS)
        opening.append(time.perf_counter() - began)
        if number == 0:
            stack.callback(cache.subscribe(lambda change: world.take(change)))
    world = World(Control(server.url, server.ca), opening, scope)
    return world


def read_figures(world: World) -> dict[str, float]:
    """Measure reads of one scope."""
    scope = world.scope
    names = [pod.name for pod in scope.list(POD)]
    keys = [names[number * 7919 % len(names)] for number in range(_READS)]

    def full() -> None:
        for key in keys:
            found = scope.get(POD, key)
            assert found is not None
            found.to_dict()

    def get() -> None:
        for key in keys:
            scope.get(POD, key)

    def metadata() -> None:
        for pod in pods:
            _ = pod.resource_version

    def miss() -> None:
        for _ in keys:
            scope.get(POD, "not-there")

    def decode() -> None:
        for body in bodies:
            msgspec.json.decode(body)

    found = [scope.get(POD, key) for key in keys]
    pods = [pod for pod in found if pod is not None]
    bodies = [pod.to_json() for pod in pods]
    return {
        "full_read_us": _best(full) * 1e6,
        "decode_us": _best(decode) * 1e6,
        "get_us": _best(get) * 1e6,
        "metadata_read_us": _best(metadata) * 1e6,
        "miss_us": _best(miss) * 1e6,
    }


async def scope_figures(scopes: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure events with one scope open and with many, and the opening of the many. Return the read figures too."""
    async with AsyncExitStack() as stack:
        one = await open_world(stack, 1, pods=10_000)
        many = await open_world(stack, scopes, pods=10_000)
        costs: dict[int, list[float]] = {1: [], scopes: []}
        for _ in range(_ROUNDS):  # in turn, and the best of each: the machine's other work only ever adds
            costs[1].append(await one.event_cost())
            costs[scopes].append(await many.event_cost())
        figures = {
            "event_1_scope_us": min(costs[1]) * 1e6,
            "event_many_scopes_us": min(costs[scopes]) * 1e6,
            "event_scopes_ratio": min(costs[scopes]) / min(costs[1]),
            "first_scope_us": statistics.median(many.opening[1:_EDGE]) * 1e6,
            "last_scope_us": statistics.median(many.opening[-_EDGE:]) * 1e6,
        }
        return figures, read_figures(one)


def import_figures() -> dict[str, float]:
    """Measure `import scopedcache` in fresh interpreters."""
    runs = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
        runs.append([float(part) for part in done.stdout.split()])
    return {"import_ms": statistics.median(run[0] for run in runs) * 1e3, "import_clients": max(run[1] for run in runs)}


def _best(work: Callable[[], Any]) -> float:
    """Return the seconds of one read, the best of some rounds."""
    times = []
    for _ in range(_ROUNDS):
        gc.collect()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times) / _READS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.micro")
    parser.add_argument("--scopes", type=int, default=10_000)
    options = parser.parse_args()
    scopes, reads = asyncio.run(scope_figures(options.scopes))
    print(json.dumps(reads | scopes | import_figures()), flush=True)


if __name__ == "__main__":
    main()
