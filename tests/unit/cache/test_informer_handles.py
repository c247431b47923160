"""An informer held by the name of its kind outlives denials, and so do its handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from scopedcache import (
    CacheError,
    EventHandler,
    ForbiddenError,
    Need,
    NotSyncedError,
    Object,
    ScopeClosedError,
    UnknownKindError,
)
from tests.unit.cache.world import world
from tests.unit.clock import after, idle
from tests.unit.cluster import MEMCACHED, POD


class Diary:
    """A handler that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.handler = EventHandler(
            on_add=lambda new, initial: self.heard.append(f"+{new.name}{' initial' if initial else ''}"),
            on_update=lambda old, new: self.heard.append(f"~{new.name}"),
            on_delete=lambda old, unknown: self.heard.append(f"-{old.name}{' unknown' if unknown else ''}"),
        )


async def test_a_lease_hears_of_what_is_there_and_what_changes() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.put(POD, "one", "a")
        diary = Diary()
        async with w.cache.informer(POD, namespace="a") as handle:
            handle.add_handler(diary.handler)
            await handle.wait_synced()
            w.server.put(POD, "two", "a")
            w.server.put(POD, "two", "a", labels={"x": "y"})
            w.server.remove(POD, "one", "a")
            await idle()

        assert diary.heard == ["+one initial", "+two", "~two", "-one"]


async def test_a_lease_that_ends_leaves_nothing_behind() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        async with w.cache.informer(POD, namespace="a") as handle:
            handle.add_handler(Diary().handler)
            await handle.wait_synced()
        await idle()

        w.nothing_is_left()
        with pytest.raises(ScopeClosedError):
            handle.list()
        with pytest.raises(ScopeClosedError):
            await handle.wait_synced()


async def test_who_waits_for_a_lease_that_ends_is_told() -> None:
    async with world() as w:
        async with w.cache.informer(POD, namespace="a") as handle:
            waiting = asyncio.ensure_future(handle.wait_synced())
            await after(20)

        with pytest.raises(ScopeClosedError):
            await waiting


async def test_a_tear_down_tells_of_no_deletion_and_the_next_sync_of_what_really_went() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        for name in ("stays", "goes", "changes"):
            w.server.put(POD, name, "a")
        diary = Diary()
        async with w.cache.informer(POD, namespace="a") as handle:
            handle.add_handler(diary.handler)
            await handle.wait_synced()
            diary.heard.clear()
            w.server.revoke(given)
            await w.until(lambda: handle.denied)
            with pytest.raises(ForbiddenError):
                handle.list()
            torn_down = list(diary.heard)
            w.server.remove(POD, "goes", "a")
            w.server.put(POD, "changes", "a", labels={"x": "y"})
            w.server.grant("a", POD)
            await handle.wait_synced()

        assert torn_down == []
        assert sorted(diary.heard) == ["+changes initial", "+stays initial", "-goes unknown"]


async def test_a_recreated_object_is_one_deletion_and_one_addition_across_a_denial() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        old = w.server.put(POD, "one", "a")
        gone: list[Object] = []
        async with w.cache.informer(POD, namespace="a") as handle:
            handle.add_handler(EventHandler(on_delete=lambda found, unknown: gone.append(found)))
            await handle.wait_synced()
            w.server.revoke(given)
            await w.until(lambda: handle.denied)
            w.server.remove(POD, "one", "a")
            w.server.put(POD, "one", "a")
            w.server.grant("a", POD)
            await handle.wait_synced()

        assert [found.uid for found in gone] == [old.uid]


async def test_an_owner_that_went_while_it_could_not_be_seen_is_closed_after_the_grant() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        seen = w.server.grant("a", MEMCACHED)
        owner = w.owner()
        async with w.cache.informer(MEMCACHED, namespace="a") as handle:
            await handle.wait_synced()
            scope = await w.cache.open(owner, POD)
            w.server.revoke(seen)
            await w.until(lambda: handle.denied)
            w.server.remove(MEMCACHED, "m", "a")
            during = scope.list(POD)  # while an owner's own kind is denied, its scopes stay
            w.server.grant("a", MEMCACHED)
            await w.until(lambda: w.state(owner) == "closed")

        assert during == []


