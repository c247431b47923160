"""How cost grows: with namespaces, with objects, with scopes that are forbidden; and how late a lost right is noticed.

    python -m tests.benchmarks.curves [--full]

Prints one line of JSON, {name: [[x, y], …]}. `--full` goes up to 1,000 namespaces and 100,000 objects.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import random
import time

import psutil

from scopedcache import Need, OwnerChanged, ScopedCache
from scopedcache.cache import OwnerId
from scopedcache.errors import ForbiddenError
from scopedcache.kinds import GVK, ObjectKey
from scopedcache.testing import EmbeddedCluster, virtual_time
from tests.benchmarks.processes import run_driver

Curve = list[tuple[float, float]]
NAMESPACES, MANY_NAMESPACES = (1, 30, 100), (1, 100, 1_000)
OBJECTS, MANY_OBJECTS = (1_000, 10_000), (1_000, 10_000, 100_000)
FORBIDDEN, MANY_FORBIDDEN = (1, 30, 100), (1, 100, 300)
REVOCATIONS, MANY_REVOCATIONS = 30, 200
KINDS = ("configmaps", "pods")
MINUTE = 60.0

_OWNER = GVK("example.com", "v1", "Widget")


def with_namespaces(counts: tuple[int, ...]) -> dict[str, Curve]:
    """Open two kinds in each of so many namespaces of an embedded cluster; then be idle for a minute of its time."""
    memory, opening, idle, asked = Curve(), Curve(), Curve(), Curve()
    for count in counts:
        figures = virtual_time.run(_namespaces(count, allowed=True))
        memory.append((count, figures["kib"]))
        opening.append((count, figures["open_ms"]))
        idle.append((count, figures["idle_ms"]))
        asked.append((count, figures["requests"]))
    return {
        "namespaces: KiB of the process": memory,
        "namespaces: CPU of opening, ms": opening,
        "namespaces: CPU of an idle minute, ms": idle,
        "namespaces: requests of an idle minute": asked,
    }


def forbidden(counts: tuple[int, ...]) -> dict[str, Curve]:
    """Want two kinds in each of so many namespaces where nothing is allowed, for a minute."""
    idle, asked = Curve(), Curve()
    for count in counts:
        figures = virtual_time.run(_namespaces(count, allowed=False))
        idle.append((count, figures["idle_ms"]))
        asked.append((count, figures["requests"]))
    return {"forbidden namespaces: CPU of a minute, ms": idle, "forbidden namespaces: requests of a minute": asked}


async def _namespaces(count: int, *, allowed: bool) -> dict[str, float]:
    with EmbeddedCluster.start(users=("op",), kubelet=False, controllers=()) as cluster:
        user, places = cluster.user("op"), [f"p-{number}" for number in range(count)]
        for place in places:
            cluster.create_namespace(place)
            if allowed:
                cluster.grant(user, ("list", "watch"), KINDS, namespace=place)
        async with cluster.client(user) as client, ScopedCache(client, rbac_watch=False) as cache:
            gc.collect()
            before, cpu = psutil.Process().memory_info().rss, time.process_time()
            await asyncio.gather(*(_open(cache, place) for place in places))
            opened = time.process_time() - cpu
            gc.collect()
            after = psutil.Process().memory_info().rss
            await asyncio.sleep(MINUTE)  # virtual; what follows the opening is over
            mark, cpu = cluster.audit.mark(), time.process_time()
            await asyncio.sleep(MINUTE)
            used = time.process_time() - cpu
            requests = len(cluster.audit.requests(mark, user=user.username))
        return {
            "kib": (after - before) / 1024,
            "open_ms": opened * 1e3,
            "idle_ms": used * 1e3,
            "requests": requests,
        }


async def _open(cache: ScopedCache, place: str) -> None:
    owner = OwnerId(_OWNER, ObjectKey(place, "widget"), f"uid-of-{place}")
    with contextlib.suppress(ForbiddenError):
        await cache.open(owner, *(Need(kind) for kind in KINDS), sync_timeout=600.0)


def with_objects(counts: tuple[int, ...]) -> dict[str, Curve]:
    """Keep so many Pods, and take a burst of as many events."""
    sync, kept, event = Curve(), Curve(), Curve()
    for count in counts:
        figures = run_driver("scopedcache_informer", count, "--events", str(min(count, 20_000)))
        sync.append((count, figures["sync_s"] / count * 1e6))
        kept.append((count, figures["kept_kb_per_object"]))
        event.append((count, figures["cpu_us_per_event"]))
    return {
        "objects: first sync of one, µs": sync,
        "objects: kept of one, KB": kept,
        "objects: CPU of an event, µs": event,
    }


def detection(times: int) -> dict[str, Curve]:
    """Take a right at any moment, so many times: the seconds until the owner was told, sorted."""
    seconds = virtual_time.run(_detection(times))
    return {
        "seconds until a lost right is noticed": [(number / times * 100, one) for number, one in enumerate(seconds, 1)]
    }


async def _detection(times: int) -> list[float]:
    chance, found, loop = random.Random(7), list[float](), asyncio.get_running_loop()
    with EmbeddedCluster.start(users=("op",), kubelet=False, controllers=()) as cluster:
        user = cluster.user("op")
        cluster.create_namespace("p")
        async with cluster.client(user) as client, ScopedCache(client, rbac_watch=False, timer=loop.time) as cache:
            told = asyncio.Event()

            def hear(change: OwnerChanged) -> None:
                if change.cause in ("denied", "granted"):
                    told.set()

            cache.subscribe(hear)
            grant = cluster.grant(user, ("list", "watch"), KINDS, namespace="p")
            await _open(cache, "p")
            for _ in range(times):
                await asyncio.sleep(chance.uniform(10.0, 40.0))
                told.clear()
                began = loop.time()
                grant.revoke()
                await told.wait()
                found.append(loop.time() - began)
                told.clear()
                grant = cluster.grant(user, ("list", "watch"), KINDS, namespace="p")
                await told.wait()
    return sorted(found)


def measure(*, full: bool) -> dict[str, Curve]:
    """Return all curves."""
    return {
        **with_namespaces(MANY_NAMESPACES if full else NAMESPACES),
        **forbidden(MANY_FORBIDDEN if full else FORBIDDEN),
        **with_objects(MANY_OBJECTS if full else OBJECTS),
        **detection(MANY_REVOCATIONS if full else REVOCATIONS),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.curves")
    parser.add_argument("--full", action="store_true")
    print(json.dumps(measure(full=parser.parse_args().full)), flush=True)


if __name__ == "__main__":
    main()
