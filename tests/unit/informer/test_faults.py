"""What a watch goes through, and what is shown meanwhile: the faults other clients were measured with, and more."""

import asyncio

import pytest

from scopedcache.errors import ForbiddenError, GoneError, ServerError, TransportError, UnauthorizedError
from scopedcache.event_logger import event_of
from tests.unit.clock import after, idle, now
from tests.unit.informer.events import added, bookmark, deleted, error, line, modified, pod
from tests.unit.informer.world import World


async def begin(world):
    """Return the watch of an informer that holds x@1 and y@2 at version 10."""
    watch = await world.begin(added("x", 1), added("y", 2))
    world.heard.take()
    return watch


async def resumed(world, version):
    """Return the next watch, which goes on from a version without a list."""
    watch = await world.server.watched()
    assert (watch.query.get("resourceVersion"), "sendInitialEvents" in watch.query) == (version, False)
    watch.accept()
    await idle()
    return watch


async def relisted(world, *lines, version):
    """Answer the next watch, which must ask for everything, and return it."""
    watch = await world.server.watched()
    assert (watch.query.get("resourceVersion"), watch.query["sendInitialEvents"]) == (None, "true")
    watch.accept(*lines, bookmark(version, end=True))
    await idle()
    return watch


# -- ends ------------------------------------------------------------------------------------------------------------


async def test_a_watch_that_ends_well_goes_on_at_the_last_version(world):
    watch = await begin(world)
    watch.send(modified("x", 11), bookmark(15))
    watch.end()
    again = await resumed(world, "15")
    again.send(added("z", 16))
    await idle()
    assert (world.held, world.heard.take()) == ({"x": "11", "y": "2", "z": "16"}, ["x@1→11", "+z@16"])
    assert world.informer.relists == 0


async def test_what_is_held_is_shown_while_nobody_answers(world):
    watch = await begin(world)
    watch.cut()
    await idle()
    assert (world.held, world.informer.state, world.informer.synced) == ({"x": "1", "y": "2"}, "waiting", True)
    await after(500)
    assert world.informer.age > 400


@pytest.mark.parametrize("end", ["cut", "end"])
async def test_half_a_line_is_never_an_event(world, end, caplog):
    caplog.set_level("INFO", "scopedcache.informer")
    watch = await begin(world)
    half = line("DELETED", pod("x", 11))
    watch.send_chunk(half[:-1] if end == "end" else half[:30])
    getattr(watch, end)()
    if end == "cut":
        await world.confirm()
    again = await resumed(world, "10")
    assert (world.held, world.heard.take()) == ({"x": "1", "y": "2"}, [])
    (interrupted,) = [record for record in caplog.records if event_of(record) == "watch.interrupted"]
    assert ("in the middle of a line" in interrupted.__dict__["error"]) is (end == "end")
    again.send(half)
    await idle()
    assert world.heard.take() == ["-x@11"]


async def test_half_a_line_is_not_joined_to_the_next_stream(world):
    watch = await begin(world)
    watch.send_chunk(line("ADDED", pod("z", 11))[:20])
    watch.cut()
    await world.confirm()
    again = await resumed(world, "10")
    again.send(added("z", 11))
    await idle()
    assert world.held["z"] == "11"


@pytest.mark.parametrize("size", [2, 5, 20])
async def test_a_line_of_megabytes_is_an_event_like_others(world, size):
    watch = await begin(world)
    whole = line("ADDED", pod("big", 11, annotations={"note": "x" * size * 2**20})) + b"\n"
    for start in range(0, len(whole), 2**18):
        watch.send_chunk(whole[start : start + 2**18])
    await idle()
    found = world.informer.get(("a", "big"))
    assert found is not None
    assert len(found.annotations["note"]) == size * 2**20


async def test_a_silent_stream_is_cut_and_opened_again(world):
    watch = await begin(world)
    silent_since = now()
    await world.confirm()
    again = await world.server.watched()
    assert (watch.closed.is_set(), 75 <= now() - silent_since <= 77) == (True, True)
    assert (again.query["resourceVersion"], world.informer.state) == ("10", "waiting")


async def test_an_idle_stream_with_bookmarks_is_left_alone(world):
    watch = await begin(world)
    for minute in range(1, 11):
        await after(60)
        watch.send(bookmark(10 + minute))
        await idle()
        assert world.informer.age == 0
    assert (watch.closed.is_set(), world.informer.resource_version, world.heard.take()) == (False, "20", [])


