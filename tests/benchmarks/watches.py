"""What many watches cost in one process: memory of each while it is idle, and CPU of opening it, over TLS.

    python -m tests.benchmarks.watches [--watches 2000] [--uvloop]

Opens a scope in each of so many namespaces, as an operator does, on a load server; prints one line of JSON.
"""

import argparse
import asyncio
import gc
import json
import time

import psutil

from scopedcache.cache import OwnerId, ScopedCache
from scopedcache.kinds import GVK, ObjectKey
from scopedcache.needs import Need
from tests.benchmarks.drivers.scopedcache_informer import connect
from tests.benchmarks.pods import make_pods
from tests.benchmarks.processes import Address, load_server

_OWNER = GVK("example.com", "v1", "Widget")
_PATIENCE_SECONDS = 600.0


async def measure(server: Address, watches: int) -> dict[str, float]:
    """Open the watches all at once, and look at the process before and after."""
    namespaces = [pod.namespace for pod in make_pods(watches, watches, 1)]
    async with connect(server.url, server.ca) as client, ScopedCache(client, rbac_watch=False) as cache:
        await client.version()
        gc.collect()
        before, wall, cpu = psutil.Process().memory_info().rss, time.perf_counter(), time.process_time()

        async def open_in(namespace: str) -> None:
            owner = OwnerId(_OWNER, ObjectKey(namespace, "widget"), f"uid-of-{namespace}")
            await cache.open(owner, Need("pods"), sync_timeout=_PATIENCE_SECONDS)

        await asyncio.gather(*[open_in(namespace) for namespace in namespaces])
        seconds, used = time.perf_counter() - wall, time.process_time() - cpu
        gc.collect()
        after = psutil.Process().memory_info().rss
        return {
            "watches": watches,
            "watch_kib": (after - before) / 1024 / watches,
            "watches_open_s": seconds,
            "watches_open_cpu_s": used,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.watches")
    parser.add_argument("--watches", type=int, default=2_000)
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    with load_server(options.watches, "--namespaces", str(options.watches)) as server:
        if options.uvloop:
            import uvloop

            found = uvloop.run(measure(server, options.watches))
        else:
            found = asyncio.run(measure(server, options.watches))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
