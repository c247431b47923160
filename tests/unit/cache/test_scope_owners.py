"""Whose a scope is: sharing, closing, cancelling, recreated owners; and that none delays another."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import ForbiddenError, Need, ScopeClosedError
from scopedcache.event_logger import event_of
from tests.unit.cache.world import KINDS, world
from tests.unit.clock import after, idle, now
from tests.unit.cluster import MEMCACHED, NODE, POD

# -- owners ----------------------------------------------------------------------------------------------------------


async def test_two_owners_share_an_informer_and_the_second_open_sends_nothing() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        first, second = w.owner("one"), w.owner("two")
        await w.cache.open(first, *KINDS)
        asked = w.server.requests()
        scope = await w.cache.open(second, *KINDS)
        w.cache.close(first)
        await after(1)

        assert w.server.requests() == asked
        assert (w.server.open(), scope.list(POD)) == (2, [])


async def test_ten_owners_that_open_at_once_share_one_sync() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        owners = [w.owner(f"m{n}") for n in range(10)]

        await asyncio.gather(*(w.cache.open(owner, POD) for owner in owners))

        assert (w.server.requests("watch"), w.server.requests("review")) == (1, 1)


async def test_a_recreated_owner_gets_a_cache_of_its_own() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        old = w.owner()
        before = await w.cache.open(old, POD)
        w.server.remove(MEMCACHED, "m", "a")
        new = w.owner()
        w.cache.close(old)
        scope = await w.cache.open(new, POD)

        assert (old.uid != new.uid, scope is not before) == (True, True)
        assert list(w.cache.namespaces["a"]) == [new.uid]
        with pytest.raises(ScopeClosedError):
            before.list(POD)


async def test_an_owner_seen_deleted_closes_and_cannot_open_any_more() -> None:
    async with world() as w:
        w.server.grant("a", POD, MEMCACHED)
        owner = w.owner()
        async with w.cache.informer(MEMCACHED, namespace="a") as handle:
            await handle.wait_synced()
            await w.cache.open(owner, POD)
            w.server.remove(MEMCACHED, "m", "a")
            await idle()

            with pytest.raises(ScopeClosedError):
                await w.cache.open(owner, POD)
        await idle()
        w.nothing_is_left()


async def test_an_owner_that_left_the_selection_and_came_back_may_open_again() -> None:
    async with world(selectors={MEMCACHED: "on=yes"}) as w:
        w.server.grant("a", POD, MEMCACHED)
        owner = w.owner(labels={"on": "yes"})
        async with w.cache.informer(MEMCACHED, namespace="a") as handle:
            await handle.wait_synced()
            await w.cache.open(owner, POD)
            w.owner(labels={"on": "no"})
            await idle()
            left = w.state(owner)
            w.owner(labels={"on": "yes"})
            await idle()

            scope = await w.cache.open(owner, POD)

        assert (left, scope.list(POD)) == ("closed", [])


async def test_closing_ends_reads_streams_and_probing() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        scope = await w.cache.open(owner, *KINDS)
        w.cache.close(owner)
        with pytest.raises(ScopeClosedError):
            scope.list(POD)
        await w.cache.wait_closed()
        closed = now()
        await after(30)

        w.nothing_is_left()
        assert w.server.requests(since=closed + 0.001) == 0


@pytest.mark.parametrize("turns", range(14))
async def test_closing_at_any_moment_of_an_opening_ends_it_as_closed_and_leaves_nothing(turns: int) -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        waiters = [asyncio.ensure_future(w.cache.open(owner, "pods", "deployments.apps")) for _ in range(2)]
        for _ in range(turns):
            await asyncio.sleep(0)
        w.cache.close(owner)
        ends = await asyncio.gather(*waiters, return_exceptions=True)
        w.cache.close(owner)  # who had opened already
        await idle()

        for end in ends:
            assert not isinstance(end, BaseException) or isinstance(end, ScopeClosedError)
        w.nothing_is_left()
        assert not [task for task in asyncio.all_tasks() if "open" in task.get_name()]


async def test_closing_while_discovery_is_asked_leaves_no_scope_behind() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        opening = asyncio.ensure_future(w.cache.open(owner, "pods"))
        await asyncio.sleep(0)
        w.cache.close(owner)

        with pytest.raises(ScopeClosedError):
            await opening
        w.nothing_is_left()


@pytest.mark.parametrize("turns", range(12))
async def test_one_waiter_that_is_cancelled_does_not_end_the_others_opening(turns: int) -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        first, second = (asyncio.ensure_future(w.cache.open(owner, *KINDS)) for _ in range(2))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()

        scope = await second

        assert scope.kinds == ("Deployment", "Pod")


async def test_many_namespaces_open_at_once_and_each_gets_its_own_answer() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.grant("b", POD)

        opened = await w.cache.open_all(w.owner(), POD, namespaces=["a", "b", "c"])

        assert [type(found).__name__ for found in opened.values()] == [
            "ResourceCache", "ResourceCache", "ForbiddenError",
        ]  # fmt: skip
        assert list(opened) == ["a", "b", "c"]


async def test_a_right_that_no_need_declares_is_told_of_when_it_comes_and_then_forgotten() -> None:
    async with world() as w:
        owner, other = w.owner("one"), w.owner("two")
        with pytest.raises(ForbiddenError) as refused:
            await w.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}})
        for who in (owner, other):
            w.cache.await_grant(who, refused.value)
        w.cache.close(other)
        await after(20)
        before = w.causes(owner)
        w.server.grant("a", POD, verbs=["create"])
        took = await w.until(lambda: w.causes(owner))
        await after(20)

        assert (before, w.causes(owner), w.causes(other)) == ([], ["granted"], [])
        assert took <= w.cache.bound
        w.nothing_is_left()


async def test_a_right_refused_by_more_than_rules_is_not_told_of_while_the_rules_still_show_it() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD, verbs=["create"])
        w.proxy.denies.add("pods")
        with pytest.raises(ForbiddenError) as refused:
            await w.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}})
        w.cache.await_grant(owner, refused.value)

        await after(60)

        assert w.causes(owner) == []


async def test_an_owner_that_was_deleted_awaits_nothing() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", MEMCACHED)
        with pytest.raises(ForbiddenError) as refused:
            await w.client.list(POD, namespace="a")
        async with w.cache.informer(MEMCACHED, namespace="a") as handle:
            await handle.wait_synced()
            w.server.remove(MEMCACHED, "m", "a")
            await idle()
            w.cache.await_grant(owner, refused.value)
        await idle()

        w.nothing_is_left()


async def test_an_owner_without_a_namespace_must_name_one() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        node = w.server.put(NODE, "n")

        with pytest.raises(ValueError, match="namespace"):
            await w.cache.open(node, POD)
        scope = await w.cache.open(node, POD, namespace="a")

        assert scope.list(POD) == []


# -- isolation (G7) --------------------------------------------------------------------------------------------------


async def test_a_slow_and_a_denied_namespace_delay_nobody() -> None:
    async with world() as w:
        w.server.grant("slow", POD)
        w.server.grant("a", POD)
        w.server.silence(namespace="slow")
        slow = asyncio.ensure_future(w.cache.open(w.owner("s", "slow"), POD))
        with pytest.raises(ForbiddenError):
            await w.cache.open(w.owner("d", "denied"), POD)
        started = now()

        scope = await w.cache.open(w.owner(), POD)

        assert (now() - started, scope.list(POD)) == (0, [])
        slow.cancel()


async def test_a_subscriber_that_raises_is_contained() -> None:
    async with world() as w:

        def clumsy(change: object) -> None:
            raise LookupError("a subscriber of ours")

        end = w.cache.subscribe(clumsy)
        owner = w.owner()
        given = w.server.grant("a", POD)
        await w.cache.open(owner, POD)
        w.server.put(POD, "one", "a", owner=owner)
        await idle()
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting")
        end()

        assert w.causes(owner) == ["child", "denied"]


async def test_a_subscriber_that_closes_the_owner_it_hears_of_leaves_nothing() -> None:
    async with world() as w:
        owner, other = w.owner("one"), w.owner("two")
        end = w.cache.subscribe(lambda change: w.cache.close(owner))
        given = w.server.grant("a", *KINDS)
        await w.cache.open(owner, *KINDS)
        await w.cache.open(other, *KINDS)
        w.server.revoke(given)
        await w.until(lambda: w.state(other) == "waiting")
        w.cache.close(other)
        end()
        await idle()

        w.nothing_is_left()


def unrouted(caplog: pytest.LogCaptureFixture) -> list[tuple[str, list[str]]]:
    found = [record for record in caplog.records if event_of(record) == "scope.nothing_routed"]
    return [(record.__dict__["namespace"], record.__dict__["kinds"]) for record in found]


async def test_who_opens_another_namespace_without_a_route_is_told_once_that_it_will_hear_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "scopedcache.cache")
    async with world() as w:
        w.server.grant("a", POD)
        w.server.grant("b", POD)
        owner = w.owner()
        for _ in range(2):
            await w.cache.open(owner, POD, namespace="b")
        await w.cache.open(owner, POD)

        assert unrouted(caplog) == [("b", [str(POD)])]


async def test_who_says_whose_the_objects_of_another_namespace_are_is_told_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "scopedcache.cache")
    async with world() as w:
        w.server.grant("b", POD)
        await w.cache.open(w.owner(), Need(POD, route=lambda _: None), namespace="b")

        assert unrouted(caplog) == []
