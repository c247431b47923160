"""`python -m tests.faults.overload [--only TEXT] [--page]`: more than an operator can take, and a figure for each.

Each load runs in a process of its own; time is the machine's, work is this thread's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from scopedcache import (
    GVK,
    Client,
    EventHandler,
    NotSyncedError,
    Object,
    ObjectKey,
    OwnerChanged,
    ResourceCache,
    ScopedCache,
)
from scopedcache.api.transport import Query, Response, Stream
from scopedcache.cache import OwnerId
from scopedcache.informer import Informer
from scopedcache.kinds import GVR, Resource
from scopedcache.supervisor import Supervisor
from scopedcache.testing import EmbeddedCluster

from . import steps

JSON: Final = "application/json"
PODS: Final = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
END: Final = '"annotations":{"k8s.io/initial-events-end":"true"},'
CONFIG_MAP: Final = "configmaps"
TASKS_IN_A_TURN: Final = 100


@attrs.frozen
class Figure:
    """What a load came to: memory in MiB more than before; in milliseconds of work the longest turn of the loop, and
    the longest collection of cycles, which is not in it.
    """

    load: str
    seconds: float
    memory: float
    step: float
    lost: int
    words: str = ""
    collection: float = 0.0


def event(type_: str, number: int, version: int, data: str = "") -> bytes:
    """Return a line of a watch."""
    about = f'"name":"pod-{number}","namespace":"a","uid":"uid-{number}","resourceVersion":"{version}"'
    return (
        f'{{"type":"{type_}","object":{{"kind":"Pod","apiVersion":"v1","metadata":{{{about}}},"data":"{data}"}}}}\n'
    ).encode()


class Flood:
    """A server that has so many objects, and then sends so many events a second."""

    def __init__(self, objects: int, events: int, per_second: int) -> None:
        self.objects, self.events, self.per_second = objects, events, per_second
        self.version = objects
        self.sent = asyncio.Event()

    async def request(self, method: str, path: str, query: Query = (), **options: Any) -> Response:
        raise AssertionError("nothing is asked")

    @asynccontextmanager
    async def stream(self, path: str, query: Query = (), **options: Any) -> AsyncIterator[Stream]:
        yield _Flow(self)

    async def close(self) -> None:
        """Nothing is open."""


class _Flow:
    status, content_type = 200, JSON

    def __init__(self, flood: Flood) -> None:
        self.headers: Mapping[str, str] = {}
        self._flood = flood

    async def chunks(self) -> AsyncIterator[bytes]:
        flood = self._flood
        for first in range(0, flood.objects, 100):
            last = min(first + 100, flood.objects)
            yield b"".join(event("ADDED", number, number + 1, "x" * 200) for number in range(first, last))
        mark = f'{{"kind":"Pod","apiVersion":"v1","metadata":{{{END}"resourceVersion":"{flood.version}"}}}}'
        yield f'{{"type":"BOOKMARK","object":{mark}}}\n'.encode()
        begun, sent = time.monotonic(), 0
        while sent < flood.events:
            due = min(flood.events, int((time.monotonic() - begun) * flood.per_second)) - sent
            for _ in range(0, due, 100):
                count = min(100, flood.events - sent)
                lines = (event("MODIFIED", n % flood.objects, flood.version + 1 + n) for n in range(sent, sent + count))
                yield b"".join(lines)
                sent += count
            await asyncio.sleep(0.005)
        flood.version += sent
        flood.sent.set()
        await asyncio.Event().wait()

    async def read(self) -> bytes:
        return b""


async def flooded(events: int = 100_000, per_second: int = 20_000, objects: int = 2_000) -> Figure:
    """Send events faster than a handler of half a millisecond can take them."""
    flood = Flood(objects, events, per_second)
    informer = Informer(Client(flood), PODS, namespace="a")
    seen: dict[str, str] = {}
    calls = [0]

    def slow(obj: Object) -> None:
        end = time.thread_time() + 0.0005
        while time.thread_time() < end:
            pass
        seen[obj.name] = obj.resource_version
        calls[0] += 1

    handler = EventHandler(on_add=lambda obj, _: slow(obj), on_update=lambda _, new: slow(new), coalesce=True)
    informer.add_handler(handler)
    supervisor = Supervisor("flood")
    before, start, peak = steps.resident(), time.monotonic(), 0.0
    informer.start(supervisor)
    await informer.wait_synced()
    steps.longest(reset=True)
    begun = time.monotonic()
    while not flood.sent.is_set():
        peak = max(peak, steps.resident())
        await asyncio.sleep(0.05)
    rate = events / (time.monotonic() - begun)
    truth = {obj.name: obj.resource_version for obj in informer.list()}
    while seen != truth and time.monotonic() - start < 120:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    step = steps.longest()
    lost = len(truth.items() - seen.items()) + objects - len(truth)
    informer.close()
    await supervisor.close()
    words = f"{rate:,.0f} events/s taken, {calls[0]:,} calls of the handler"
    load = f"{per_second:,} events/s into a handler of half a millisecond"
    return Figure(load, time.monotonic() - start, peak - before, step * 1e3, lost, words)


async def listed(objects: int = 100_000) -> Figure:
    """List a kind of so many objects, then change each of them once."""
    flood = Flood(objects, objects, 20_000)
    informer = Informer(Client(flood), PODS, namespace="a")
    supervisor = Supervisor("list")
    before, start = steps.resident(), time.monotonic()
    steps.longest(reset=True)
    informer.start(supervisor)
    await informer.wait_synced()
    took = time.monotonic() - start
    await flood.sent.wait()
    while informer.resource_version != str(flood.version):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    step, memory = steps.longest(), steps.resident() - before
    stale = sum(int(obj.resource_version) <= objects for obj in informer.list()) + objects - len(informer)
    informer.close()
    await supervisor.close()
    words = f"synced after {took:.1f} s"
    return Figure(f"a kind of {objects:,} objects", time.monotonic() - start, memory, step * 1e3, stale, words)


def owner(number: int, namespace: str) -> OwnerId:
    return OwnerId(GVK("x.io", "v1", "W"), ObjectKey(namespace, f"w-{number}"), f"uid-{number}")


async def opened(scopes: int = 10_000, places: int = 10) -> Figure:
    """Open so many scopes at once."""
    with EmbeddedCluster.start(users=("op",), kubelet=False, controllers=()) as cluster:
        user = cluster.user("op")
        for place in range(places):
            cluster.create_namespace(f"p-{place}")
            cluster.grant(user, ("list", "watch"), (CONFIG_MAP,), namespace=f"p-{place}")
        async with cluster.client(user) as client, ScopedCache(client, rbac_watch=False) as cache:
            told: set[str] = set()
            cache.subscribe(lambda change: told.add(change.uid))
            before, start = steps.resident(), time.monotonic()
            steps.longest(reset=True)
            opening: list[asyncio.Task[ResourceCache]] = []
            for number in range(scopes):
                opening.append(asyncio.create_task(cache.open(owner(number, f"p-{number % places}"), CONFIG_MAP)))
                if number % TASKS_IN_A_TURN == 0:  # a program's own turns are its own affair
                    await asyncio.sleep(0)
            late = 0
            for task in opening:
                try:
                    await task
                except NotSyncedError:
                    late += 1
            while len(told) < late and time.monotonic() - start < 600:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
            figure = time.monotonic() - start, steps.resident() - before, steps.longest() * 1e3
            count = sum(map(len, cache.namespaces.values()))
            return Figure(f"{scopes:,} scopes opened at once", *figure, scopes - count, f"{late:,} of them told later")


async def denied(owners: int = 5_000) -> Figure:
    """Take the right of so many owners in one namespace."""
    with EmbeddedCluster.start(users=("op",), kubelet=False, controllers=()) as cluster:
        user = cluster.user("op")
        cluster.create_namespace("p")
        grant = cluster.grant(user, ("list", "watch"), (CONFIG_MAP,), namespace="p")
        async with cluster.client(user) as client, ScopedCache(client, rbac_watch=False, detection_bound=4.0) as cache:
            told: set[str] = set()

            def hear(change: OwnerChanged) -> None:
                if change.cause == "denied":
                    told.add(change.uid)

            for first in range(0, owners, 100):
                await asyncio.gather(*(cache.open(owner(n, "p"), CONFIG_MAP) for n in range(first, first + 100)))
            cache.subscribe(hear)
            before, start = steps.resident(), time.monotonic()
            steps.longest(reset=True)
            grant.revoke()
            while len(told) < owners and time.monotonic() - start < 60:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            figure = steps.resident() - before, steps.longest() * 1e3
    return Figure(f"{owners:,} owners denied in one step", time.monotonic() - start, *figure, owners - len(told))


LOADS: Final[dict[str, Callable[[], Awaitable[Figure]]]] = {
    "events": flooded,
    "objects": listed,
    "scopes": opened,
    "denials": denied,
}


def main() -> int:
    """Return 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.overload", description="More than can be taken.")
    parser.add_argument("--only", default="", choices=["", *LOADS])
    parser.add_argument("--here", action="store_true", help="in this process, as JSON")
    parser.add_argument("--page", action="store_true", help="write the figures into docs/faults.md")
    options = parser.parse_args()
    if options.here:
        logging.disable()
        gc.freeze()  # as Program.run does
        sys.stdout.write(json.dumps(attrs.asdict(steps.run(_carried(LOADS[options.only])))))
        return 0
    figures = []
    for name in LOADS:
        if options.only in ("", name):
            command = [sys.executable, "-m", "tests.faults.overload", "--here", "--only", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures.append(figure := Figure(**json.loads(done.stdout)))
            sys.stdout.write(f"{table_row(figure)}\n")
            sys.stdout.flush()
    if options.page:
        from .page import write_overload

        write_overload([table_row(figure) for figure in figures])
    return 1 if any(figure.lost for figure in figures) else 0


async def _carried(load: Callable[[], Awaitable[Figure]]) -> Figure:
    figure = await load()
    return attrs.evolve(figure, collection=steps.longest_collection() * 1e3)


def table_row(figure: Figure) -> str:
    """Return one line of the table."""
    cells = (
        figure.load, f"{figure.seconds:.1f} s", f"{figure.memory:.0f} MiB", f"{figure.step:.1f} ms",
        f"{figure.collection:.0f} ms", str(figure.lost), figure.words,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