async def test_a_server_restored_from_an_older_state_is_listed_anew(world):
    """It takes a watch at a version of its future, and tells nothing until it has come that far."""
    watch = await begin(world)
    watch.cut()
    asked = await world.server.asked()
    assert (asked.query["resourceVersion"], asked.query["limit"]) == ("10", "1")
    asked.refuse(504, "Timeout", pause=1, causes=[{"reason": "ResourceVersionTooLarge"}])
    await relisted(world, added("x", 3), version=5)
    assert (world.held, world.heard.take()) == ({"x": "3"}, ["-y@2?", "x@1→3"])


async def test_a_server_that_was_restored_and_has_written_its_way_past_what_was_seen_is_listed_anew(world, caplog):
    """It knows the version by then; what was heard last is not in its history."""
    watch = await begin(world)
    watch.send(modified("x", 12), bookmark(14))
    watch.cut()
    await world.confirm(pod("x", 1), version=14, name="x")
    await relisted(world, added("x", 1), version=20)
    assert (world.held, world.heard.take()) == ({"x": "1"}, ["x@1→12", "-y@2?", "x@12→1"])
    assert [event_of(record) for record in caplog.records] == ["history.replaced"]


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_deletion_that_was_heard_last_has_been_unless_its_object_is_there(world, is_there):
    watch = await begin(world)
    watch.send(deleted("x", 12))
    watch.cut()
    await world.confirm(*[pod("x", 1)] * is_there, version=12, name="x")
    if is_there:
        await relisted(world, added("x", 1), added("y", 2), version=20)
    else:
        await resumed(world, "12")
    assert world.held == ({"x": "1", "y": "2"} if is_there else {"y": "2"})


async def test_a_history_that_holds_what_was_heard_last_goes_on(world):
    watch = await begin(world)
    watch.send(modified("x", 12))
    watch.cut()
    await world.confirm(pod("x", 12), version=12, name="x")
    (await resumed(world, "12")).send(modified("y", 13))
    await idle()
    assert (world.held, world.informer.relists) == ({"x": "12", "y": "13"}, 0)


async def test_a_server_that_cannot_list_a_version_exactly_is_believed(world):
    watch = await begin(world)
    watch.cut()
    (await world.server.asked()).refuse(400, "BadRequest", "resourceVersionMatch: unknown")
    await resumed(world, "10")


# -- too old ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["Expired", "Gone"])
@pytest.mark.parametrize("form", ["event", "status"])
async def test_a_version_too_old_is_met_with_one_list_and_told_as_differences(world, form, reason):
    """Deleted while nobody looked: the hole in which other clients keep a dead object for ever."""
    watch = await begin(world)
    if form == "event":
        watch.send(error(410, reason))
        watch.end()
    else:
        watch.end()
        (await world.server.watched()).refuse(410, reason)
    await relisted(world, added("x", 1), added("z", 15), version=20)
    assert (world.held, world.heard.take()) == ({"x": "1", "z": "15"}, ["-y@2?", "+z@15"])
    assert (world.informer.relists, world.informer.resource_version) == (1, "20")


async def test_events_before_an_ERROR_line_count(world):
    watch = await begin(world)
    watch.send(modified("x", 11), error(500, "InternalError"))
    await resumed(world, "11")
    assert world.heard.take() == ["x@1→11"]


async def test_until_the_new_list_is_complete_the_old_one_is_shown(world):
    watch = await begin(world)
    watch.send(error(410, "Expired"))
    again = (await world.server.watched()).accept(added("x", 15))
    await idle()
    shown = world.held
    again.send(bookmark(20, end=True))
    await idle()
    assert (shown, world.held) == ({"x": "1", "y": "2"}, {"x": "15"})


async def test_a_server_that_always_says_too_old_is_asked_ever_more_rarely(world):
    await begin(world)
    (next(iter(world.server.open))).send(error(410, "Expired"))
    started = now()
    for _ in range(10):
        await relisted(world, version=20)
        (next(iter(world.server.open))).send(error(410, "Expired"))
        await idle()
    assert now() - started > 60


async def test_a_version_from_the_future_is_retried_and_then_given_up(world):
    """Another replica is behind for a moment; an etcd restored from a backup is behind for good."""
    watch = await begin(world)
    watch.end()
    for _ in range(4):
        behind = await world.server.watched()
        assert behind.query["resourceVersion"] == "10"
        behind.refuse(504, "Timeout", pause=1, causes=[{"reason": "ResourceVersionTooLarge"}])
    await relisted(world, added("x", 1), version=5)
    assert (world.held, world.informer.resource_version) == ({"x": "1"}, "5")


