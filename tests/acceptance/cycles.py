"""A test operator that opens and closes scopes, over and over, and measures what is left after each time.

One JSON line per cycle: memory by tracemalloc, tasks, connections, routes, handlers.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import tracemalloc
import uuid
from pathlib import Path

from scopedcache import Need, Object, ScopedCache

OWNERS = 10


async def run(kubeconfig: str, namespaces: list[str], cycles: int) -> None:
    """Open a scope per owner and namespace, close them all, measure; again and again."""
    async with ScopedCache.connect(kubeconfig=kubeconfig) as cache:
        tracemalloc.start()
        for cycle in range(cycles):
            owners = [(owner_in(namespace, n), namespace) for namespace in namespaces for n in range(OWNERS)]
            scopes = await asyncio.gather(
                *(
                    cache.open(owner, Need("deployments.apps", verbs=("create", "update")), Need("pods"))
                    for owner, _ in owners
                )
            )
            read = sum(len(scope.list("pods")) for scope in scopes)
            opened = cache.snapshot()
            for owner, _ in owners:
                cache.close(owner)
            await cache.wait_closed()
            del scopes, owners
            await asyncio.sleep(0.02)  # transports close in the next turns of the loop
            gc.collect()
            closed = cache.snapshot()
            line = {
                "event": "cycle",
                "cycle": cycle,
                "read": read,
                "informers_open": len(opened.informers),
                "memory": tracemalloc.get_traced_memory()[0],
                "tasks": len(asyncio.all_tasks()),
                "connections": sockets(),
                "routes": closed.routes,
                "handlers": closed.handlers,
                "informers": len(closed.informers),
                "watches": closed.open_watches,
            }
            print(json.dumps(line), flush=True)
    print(json.dumps({"event": "done", "connections": sockets()}), flush=True)


def owner_in(namespace: str, number: int) -> Object:
    """Return a new owner: a custom resource that exists nowhere, which a cache does not mind."""
    metadata = {"namespace": namespace, "name": f"owner-{number}", "uid": str(uuid.uuid4())}
    return Object.from_dict({"apiVersion": "cache.example.com/v1alpha1", "kind": "Memcached", "metadata": metadata})


def sockets() -> int:
    """Return how many sockets this process has open."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(is_socket(link) for link in links)


def is_socket(link: Path) -> bool:
    """Tell whether an open file is a socket; one that was closed meanwhile is not."""
    try:
        return os.readlink(link).startswith("socket:")
    except OSError:
        return False


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.cycles", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", action="append", required=True)
    parser.add_argument("--cycles", type=int, default=100)
    options = parser.parse_args()
    asyncio.run(run(options.kubeconfig, options.namespace, options.cycles))


if __name__ == "__main__":
    main()
