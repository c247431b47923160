"""One replica as a process: its operator writes into each custom resource who has seen which size of it.

`python -m tests.scale.replica NAME KUBECONFIG REPORT WRITES`: once a second it writes to REPORT what it holds and
costs, and to WRITES a line for each write that the server took, with the
time its run had read the object at.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import scopedcache as sc
from scopedcache.api.client import load_http
from scopedcache.api.transport import Query, Response, Stream, Transport
from scopedcache.controller import Sharding, generation_changed

MEMCACHED: Final = sc.GVK("cache.example.com", "v1", "Memcached")
CONFIG_MAP: Final = sc.GVK("", "v1", "ConfigMap")
NAMESPACE: Final = "operator"


class Counted:
    """A stream whose bytes are counted."""

    def __init__(self, way: Stream, total: dict[str, int]) -> None:
        self._way = way
        self._total = total
        self.status, self.content_type, self.headers = way.status, way.content_type, way.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._way.chunks():
            self._total["watch"] += len(chunk)
            yield chunk

    async def read(self) -> bytes:
        return await self._way.read()


class CountedTransport:
    """A transport that counts what it receives: of primaries' lists and watches, and of everything."""

    def __init__(self, way: Transport) -> None:
        self._way = way
        self.total = {"watch": 0, "list": 0, "requests": 0}

    async def request(self, method: str, path: str, query: Query = (), **about: Any) -> Response:
        answer = await self._way.request(method, path, query, **about)
        self.total["requests"] += 1
        if path.endswith("/memcacheds"):
            self.total["list"] += len(answer.body)
        return answer

    def stream(self, path: str, query: Query = (), **about: Any) -> AbstractAsyncContextManager[Stream]:
        opened = self._way.stream(path, query, **about)
        return self._counted(opened) if path.endswith("/memcacheds") else opened

    @asynccontextmanager
    async def _counted(self, opened: AbstractAsyncContextManager[Stream]) -> AsyncIterator[Stream]:
        async with opened as stream:
            yield Counted(stream, self.total)

    async def close(self) -> None:
        await self._way.close()


def cost() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"cpu": used.ru_utime + used.ru_stime, "rss": pages * os.sysconf("SC_PAGE_SIZE") / 2**20}


async def main(name: str, kubeconfig: str, report: Path, writes: Path) -> None:
    await load_http()
    async with sc.Client.connect(kubeconfig=kubeconfig) as way:
        await way.version()  # so that TLS is among what it costs before it began
        bare = cost()["rss"]
        transport = CountedTransport(way.transport)
        async with sc.Client(transport) as client, sc.ScopedCache(client, rbac_watch=False) as cache:
            with writes.open("a", buffering=1) as written:
                await operate(name, client, cache, transport, report, written, bare)


async def operate(
    name: str,
    client: sc.Client,
    cache: sc.ScopedCache,
    transport: CountedTransport,
    report: Path,
    written: Any,
    bare: float,
) -> None:
    async def reconcile(request: sc.Request) -> None:
        begun = time.time()
        memcached = cache.cluster.get(MEMCACHED, request.key)
        if memcached is None:
            return
        await cache.open(memcached, CONFIG_MAP)
        seen = {"metadata": {"annotations": {"seen": f"{memcached.at('spec', 'size')} by {name}"}}}
        await client.patch(MEMCACHED, request.name, seen, namespace=request.namespace)
        line = {"replica": name, "key": str(request.key), "begun": begun, "done": time.time()}
        written.write(json.dumps(line) + "\n")

    controller = sc.Controller(for_=MEMCACHED, reconcile=reconcile, predicates=[generation_changed()], workers=8)
    sharding = Sharding("operator", namespace=NAMESPACE, identity=name)
    manager = sc.Manager(cache, controllers=[controller], sharding=sharding)

    async def tell() -> None:
        told = 0.0  # CPU that telling has taken, which is not the replica's
        while True:
            await asyncio.sleep(1)
            began = time.thread_time()
            snapshot = cache.snapshot(limit=1)
            costs = cost()
            state = {
                "at": time.monotonic(),
                **costs,
                "cpu": costs["cpu"] - told,
                "bare_rss": bare,
                **transport.total,
                "bound": cache.bound,
                "watches": snapshot.open_watches,
                "namespaces": len(cache.namespaces),
                "sharding": manager.summary()["sharding"],
            }
            report.with_suffix(".new").write_text(json.dumps(state))
            report.with_suffix(".new").replace(report)
            told += time.thread_time() - began

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    telling = asyncio.create_task(tell())
    try:
        await manager.run(stop)
    finally:
        telling.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