async def test_the_state_of_a_restored_server_is_what_is_shown(world):
    watch = await begin(world)
    watch.send(modified("x", 50), added("z", 60))
    watch.end()
    (await world.server.watched()).refuse(410, "Expired")
    again = await relisted(world, added("x", 30), added("y", 2), version=40)
    again.send(modified("x", 41))
    await idle()
    assert (world.held, world.heard.take()) == (
        {"x": "41", "y": "2"},
        ["x@1→50", "+z@60", "-z@60?", "x@50→30", "x@30→41"],
    )


# -- refusals and failures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["event", "status"])
async def test_a_busy_server_is_given_the_time_it_asks_for_and_keeps_its_version(world, form):
    watch = await begin(world)
    asked = now()
    if form == "event":
        watch.send(error(429, "TooManyRequests", retryAfterSeconds=9))
    else:
        watch.end()
        (await world.server.watched()).refuse(429, "TooManyRequests", pause=9)
    await resumed(world, "10")
    assert 9 <= now() - asked <= 11
    assert world.informer.relists == 0


async def test_a_server_that_cannot_be_reached_is_asked_ever_more_rarely_and_resumed_where_it_was(world):
    watch = await begin(world)
    watch.end()
    (await world.server.watched()).unreachable()
    started, asked = now(), 1
    while now() - started < 120:
        (await world.server.asked()).lose("connection refused")
        asked += 1
        await idle()
    await world.confirm()
    await resumed(world, "10")
    assert asked <= 10
    assert world.held == {"x": "1", "y": "2"}


