"""A part that is given away and comes back: nothing is deleted by that, and everything is reconciled."""

import asyncio
from contextlib import asynccontextmanager

from scopedcache import Controller, ScopedCache
from scopedcache.controller.reporting.event_recorder import EventRecorder
from scopedcache.controller.sharding.shard import NOTHING, Shard
from scopedcache.hash_ranges import RING_END, HashRange, HashRanges
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, MEMCACHED, Cluster, manifest

EVERYTHING = HashRanges((HashRange(0, RING_END),))
# More than are let go in one step.
NAMES = [f"m{number:03}" for number in range(250)]


@asynccontextmanager
async def working(controller, cache, shard):
    """Run a controller on a shard that the test says."""
    controller.prepare(cache, recorder=EventRecorder(cache.client), shard=shard)
    tasks = [asyncio.create_task(controller.watch()), asyncio.create_task(controller.work())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        controller.end()


async def test_owners_whose_part_comes_back_before_all_of_it_was_let_go_are_reconciled_again():
    with Cluster.running() as server:
        embedded = server.embedded
        for name in NAMES:
            server.write(manifest(MEMCACHED, name, "ns"))
        user = embedded.user("a")
        embedded.grant(user, ALL_VERBS, [str(MEMCACHED), str(CONFIG_MAP), "events.events.k8s.io"])
        async with embedded.client(user) as client, ScopedCache(client, rbac_watch=False) as cache:

            async def reconcile(request):
                memcached = cache.cluster.get(MEMCACHED.gvk, request.key)
                if memcached is not None:
                    await cache.open(memcached, CONFIG_MAP)

            shard = Shard()
            shard.set(EVERYTHING, EVERYTHING, EVERYTHING)
            async with working(Controller(for_=MEMCACHED.gvk, reconcile=reconcile), cache, shard):
                await asyncio.sleep(30)
                before = len(cache.namespaces["ns"])
                shard.set(NOTHING, NOTHING, NOTHING)
                await asyncio.sleep(0)  # the first ones are let go
                await asyncio.sleep(0)
                between = len(cache.namespaces["ns"])
                shard.set(EVERYTHING, EVERYTHING, EVERYTHING)
                await asyncio.sleep(60)

                assert 0 < between < before == len(NAMES)
                assert len(cache.namespaces["ns"]) == len(NAMES)
