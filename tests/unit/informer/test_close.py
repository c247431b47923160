"""Ends: closing at any moment, and renewing. Nothing is left, nobody is told any more."""

import asyncio
import gc
import weakref

import pytest

from scopedcache.errors import CacheError, ForbiddenError, NotSyncedError
from scopedcache.informer import EventHandler
from tests.unit.clock import after, idle, now
from tests.unit.informer.events import added, bookmark, entry, error, modified, pod, pods
from tests.unit.informer.world import World

DENIED = ForbiddenError("no", verb="watch", resource="pods", namespace="a")


def shows_nothing(informer, expected=DENIED):
    """Tell whether every read raises one error, and nothing is held."""
    reads = [
        lambda: informer.get(("a", "x")),
        lambda: informer.list(),
        lambda: informer.list(owner="u"),
        lambda: informer.by_index("f", "v"),
        informer.check,
        lambda: informer.add_handler(EventHandler()),
    ]
    for read in reads:
        with pytest.raises(type(expected)) as caught:
            read()
        assert caught.value is expected
    return (len(informer), informer.synced, informer.state) == (0, False, "closed")


# -- closing ---------------------------------------------------------------------------------------------------------


async def test_closing_is_one_step_after_which_nothing_is_shown_held_or_told(world):
    watch = await world.begin(added("x", 1), added("y", 2))
    world.heard.take()
    watch.send(modified("x", 11))

    purged_keys = world.informer.close(DENIED)

    assert shows_nothing(world.informer)
    assert purged_keys == {("a", "x"): "uid-x", ("a", "y"): "uid-y"}
    await idle()
    assert (world.heard.take(), watch.closed.is_set()) == ([], True)


async def test_closing_tells_no_deletions(world):
    """Losing sight of an object is not its deletion."""
    await world.begin(added("x", 1))
    world.heard.take()
    world.informer.close(DENIED)
    await after(100)
    assert world.heard.take() == []


@pytest.mark.parametrize("when", ["not started", "opening", "listing", "paging", "pausing"])
async def test_closing_before_the_first_list_is_complete_frees_those_who_wait(world, when):
    waiting = [asyncio.ensure_future(world.informer.wait_synced()) for _ in range(2)]
    if when != "not started":
        world.start()
        watch = await world.server.watched()
        if when == "listing":
            watch.accept(added("x", 1))
        elif when == "paging":
            watch.refuse(500, "InternalError")
            (await world.server.asked()).answer(pods(20, pod("x", 1), token="t"))
            await world.server.asked()
        elif when == "pausing":
            watch.unreachable()
    await idle()
    before = now()

    world.informer.close(DENIED)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    await idle()

    assert (answers, now() - before) == ([DENIED, DENIED], 0)
    assert shows_nothing(world.informer)
    assert (world.heard.take(), world.server.open, len(world.supervisor)) == ([], set(), 0)


async def test_who_comes_to_wait_after_the_end_is_told_at_once(world):
    world.informer.close(DENIED)
    with pytest.raises(ForbiddenError):
        await world.informer.wait_synced()


async def test_who_is_woken_by_the_list_but_comes_too_late_is_told_of_the_end(world):
    waiting = asyncio.ensure_future(world.informer.wait_synced())
    await idle()

    def close_in_a_moment(obj, initial):
        asyncio.get_running_loop().call_soon(world.informer.close, DENIED)

    world.informer.add_handler(EventHandler(on_add=close_in_a_moment))
    world.start()
    (await world.server.watched()).accept(added("x", 1), bookmark(10, end=True))
    with pytest.raises(ForbiddenError):
        await waiting


async def test_a_waiter_cancelled_in_the_moment_of_the_end_leaves_no_complaint(world, caplog):
    waiting = asyncio.ensure_future(world.informer.wait_synced())
    await idle()
    world.informer.close(DENIED)
    waiting.cancel()
    await idle()
    assert waiting.cancelled()
    del waiting
    gc.collect()
    assert caplog.records == []


async def test_closing_twice_is_closing_once(world):
    await world.begin(added("x", 1))
    first, second = world.informer.close(DENIED), world.informer.close(DENIED)
    assert (first, second) == ({("a", "x"): "uid-x"}, {})


async def test_without_a_reason_the_informer_names_itself(world):
    world.informer.close()
    with pytest.raises(CacheError, match=r"<Informer pods in a .*> is closed"):
        world.informer.list()


async def test_the_same_error_raised_many_times_does_not_grow(world):
    """An error that is raised again keeps every frame it passed, and what those frames hold."""

    def depth(read):
        with pytest.raises(ForbiddenError) as caught:
            read()
        found, trace = 0, caught.value.__traceback__
        while trace is not None:
            found, trace = found + 1, trace.tb_next
        return found

    world.informer.close(DENIED)
    depths = {depth(world.informer.list) for _ in range(50)}
    assert len(depths) == 1


# -- a handler that closes -------------------------------------------------------------------------------------------


def close_at(world, name):
    """Return a handler that closes the informer when it hears of an object."""

    def heard(obj, *_):
        if obj.name == name:
            world.informer.close(DENIED)

    return EventHandler(on_add=heard, on_update=lambda old, new: heard(new), on_delete=heard)


