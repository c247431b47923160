"""Leaving the cache, at any moment, leaves nothing behind; what it says of itself meanwhile is true."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from scopedcache import EventHandler, Need, ScopedCacheError
from scopedcache.api.watch.event_decoder import EventDecoder
from scopedcache.api.watch.watch_stream import WatchStream
from scopedcache.informer import Informer
from scopedcache.informer.reflector_loop import ReflectorLoop
from scopedcache.kinds import GVR, Resource
from tests.unit.cache.world import KINDS, world
from tests.unit.clock import after, idle
from tests.unit.cluster import DEPLOYMENT, MEMCACHED, NODE, POD, Cluster
from tests.unit.work import instructions


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_leaving_with_everything_in_flight_leaves_no_task_no_stream_no_verdict(turns: int) -> None:
    with Cluster.running() as server:
        before = asyncio.all_tasks()
        waiters: list[asyncio.Future[object]] = []
        async with world(server, rbac_watch=True) as w:
            server.grant("a", *KINDS)
            lost = server.grant("b", *KINDS)
            server.silence(namespace="slow")
            server.grant("slow", *KINDS)
            async with w.cache.informer(POD, namespace="b") as handle:
                handle.add_handler(EventHandler(on_add=lambda new, initial: None, coalesce=True))
                await handle.wait_synced()
                for namespace in ("a", "b", "slow", "denied"):
                    opening = w.cache.open(w.owner(namespace, namespace), "pods", Need(DEPLOYMENT, optional=True))
                    waiters.append(asyncio.ensure_future(opening))
                server.revoke(lost)
                w.cache.recheck()
                for _ in range(turns):
                    await asyncio.sleep(0)
        cache = w.cache
        ends = await asyncio.gather(*waiters, return_exceptions=True)
        await idle()

        assert asyncio.all_tasks() <= before
        assert server.embedded.audit.open_watches() == []
        assert not cache.monitor.verdicts
        assert all(not isinstance(end, BaseException) or isinstance(end, ScopedCacheError) for end in ends)


async def test_a_task_cancelled_inside_the_cache_takes_everything_with_it() -> None:
    with Cluster.running() as server:
        before = asyncio.all_tasks()

        async def operator() -> None:
            async with world(server) as w:
                server.grant("a", POD)
                await w.cache.open(w.owner(), POD)
                await asyncio.Event().wait()

        running = asyncio.ensure_future(operator())
        await after(3)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await idle()

        assert asyncio.all_tasks() <= before
        assert server.embedded.audit.open_watches() == []


async def test_open_watches_are_kinds_times_namespaces_whatever_the_number_of_owners() -> None:
    async with world() as w:
        for number in range(20):
            w.server.grant(f"n{number}", *KINDS)
            for owner in range(5):
                await w.cache.open(w.owner(f"m{owner}", f"n{number}"), *KINDS)

        shot = w.cache.snapshot()
        assert w.server.open() == shot.open_watches == 20 * 2
        assert shot.routes == 20 * 2 * 5


async def test_the_snapshot_says_what_is_open_what_waits_and_what_is_missing() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        w.server.put(POD, "one", "a")
        there, refused = w.owner("there"), w.owner("refused", "b")
        await w.cache.open(there, *KINDS)
        with pytest.raises(ScopedCacheError):
            await w.cache.open(refused, POD)
        async with w.cache.informer(DEPLOYMENT, namespace="a"):
            await idle()
            shot = w.cache.snapshot()

        assert shot.namespaces == {"a": {there.uid: ["Deployment", "Pod"]}}
        (waiting,) = shot.waiting
        assert (waiting.uid, waiting.state, waiting.kinds) == (refused.uid, "waiting", ("Pod",))
        assert waiting.missing == ("list pods", "watch pods")
        assert {(one.kind, one.objects, one.holders) for one in shot.informers} == {
            ("pods", 1, 1), ("deployments.apps", 0, 2),
        }  # fmt: skip
        assert (shot.open_watches, shot.attempting, shot.bound) == (2, False, w.cache.bound)
        assert shot.to_dict()["waiting"][0]["error"].startswith("may not list pods in namespace b")


async def test_two_versions_of_one_resource_in_a_scope_share_their_rights_and_end_apart() -> None:
    older = Resource(GVR("cache.example.com", "v1beta1", "memcacheds"), MEMCACHED.gvk, namespaced=True)
    async with world() as w:
        owner = w.owner()
        given = w.server.grant("a", MEMCACHED)
        scope = await w.cache.open(owner, MEMCACHED, older)
        scope.release(older)
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting")
        w.cache.close(owner)
        await idle()

        w.nothing_is_left()


async def cost_of(owners: int, what: str) -> int:
    """Return the instructions that a snapshot, or closing every owner, takes with so many owners of one namespace."""
    async with world() as w:
        w.server.grant("a", *KINDS)
        opened = [w.owner(f"m{number}") for number in range(owners)]
        for owner in opened:
            await w.cache.open(owner, POD, Need(DEPLOYMENT, verbs=("create", "update", "patch")))
        if what == "snapshot":
            return instructions(w.cache.snapshot)

        def close_all() -> None:
            for owner in opened:
                w.cache.close(owner)

        cost = instructions(close_all)
        await idle()
        w.nothing_is_left()
        return cost


@pytest.mark.parametrize("what", ["snapshot", "closing"])
async def test_what_concerns_every_owner_of_a_namespace_costs_as_much_for_each_and_not_their_square(what: str) -> None:
    few, many = await cost_of(50, what), await cost_of(400, what)
    assert few > 50
    assert many < 8 * few * 1.2


async def test_an_error_that_is_raised_again_and_again_keeps_no_reader_alive() -> None:
    async with world() as w:
        owner = w.owner()
        given = w.server.grant("a", POD)
        w.server.grant(None, NODE)
        scope = await w.cache.open(owner, POD)
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting")
        depths = []
        for read in (lambda: scope.list(POD), scope.check, lambda: w.cache.cluster.list(NODE)):
            for _ in range(5):
                with pytest.raises(ScopedCacheError) as raised:
                    read()
                depths.append(len(raised.traceback))

        assert max(depths) <= 6


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Let no collection of cycles come to the help of what leaves some."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_what_revoked_places_held_is_freed_without_a_collection_of_cycles(no_collection: None) -> None:
    before = held()
    async with world() as w:
        places = [f"p{number}" for number in range(5)]
        grants = [w.server.grant(place, POD) for place in places]
        await asyncio.gather(*(w.cache.open(w.owner("m", place), POD) for place in places))
        while_open = held() - before

        w.server.revoke(*grants)
        await w.until(lambda: not w.cache.namespaces)
        await w.cache.wait_closed()
        await idle()

        assert while_open == {"Informer": 5, "ReflectorLoop": 5, "WatchStream": 5, "EventDecoder": 5}
        assert held() - before == {}


def held() -> Counter[str]:
    """Return how many there are of what an informer is made of, reachable or not."""
    parts = (Informer, ReflectorLoop, WatchStream, EventDecoder)
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, parts))