async def test_a_lease_of_a_denied_kind_waits_without_a_request_and_heals_by_itself() -> None:
    async with world() as w:
        async with w.cache.informer(POD, namespace="a") as handle:
            await after(30)
            denied, asked = handle.denied, w.server.requests("list", "watch")
            w.server.grant("a", POD)
            await handle.wait_synced()

        assert (denied is not None, asked) == (True, 0)


async def test_a_lease_just_begun_is_not_synced_and_not_unwatched() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        async with w.cache.informer(POD, namespace="a") as handle:
            with pytest.raises(NotSyncedError):
                handle.list()
            await handle.wait_synced()
            assert handle.list() == []


async def test_a_lease_shares_the_informer_of_an_owner_and_survives_it() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        owner = w.owner()
        await w.cache.open(owner, POD)
        async with w.cache.informer(POD, namespace="a") as handle:
            await handle.wait_synced()
            w.cache.close(owner)
            await idle()

            assert (w.server.open(POD), handle.list()) == (1, [])
        await idle()
        assert w.server.open(POD) == 0


async def test_two_equal_handlers_are_two_and_each_ends_by_itself() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        diary = Diary()
        async with w.cache.informer(POD, namespace="a") as handle:
            first, second = handle.add_handler(diary.handler), handle.add_handler(diary.handler)
            await handle.wait_synced()
            w.server.put(POD, "one", "a")
            await idle()
            first()
            first()
            w.server.put(POD, "two", "a")
            await idle()
            second()
            w.server.put(POD, "three", "a")
            await idle()

        assert diary.heard == ["+one", "+one", "+two"]


async def test_a_handler_that_raises_spoils_nothing_for_the_others() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        diary = Diary()

        def clumsy(new: Object, initial: bool) -> None:
            raise LookupError("a handler of ours")

        async with w.cache.informer(POD, namespace="a") as handle:
            handle.add_handler(EventHandler(on_add=clumsy))
            handle.add_handler(diary.handler)
            await handle.wait_synced()
            w.server.put(POD, "one", "a")
            await idle()

            assert (diary.heard, len(handle.list())) == (["+one"], 1)


async def test_a_handler_may_end_itself_while_it_is_told_what_is_there() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        w.server.put(POD, "one", "a")
        ends: list[Callable[[], None]] = []
        async with w.cache.informer(POD, namespace="a") as handle:
            ends.append(handle.add_handler(EventHandler(on_add=lambda new, initial: ends[0]())))
            await handle.wait_synced()
            w.server.revoke(given)
            await w.until(lambda: handle.denied)
            w.server.grant("a", POD)
            await handle.wait_synced()

            assert w.cache.snapshot().handlers == 1  # the cache's own: it hears of owners that go


async def test_what_is_missing_is_no_longer_remembered_when_nobody_waits() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        lost = w.server.put(POD, "one", "a").uid
        owner, other = w.owner(), w.owner("other")
        await w.cache.open(owner, Need(POD, verbs=("create",)))
        await w.cache.open(other, Need(POD, metadata_only=True))
        w.server.revoke(given)
        await w.until(lambda: len(w.cache.snapshot().waiting) == 2)
        remembered = lost in w.kept()
        w.cache.close(owner)
        one_left = lost in w.kept()
        w.cache.close(other)

        assert (remembered, one_left, lost in w.kept()) == (True, True, False)


async def test_an_unknown_kind_and_an_ended_cache_are_refused() -> None:
    async with world() as w:
        cache = w.cache
        with pytest.raises(UnknownKindError):
            async with cache.informer("unicorns"):
                pass
    with pytest.raises(CacheError):
        async with cache.informer(POD):
            pass
    with pytest.raises(CacheError):
        await cache.open(w.owner(), POD)
    with pytest.raises(CacheError):
        async with cache:
            pass