async def test_a_handler_that_closes_ends_the_rest_of_the_bunch(world):
    watch = await world.begin()
    world.informer.add_handler(close_at(world, "y"))
    last = []
    world.informer.add_handler(EventHandler(on_add=lambda obj, _: last.append(obj.name)))

    watch.send(added("x", 11), added("y", 12), added("z", 13))
    await idle()

    assert shows_nothing(world.informer)
    assert (world.heard.take(), last, watch.closed.is_set()) == (["+x@11", "+y@12"], ["x"], True)


@pytest.mark.parametrize("way", ["streaming", "paged"])
async def test_a_handler_that_closes_during_the_first_list_ends_it(world, way):
    """The list must not go on filling what was emptied, and must not make it readable again."""
    world.informer.add_handler(close_at(world, "x"))
    world.start()
    watch = await world.server.watched()
    if way == "streaming":
        watch.accept(added("x", 1), added("y", 2), bookmark(10, end=True), added("z", 11))
    else:
        watch.refuse(500, "InternalError")
        (await world.server.asked()).answer(pods(20, pod("x", 1), pod("y", 2)))
    await after(100)
    assert shows_nothing(world.informer)
    assert (world.heard.take(), world.server.open, world.server.quiet) == (["+x@1!"], set(), True)


async def test_a_handler_that_closes_during_a_later_list_ends_it(world):
    watch = await world.begin(added("x", 1), added("y", 2))
    world.informer.add_handler(EventHandler(on_delete=close_at(world, "y").on_delete))
    world.heard.take()
    watch.send(error(410, "Expired"))
    await world.list(added("x", 15), added("z", 16), version=20)
    await after(100)
    assert shows_nothing(world.informer)
    assert (world.heard.take(), world.server.open, world.server.quiet) == (["-y@2?"], set(), True)


async def test_a_handler_that_closes_over_our_own_write_ends_it():
    world = World()
    await world.begin()
    world.informer.add_handler(close_at(world, "x"))
    world.informer.written(entry("x", 11))
    assert shows_nothing(world.informer)
    await world.end()


# -- renewing --------------------------------------------------------------------------------------------------------


async def test_renewing_cuts_the_watch_and_goes_on_at_once_at_the_last_version(world):
    watch = await world.begin(added("x", 1))
    watch.send(modified("x", 11))
    await idle()
    before = now()
    world.informer.renew()
    world.informer.renew()
    again = await world.server.watched()
    assert (now() - before, watch.closed.is_set(), again.query["resourceVersion"]) == (0, True, "11")
    assert world.held == {"x": "11"}


async def test_renewing_while_nothing_is_open_changes_nothing(world):
    world.informer.renew()
    world.start()
    watch = await world.server.watched()
    world.informer.renew()
    watch.accept(added("x", 1))
    await idle()
    world.informer.renew()
    watch.send(bookmark(10, end=True))
    await idle()
    assert (world.held, watch.closed.is_set()) == ({"x": "1"}, False)
    watch.cut()
    await idle()
    world.informer.renew()
    await world.confirm()
    assert (await world.server.watched()).query["resourceVersion"] == "10"


async def test_a_renewed_watch_that_is_refused_keeps_what_is_held(world):
    await world.begin(added("x", 1))
    world.informer.renew()
    (await world.server.watched()).refuse(403, "Forbidden")
    await idle()
    assert (world.held, type(world.informer.error)) == ({"x": "1"}, ForbiddenError)


async def test_closing_in_the_moment_of_a_renewal_ends_it(world):
    watch = await world.begin(added("x", 1))
    world.informer.renew()
    world.informer.close(DENIED)
    await after(100)
    assert (watch.closed.is_set(), world.server.quiet, shows_nothing(world.informer)) == (True, True, True)


# -- nothing is left -------------------------------------------------------------------------------------------------


async def test_two_hundred_informers_that_come_and_go_leave_nothing(world):
    for number in range(200):
        informer = world.make(namespace=f"n{number}")
        informer.add_handler(EventHandler(coalesce=True))
        informer.start(world.supervisor)
        watch = await world.server.watched()
        moments = number % 4
        if moments:
            watch.accept(added("x", 1, namespace=f"n{number}"))
        if moments > 1:
            watch.send(bookmark(10, end=True))
            await idle()
        if moments > 2:
            watch.send(error(410, "Expired"))
        informer.close(DENIED)
        if number == 100:
            gone = weakref.ref(informer)
    del informer, watch
    await idle()
    gc.collect()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert (tasks, world.server.open, len(world.supervisor), gone()) == ([], set(), 0, None)


async def test_open_streams_are_counted_in_and_out():
    counts: list[bool] = []
    world = World(on_stream=counts.append)
    watch = await world.begin()
    watch.cut()
    await world.confirm()
    (await world.server.watched()).refuse(500, "InternalError")
    (await world.server.watched()).accept()
    await idle()
    streaming = world.informer.streaming
    world.informer.close(DENIED)
    await idle()
    assert (counts, streaming, world.informer.streaming) == ([True, False, True, False], True, False)
    await world.end()


async def test_an_informer_that_never_started_cost_no_request(world):
    with pytest.raises(NotSyncedError):
        world.informer.list()
    await after(100)
    assert (world.server.log, world.informer.state) == ([], "starting")
