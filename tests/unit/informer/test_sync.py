"""The first list: when it is complete, what happens until then, and which way it is made."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from scopedcache.api.request_query import METADATA_LIST, METADATA_WATCH
from scopedcache.errors import ForbiddenError, NotSyncedError
from scopedcache.informer import EventHandler, InformerOptions
from scopedcache.informer.initial_list_limiter import InitialListLimiter
from scopedcache.informer.reflector import ServerFeatures
from tests.unit.clock import after, idle, now
from tests.unit.informer.events import NODES, added, bookmark, deleted, error, line, modified, pod, pods
from tests.unit.informer.world import World


def not_synced(informer):
    with pytest.raises(NotSyncedError, match="pods in namespace a: the first list is not complete yet"):
        informer.list()
    with pytest.raises(NotSyncedError):
        informer.get(("a", "x"))
    return True


# -- streaming -------------------------------------------------------------------------------------------------------


async def test_it_asks_for_a_streaming_list_with_bookmarks_and_a_life_time(world):
    watch = await world.begin()
    assert (watch.path, watch.query) == (
        "/api/v1/namespaces/a/pods",
        {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "timeoutSeconds": "300",
        },
    )


async def test_it_is_synced_with_the_marked_bookmark_and_not_before(world):
    world.start()
    watch = (await world.server.watched()).accept(added("x", 1), bookmark(5))
    await idle()
    assert not_synced(world.informer)
    assert (world.heard.take(), world.informer.state) == ([], "syncing")

    watch.send(added("y", 2), bookmark(10, end=True))
    await idle()

    assert (world.held, world.informer.synced, world.informer.state) == ({"x": "1", "y": "2"}, True, "synced")
    assert world.heard.take() == ["+x@1!", "+y@2!"]
    assert world.informer.resource_version == "10"


async def test_what_changes_while_the_list_is_sent_is_part_of_it(world):
    await world.begin(added("x", 1), modified("x", 2), added("y", 3), deleted("y", 4), deleted("z", 5))
    assert (world.held, world.heard.take()) == ({"x": "2"}, ["+x@2!"])


async def test_events_that_follow_the_end_mark_in_the_same_bunch_are_not_lost(world):
    world.start()
    (await world.server.watched()).accept(added("x", 1), bookmark(10, end=True), modified("x", 11), added("y", 12))
    await idle()
    assert (world.held, world.informer.resource_version) == ({"x": "11", "y": "12"}, "12")
    assert world.heard.take() == ["+x@1!", "x@1→11", "+y@12"]


async def test_an_end_before_the_end_mark_begins_anew_and_shows_nothing(world):
    world.start()
    watch = (await world.server.watched()).accept(added("x", 1))
    watch.end()
    again = await world.server.asked()
    assert not_synced(world.informer)
    again.answer(pods(20, pod("y", 2)))
    (await world.server.watched()).accept()
    await idle()
    assert (world.held, world.heard.take()) == ({"y": "2"}, ["+y@2!"])


async def test_a_connection_lost_before_the_end_mark_begins_anew(world):
    world.start()
    (await world.server.watched()).accept(added("x", 1)).cut()
    await world.list(added("y", 2))
    assert world.held == {"y": "2"}


async def test_a_list_that_does_not_end_in_time_is_made_in_pages(world):
    world.start()
    started = now()
    watch = (await world.server.watched()).accept(added("x", 1))
    request = await world.server.asked()
    assert (watch.closed.is_set(), 60 <= now() - started < 62) == (True, True)
    request.answer(pods(20, pod("x", 1)))
    resumed = await world.server.watched()
    assert (request.query, resumed.query["resourceVersion"]) == ({"limit": "250"}, "20")


async def test_a_short_life_time_does_not_end_a_long_list(world):
    """Where reviews are refused, watches last a few seconds; a list of many objects may take longer than that."""
    world.informer.watch_timeout = 4.0
    world.start()
    watch = (await world.server.watched()).accept(added("x", 1))
    assert watch.query["timeoutSeconds"] == "60"
    await after(20)
    watch.send(bookmark(10, end=True))
    await idle()
    synced = now()
    resumed = await world.server.watched()
    assert (watch.closed.is_set(), now() - synced, resumed.query["timeoutSeconds"]) == (True, 4.0, "4")


@pytest.mark.parametrize(
    "refusal",
    [
        {"code": 422, "reason": "Invalid", "causes": [{"field": "sendInitialEvents"}]},
        {"code": 400, "reason": "BadRequest"},
        {"code": 500, "reason": "InternalError"},
    ],
)
async def test_a_refused_streaming_list_is_made_in_pages(world, refusal):
    world.start()
    (await world.server.watched()).refuse(**refusal)
    (await world.server.asked()).answer(pods(20, pod("x", 1), token="t"))
    second = await world.server.asked()
    second.answer(pods(25, pod("y", 2)))
    watch = (await world.server.watched()).accept()
    await idle()
    assert (second.query["continue"], watch.query["resourceVersion"], world.held) == ("t", "20", {"x": "1", "y": "2"})
    assert "sendInitialEvents" not in watch.query


async def test_an_ERROR_line_instead_of_a_list_is_made_in_pages(world):
    """An etcd that is too old for streaming lists says so in the stream."""
    world.start()
    (await world.server.watched()).accept(error(500, "InternalError"))
    (await world.server.asked()).answer(pods(20))
    (await world.server.watched()).accept()
    await idle()
    assert world.informer.synced


async def test_a_server_without_streaming_lists_is_asked_once_for_all_informers():
    known = ServerFeatures()
    world = World(server=known)
    world.start()
    refusal = await world.server.watched()
    refusal.refuse(422, "Invalid", causes=[{"field": "resourceVersionMatch"}])
    (await world.server.asked()).answer(pods(20))
    await world.server.watched()
    other = world.make(namespace="b", server=known)
    other.start(world.supervisor)
    assert (await world.server.asked()).path == "/api/v1/namespaces/b/pods"
    other.close()
    await world.end()


async def test_a_continue_token_that_expires_begins_the_list_anew(world):
    world.start()
    (await world.server.watched()).refuse(500, "InternalError")
    (await world.server.asked()).answer(pods(20, pod("x", 1), token="t"))
    (await world.server.asked()).refuse(410, "Expired")
    again = await world.server.asked()
    assert again.query == {"limit": "250"}
    again.answer(pods(30, pod("y", 5)))
    (await world.server.watched()).accept()
    await idle()
    assert (world.held, world.informer.relists) == ({"y": "5"}, 1)


# -- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"labels": "app=x,tier in (a,b)"}, {"labelSelector": "app=x,tier in (a,b)"}),
        ({"fields": "metadata.name=x"}, {"fieldSelector": "metadata.name=x"}),
    ],
)
async def test_selectors_are_part_of_lists_and_watches(options, query):
    world = World(**options)
    watch = await world.begin()
    watch.end()
    resumed = await world.server.watched()
    for asked in (watch, resumed):
        assert {name: asked.query[name] for name in query} == query
    await world.end()


async def test_metadata_alone_is_asked_for_by_content_type():
    world = World(metadata_only=True)
    world.start()
    watch = await world.server.watched()
    watch.refuse(500, "InternalError")
    request = await world.server.asked()
    assert (watch.accept_header, request.accept) == (METADATA_WATCH, METADATA_LIST)
    await world.end()


@pytest.mark.parametrize(
    ("options", "path", "shown"),
    [
        ({"namespace": None}, "/api/v1/pods", "<Informer pods in all namespaces synced objects=0>"),
        ({"namespace": None, "resource": NODES}, "/api/v1/nodes", "<Informer nodes in cluster synced objects=0>"),
        ({}, "/api/v1/namespaces/a/pods", "<Informer pods in a synced objects=0>"),
    ],
)
async def test_an_informer_watches_a_namespace_or_the_whole_cluster(options, path, shown):
    world = World(**options)
    watch = await world.begin()
    assert (watch.path, repr(world.informer)) == (path, shown)
    await world.end()


# -- waiting for it --------------------------------------------------------------------------------------------------


async def test_those_who_wait_are_shielded_from_each_others_cancellation(world):
    waiting = [asyncio.ensure_future(world.informer.wait_synced()) for _ in range(3)]
    await idle()
    waiting[0].cancel()
    await world.begin()
    await asyncio.gather(*waiting[1:])
    assert ([task.cancelled() for task in waiting], world.informer.waiters) == ([True, False, False], 0)


async def test_who_asks_once_it_is_synced_does_not_wait(world):
    await world.begin()
    before = now()
    await world.informer.wait_synced()
    assert now() == before


async def test_when_waiters_wake_every_handler_has_seen_the_list(world):
    waiter = asyncio.ensure_future(world.informer.wait_synced())
    world.start()
    (await world.server.watched()).accept(added("x", 1), bookmark(10, end=True))
    await waiter
    assert world.heard.take() == ["+x@1!"]


async def test_a_handler_added_later_is_told_what_is_held_and_every_change_once(world):
    watch = await world.begin(added("x", 1))
    late = []
    remove = world.informer.add_handler(EventHandler(on_add=lambda obj, initial: late.append((obj.name, initial))))
    watch.send(added("y", 11))
    await idle()
    remove()
    remove()
    watch.send(added("z", 12))
    await idle()
    assert (late, world.informer.handlers) == ([("x", True), ("y", False)], 1)


async def test_handlers_that_come_and_go_while_a_change_is_told_lose_nothing_for_the_others(world):
    """Removing a handler from a list that is being walked would skip the next one."""
    informer, told = world.informer, []
    removers: dict[str, Callable[[], None]] = {}

    def once(name):
        def heard(obj, initial):
            told.append((name, obj.name))
            removers[name]()
            if name == "a":
                removers["late"] = informer.add_handler(
                    EventHandler(on_add=lambda obj, _: told.append(("late", obj.name)))
                )

        return EventHandler(on_add=heard)

    for name in "abc":
        removers[name] = informer.add_handler(once(name))
    watch = await world.begin()
    watch.send(added("x", 11))
    await idle()
    watch.send(added("y", 12))
    await idle()
    assert told == [("a", "x"), ("late", "x"), ("b", "x"), ("c", "x"), ("late", "y")]


# -- turns and gates -------------------------------------------------------------------------------------------------


async def test_first_lists_take_turns_and_watches_do_not_hold_a_turn():
    initial_lists = InitialListLimiter(1)
    world = World(initial_lists=initial_lists)
    other = world.make(namespace="b", initial_lists=initial_lists)
    world.start()
    other.start(world.supervisor)
    first = (await world.server.watched()).accept(added("x", 1))
    await idle()
    assert world.server.quiet
    first.send(bookmark(10, end=True))
    second = await world.server.watched()
    assert (second.path, first.closed.is_set()) == ("/api/v1/namespaces/b/pods", False)
    other.close()
    await world.end()
    assert initial_lists.free == 1


@pytest.mark.parametrize("when", ["waiting", "opening", "listing", "paging"])
async def test_an_informer_that_closes_gives_its_turn_back(when):
    initial_lists = InitialListLimiter(1)
    world = World(initial_lists=initial_lists)
    async with initial_lists.take("c"):
        world.start()
        await idle()
        if when == "waiting":
            world.informer.close()
            await idle()
    if when != "waiting":
        watch = await world.server.watched()
        if when == "paging":
            watch.refuse(500, "InternalError")
            await world.server.asked()
        if when == "listing":
            watch.accept(added("x", 1))
            await idle()
        world.informer.close()
        await idle()
    assert (initial_lists.free, world.server.open) == (1, set())
    await world.end()


class Gate:
    def __init__(self):
        self.open = asyncio.Event()
        self.asked = 0
        self.recoveries = 0
        self.back = asyncio.Event()

    async def permitted(self):
        self.asked += 1
        await self.open.wait()

    async def recovered(self, since):
        while self.recoveries <= since:
            await self.back.wait()


async def test_nothing_is_asked_while_the_gate_is_shut():
    gate = Gate()
    world = World(gate=gate)
    world.start()
    await after(1000)
    assert (world.server.log, gate.asked) == ([], 1)
    gate.open.set()
    await world.list(added("x", 1))
    assert world.held == {"x": "1"}
    await world.end()


async def test_a_refusal_asks_the_gate_before_the_server():
    gate = Gate()
    gate.open.set()
    world = World(gate=gate)
    watch = await world.begin(added("x", 1))
    gate.open.clear()
    watch.end()
    await after(1)
    gate.open.set()
    refused = await world.server.watched()
    refused.refuse(403, "Forbidden", "no")
    gate.open.clear()
    await after(1000)
    assert (world.server.quiet, world.held, isinstance(world.informer.error, ForbiddenError)) == (
        True,
        {"x": "1"},
        True,
    )
    gate.open.set()
    assert (await world.server.watched()).query["resourceVersion"] == "10"
    await world.end()


async def away(world, times):
    """Let nobody answer so often; return when the last one was asked."""
    for _ in range(times):
        (await world.server.asked()).lose("connection refused")
        await idle()
    return now()


@asynccontextmanager
async def gated(recoveries=0):
    """Yield an open gate, an informer behind it that holds x@1, and its watch."""
    gate = Gate()
    gate.open.set()
    gate.recoveries = recoveries
    world = World(gate=gate)
    yield gate, world, await world.begin(added("x", 1))
    await world.end()


async def test_a_pause_ends_when_the_server_is_back():
    async with gated() as (gate, world, watch):
        watch.cut()
        failed = await away(world, 6)
        await after(3)
        gate.recoveries += 1
        gate.back.set()
        await world.confirm()
        resumed = await world.server.watched()
        assert (now() - failed, resumed.query["resourceVersion"]) == (3.0, "10")


async def test_a_server_that_was_away_to_others_is_asked_for_its_history_before_a_watch_goes_on():
    async with gated() as (gate, world, watch):
        watch.end()
        await idle()
        gate.recoveries += 1
        await world.confirm()
        assert (await world.server.watched()).query["resourceVersion"] == "10"


async def test_a_server_that_was_away_to_others_and_knows_no_such_version_is_listed_anew_at_once():
    async with gated() as (gate, world, watch):
        watch.end()
        await idle()
        gate.recoveries += 1
        (await world.server.asked()).refuse(504, "Timeout", pause=1, causes=[{"reason": "ResourceVersionTooLarge"}])
        assert "sendInitialEvents" in (await world.server.watched()).query


async def test_an_outage_that_a_watch_outlived_is_no_reason_to_ask():
    async with gated() as (gate, world, watch):
        gate.recoveries += 1
        await after(10)
        watch.end()
        assert (await world.server.watched()).query["resourceVersion"] == "10"


async def test_a_server_that_came_back_before_the_last_failure_ends_no_pause():
    async with gated(recoveries=7) as (_, world, watch):
        watch.cut()
        failed = await away(world, 6)
        await world.confirm()
        await world.server.watched()
        assert now() - failed > 25


async def test_a_pause_that_the_server_asked_for_lasts_though_it_is_back():
    async with gated() as (gate, world, watch):
        watch.cut()
        failed = await away(world, 5)
        await world.confirm()
        busy = await world.server.watched()
        failed = now()
        busy.refuse(429, "TooManyRequests", pause=20)
        await after(1)
        gate.recoveries += 1
        gate.back.set()
        await world.confirm()
        assert now() - failed >= 20


async def test_options_say_how_long_things_may_last():
    world = World(options=InformerOptions(watch_timeout=100.0, idle_timeout=30.0, list_deadline=20.0))
    watch = await world.begin()
    watch.end()
    resumed = await world.server.watched()
    assert (watch.query["timeoutSeconds"], watch.idle_timeout, resumed.query["timeoutSeconds"]) == ("100", 30.0, "100")
    await world.end()


async def test_a_line_longer_than_its_limit_is_refused_before_it_fills_the_memory():
    world = World(options=InformerOptions(line_limit=1000))
    watch = await world.begin(added("x", 1))
    watch.send_chunk(line("ADDED", pod("big", 11, annotations={"note": "x" * 1000}))[:1001])
    await idle()
    assert (watch.closed.is_set(), "over the limit of 1000 bytes" in str(world.informer.error)) == (True, True)
    await world.end()