TROUBLES = {
    "500": lambda watch: watch.refuse(500, "InternalError", "etcdserver: mvcc: required revision has been compacted"),
    "400": lambda watch: watch.refuse(400, "BadRequest", "resourceVersion: Invalid value"),
    "409": lambda watch: watch.refuse(409, "Conflict"),
    "ERROR 500": lambda watch: watch.accept(error(500, "InternalError")),
    "ERROR 400": lambda watch: watch.accept(error(400, "BadRequest")),
    "ERROR of nothing": lambda watch: watch.accept(line("ERROR", {})),
    "ERROR that is none": lambda watch: watch.accept(line("ERROR", {"code": ["odd"]})),
    "html": lambda watch: watch.answer(502, b"<html>bad gateway</html>", "text/html"),
    "html with 200": lambda watch: watch.answer(200, b"<html>welcome</html>", "text/html"),
    "a page of a proxy": lambda watch: watch.answer(403, b"<html>no</html>", "text/html"),
    "rubbish": lambda watch: watch.accept(b"<html>"),
    "closed at once": lambda watch: watch.accept().end(),
    "cut at once": lambda watch: watch.accept().cut(),
    "half a line": lambda watch: watch.accept().send_chunk(line("ADDED", pod("z", 11))) or watch.end(),
    "silence": lambda watch: watch.accept(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_watch_that_can_never_be_resumed_is_met_with_a_list(world, trouble):
    """Whatever form that takes: what is shown until then is stale, and nobody is told."""
    watch = await begin(world)
    watch.end()
    # The end and three such tries; what is cut for its silence is asked about once.
    asked_about = {"a page of a proxy": 2, "cut at once": 2, "silence": 1}
    started, tries = now(), 0
    while "sendInitialEvents" not in (watch := await world.server.watched()).query:
        tries += 1
        TROUBLES[trouble](watch)
        if tries <= asked_about.get(trouble, 0):
            await world.confirm()
    watch.accept(added("x", 1), added("z", 90), bookmark(99, end=True))
    await idle()
    assert (world.held, tries <= (9 if trouble == "silence" else 4)) == ({"x": "1", "z": "90"}, True)
    assert now() - started < (750 if trouble == "silence" else 40)


@pytest.mark.parametrize("reason", ["Expired", "Gone"])
@pytest.mark.parametrize("said", [{"reason": ...}, {"reason": ..., "code": 504}, {"reason": ..., "code": None}])
async def test_a_reason_that_says_too_old_counts_without_its_code(world, reason, said):
    watch = await begin(world)
    watch.send(line("ERROR", {"kind": "Status", **said, "reason": reason}))
    await relisted(world, added("x", 1), version=20)
    assert world.heard.take() == ["-y@2?"]


async def test_a_server_that_fails_at_everything_is_asked_ever_more_rarely(world):
    watch = await begin(world)
    watch.end()
    started, asked = now(), 0
    while now() - started < 240:
        asked += 1
        asking = [asyncio.ensure_future(one()) for one in (world.server.watched, world.server.asked)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        for other in set(asking) - done:
            other.cancel()
        done.pop().result().refuse(500, "InternalError")
        await idle()
    assert (world.held, asked <= 14) == ({"x": "1", "y": "2"}, True)


async def test_after_a_healthy_watch_the_pauses_are_small_again(world):
    watch = await begin(world)
    watch.end()
    (await world.server.watched()).unreachable()
    for _ in range(5):
        (await world.server.asked()).lose("connection refused")
    await world.confirm()
    again = await resumed(world, "10")
    await after(30)
    again.cut()
    lost = now()
    await resumed(world, "10")
    assert now() - lost < 2


@pytest.mark.parametrize(("code", "expected"), [(403, ForbiddenError), (401, UnauthorizedError)])
async def test_a_refused_watch_keeps_what_is_held_and_its_version(world, code, expected):
    """Whether a right is gone is not decided here: a false alarm resumes where it was."""
    watch = await begin(world)
    watch.end()
    (await world.server.watched()).refuse(code, "Forbidden")
    await idle()
    assert (world.held, type(world.informer.error), world.informer.synced) == ({"x": "1", "y": "2"}, expected, True)
    await resumed(world, "10")
    assert world.informer.error is None


async def test_three_requests_at_most_in_the_ten_seconds_after_a_right_is_lost(world):
    watch = await begin(world)
    watch.end()
    lost, asked = now(), 0
    while now() - lost < 10:
        refused = await world.server.watched()
        asked += now() - lost < 10
        refused.refuse(403, "Forbidden")
        await idle()
    assert asked <= 4


async def test_a_kind_that_is_not_served_any_more_is_listed_once_it_is(world):
    watch = await begin(world)
    watch.end()
    (await world.server.watched()).answer(404, b"404 page not found", "text/plain")
    await relisted(world, added("x", 1), version=20)
    assert world.heard.take() == ["-y@2?"]


# -- nonsense --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonsense", [b"{", b"<html>", b"null", b'{"type":"ADDED","object":{}}', b"\xff\xfe"])
async def test_a_line_that_is_no_event_is_asked_for_again_and_then_passed_by_with_a_list(world, nonsense):
    watch = await begin(world)
    for version in ("10", "10"):
        watch.send(nonsense)
        watch = await resumed(world, version)
    watch.send(nonsense)
    await relisted(world, added("x", 1), added("y", 15), version=20)
    assert (world.held, world.heard.take()) == ({"x": "1", "y": "15"}, ["y@2→15"])


async def test_events_before_nonsense_count_once(world):
    watch = await begin(world)
    watch.send(modified("x", 11), b"{")
    again = await resumed(world, "11")
    again.send(modified("x", 12))
    await idle()
    assert world.heard.take() == ["x@1→11", "x@11→12"]


async def test_events_in_the_wrong_order_never_go_back(world):
    watch = await begin(world)
    watch.send(modified("x", 15), modified("x", 12), added("x", 11), deleted("y", 3, uid="another"))
    await idle()
    assert (world.held, world.heard.take()) == ({"x": "15", "y": "2"}, ["x@1→15"])


async def test_an_object_recreated_behind_our_back_is_a_removal_and_an_addition(world):
    watch = await begin(world)
    watch.send(error(410, "Expired"))
    await relisted(world, added("x", 15, uid="second"), added("y", 2), version=20)
    assert world.heard.take() == ["-x@1?", "+x@15"]


async def test_a_type_of_event_nobody_knows_changes_nothing(world):
    watch = await begin(world)
    watch.send(line("COMPACTED", pod("x", 11)), modified("x", 12))
    await idle()
    assert world.heard.take() == ["x@1→12"]


# -- what is told to the operator ------------------------------------------------------------------------------------


async def test_one_line_is_logged_for_a_trouble_and_not_one_for_each_try(world, caplog):
    caplog.set_level("INFO", "scopedcache.informer")
    watch = await begin(world)
    watch.end()
    for _ in range(5):
        (await world.server.watched()).refuse(403, "Forbidden", "no")
    (await world.server.watched()).unreachable()
    for _ in range(5):
        (await world.server.asked()).lose("connection refused")
    await world.confirm()
    await resumed(world, "10")
    logged = [record.__dict__["error"] for record in caplog.records if event_of(record) == "watch.interrupted"]
    assert (len(logged), "may not watch pods" in logged[0], "connection refused" in logged[1]) == (2, True, True)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda watch: watch.cut(), TransportError),
        (lambda watch: watch.send(error(500, "InternalError")), ServerError),
        (lambda watch: watch.send(error(410, "Expired")), GoneError),
    ],
)
async def test_the_last_trouble_is_known_until_it_is_over(harm, expected):
    world = World()
    watch = await begin(world)
    harm(watch)
    await idle()
    during = type(world.informer.error)
    if expected is TransportError:
        await world.confirm()
    again = (await world.server.watched()).accept(bookmark(20, end=True))
    await idle()
    assert (during, world.informer.error) == (expected, None)
    again.end()
    await world.end()
