"""What to ask next: the decision table of one list and watch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.errors import (
    APIError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ProtocolError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnauthorizedError,
)
from scopedcache.informer import reflector as reflector_module
from scopedcache.informer.last_event import LastEvent
from scopedcache.informer.reflector import (
    EXPIRED_PAGES,
    HEALTHY_SECONDS,
    LONGEST_PAUSE_SECONDS,
    RECONNECT_SPREAD_SECONDS,
    TRIES,
    TROUBLES,
    Next,
    PagedList,
    Reflector,
    ServerFeatures,
    StreamingList,
    VersionCheck,
    Watch,
    draw_tries,
)
from scopedcache.objects import Metadata

GONE_REMEMBERED = GoneError("too old", status=410, reason="Expired")
BUSY = TooManyRequestsError("busy", status=429, retry_after=7.0)
TOO_NEW = ServerError(
    "too large", status=504, retry_after=1.0, details={"causes": [{"reason": "ResourceVersionTooLarge"}]}
)
NO_STREAMING = InvalidError("forbidden", status=422, details={"causes": [{"field": "sendInitialEvents"}]})


def reflector(server=None, luck=0.5, **asked):
    return Reflector(server, chance=lambda: luck, **asked)


def watching(version="10", **rest):
    made = reflector(**rest)
    made.next()
    made.listed(version)
    made.next()
    return made


def test_it_begins_with_a_streaming_list():
    assert reflector().next() == Next(StreamingList())


def test_after_a_list_it_watches_from_its_version():
    made = reflector()
    made.listed("10")
    assert (made.next(), repr(made)) == (Next(Watch("10")), "<Reflector watching version=10>")


@pytest.mark.parametrize(("version", "expected"), [("12", "12"), ("", "10")])
def test_events_and_bookmarks_move_the_version(version, expected):
    made = watching("10")
    made.progressed(version)
    assert made.next().ask == Watch(expected)


# -- a server that comes back -----------------------------------------------------------------------------------------


def failing(made, times):
    for _ in range(times):
        made.failed(TransportError("refused"), 0.0)
        step = made.next()
    return step


def test_a_server_that_comes_back_begins_with_small_pauses():
    made = watching()
    long = failing(made, 10)
    made.woken()
    assert (long.pause, failing(made, 1).pause) == (37.5, 1.0)


def test_coming_back_that_does_not_help_is_heeded_later_and_ends_no_back_off():
    made = watching()
    spreads, pauses = [], []
    for _ in range(8):
        step = failing(made, 1)
        spreads.append(step.spread)
        pauses.append(step.pause)
        made.woken()
    assert (spreads, pauses[-1]) == ([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0], 37.5)


def test_a_healthy_watch_forgets_that_coming_back_did_not_help():
    made = watching()
    failing(made, 1)
    made.woken()
    made.woken()
    made.failed(TransportError("cut"), HEALTHY_SECONDS)
    assert made.next().spread == 0.5


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_healthy_end_is_resumed_after_a_spread():
    """A CRD edit ends all its watches at the same time."""
    made = watching()
    made.ended(300.0, 300.0)
    assert made.next() == Next(Watch("10"), pause=0.5 * RECONNECT_SPREAD_SECONDS)


def test_ends_that_come_at_once_are_resumed_after_growing_pauses():
    made = watching()
    pauses = []
    for _ in range(4):
        made.ended(0.1, 300.0)
        pauses.append(made.next().pause)
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_short_watch_that_lasted_as_long_as_it_was_asked_to_is_healthy():
    """Where reviews are refused, watches last four seconds: a pause that grows would make the view stale."""
    made = watching()
    for _ in range(5):
        made.ended(3.9, 4.0)
        assert made.next().pause <= RECONNECT_SPREAD_SECONDS


def test_a_healthy_end_makes_the_next_pause_small_again():
    made = watching()
    for _ in range(3):
        made.ended(0.1, 300.0)
    made.ended(HEALTHY_SECONDS, 300.0)
    made.ended(0.1, 300.0)
    assert made.next().pause == 1.0


def test_an_end_before_the_list_is_complete_begins_anew():
    made = reflector()
    made.ended(20.0, 300.0)
    assert made.next() == Next(StreamingList(), pause=1.0, spread=0.5)


def test_a_list_that_does_not_end_is_asked_for_in_pages_from_then_on():
    made = reflector()
    made.overdue()
    assert made.next().ask == PagedList()
    made.listed("10")
    made.failed(GONE_REMEMBERED, 0.0)
    assert made.next().ask == PagedList()


# -- errors while watching -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GONE_REMEMBERED, Next(StreamingList(), pause=0.5 * RECONNECT_SPREAD_SECONDS)),
        (GoneError("gone", status=410, reason="Gone"), Next(StreamingList(), pause=0.5 * RECONNECT_SPREAD_SECONDS)),
        (BUSY, Next(Watch("10"), pause=7.5)),
        (ForbiddenError("no"), Next(Watch("10"), pause=1.0, gated=True, spread=0.5)),
        (UnauthorizedError("who", status=401), Next(Watch("10"), pause=1.0, gated=True, spread=0.5)),
        (NotFoundError("no such kind", status=404), Next(StreamingList(), pause=1.0, spread=0.5)),
        (TransportError("lost"), Next(VersionCheck("10"), pause=1.0, spread=0.5)),
        (ProtocolError("odd"), Next(Watch("10"), pause=1.0, spread=0.5)),
        (ConfigurationError("no token"), Next(Watch("10"), pause=1.0, spread=0.5)),
        (InvalidError("bad selector", status=400), Next(Watch("10"), pause=1.0, spread=0.5)),
        (APIError("no watch", status=405), Next(Watch("10"), pause=1.0, spread=0.5)),
        (ServerError("down", status=500), Next(Watch("10"), pause=1.0, spread=0.5)),
        (ServerError("starting", status=503, retry_after=5.0), Next(Watch("10"), pause=5.0, spread=0.5, least=5.0)),
        (ServerError("starting", status=503, retry_after=0.1), Next(Watch("10"), pause=1.0, spread=0.5, least=0.1)),
        (TOO_NEW, Next(Watch("10"), pause=1.0)),
    ],
)
def test_what_an_error_means_for_a_watch(error, expected):
    made = watching()
    made.failed(error, 0.0)
    assert made.next() == expected
    assert made.next() == Next(expected.ask)  # pause and gate hold for one step


def test_a_version_that_stays_in_the_future_is_given_up_for_a_list():
    """Another replica catches up in a moment; an etcd restored from a backup never does."""
    made = watching()
    asked = []
    for _ in range(4):
        made.failed(TOO_NEW, 3.0)
        asked.append(type(made.next().ask))
    assert asked == [Watch] * 3 + [StreamingList]


def test_an_event_that_stays_unreadable_is_passed_by_with_a_list():
    made = watching()
    asked = []
    for _ in range(3):
        made.failed(ProtocolError("not JSON"), 0.0)
        asked.append(type(made.next().ask))
    assert asked == [Watch] * 2 + [StreamingList]


def test_an_unreadable_event_now_and_then_needs_no_list():
    made = watching()
    for version in range(11, 30):
        made.progressed(str(version))
        made.failed(ProtocolError("not JSON"), 0.0)
        assert made.next().ask == Watch(str(version))


def cut(made, lasted, connected=False):
    made.next()
    made.opened()
    made.failed(TransportError("lost", connected=connected), lasted)


FORMS = {
    "an ERROR event, compacted": lambda made: made.failed(ServerError("compacted", status=500), 0.0),
    "HTTP 400, invalid version": lambda made: made.failed(InvalidError("invalid version", status=400), 0.0),
    "HTTP 405": lambda made: made.failed(APIError("no watch", status=405), 0.0),
    "HTTP 409": lambda made: made.failed(ConflictError("odd", status=409), 0.0),
    "HTTP 502": lambda made: made.failed(ServerError("gateway", status=502), 0.0),
    "HTTP 504 after a minute": lambda made: made.failed(ServerError("gateway", status=504), 60.0),
    "rubbish": lambda made: made.failed(ProtocolError("not JSON"), 0.0),
    "a gateway's page": lambda made: made.failed(TransportError("403 of a proxy", connected=True), 0.0),
    "closed without an answer": lambda made: made.failed(TransportError("disconnected", connected=True), 0.0),
    "no credentials": lambda made: made.failed(ConfigurationError("no token"), 0.0),
    "closed at once": lambda made: made.ended(0.0, 300.0),
    "cut at once": lambda made: cut(made, 0.1),
    "cut for its silence": lambda made: cut(made, 75.0),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_watch_that_can_never_be_resumed_is_met_with_a_list_after_some_tries(form):
    made = watching()
    tries = 0
    while not isinstance(asked := made.next().ask, StreamingList):
        if isinstance(asked, VersionCheck):
            made.confirmed()
            continue
        tries += 1
        FORMS[form](made)
        assert tries < 10
    assert tries == {"rubbish": 3, "cut for its silence": 9}.get(form, 4)
    assert (made.version, made.seen, made.relists) == ("", "10", 1)


@given(st.lists(st.sampled_from(list(FORMS)), min_size=20, max_size=40))
def test_no_mixture_of_troubles_keeps_a_watch_at_a_version_it_cannot_be_resumed_at(forms):
    made = watching()
    for form in forms:
        made.next()
        FORMS[form](made)
        if made.state == "listing":
            return
    raise AssertionError("still there")


@pytest.mark.parametrize(
    "error",
    [BUSY, ForbiddenError("no"), UnauthorizedError("who", status=401), TransportError("connection refused")],
)
def test_what_says_nothing_about_the_version_keeps_it(error):
    made = watching()
    asked = VersionCheck("10") if isinstance(error, TransportError) else Watch("10")
    for _ in range(100):
        made.failed(error, 0.0)
        assert made.next().ask == asked


@pytest.mark.parametrize("happening", ["an event", "a healthy end"])
def test_tries_are_counted_anew_once_a_watch_got_anywhere(happening):
    made = watching()
    for number in range(11, 40):
        FORMS["HTTP 502"](made)
        FORMS["cut at once"](made)
        made.progressed(str(number)) if happening == "an event" else made.ended(300.0, 300.0)
    assert made.state == "watching"


def test_a_bookmark_that_tells_no_new_version_gets_a_watch_nowhere():
    made = watching()
    for _ in range(4):
        made.progressed("10")
        FORMS["an ERROR event, compacted"](made)
    assert made.next().ask == StreamingList()


@pytest.mark.parametrize("asked", [3600.0, 10.0**9])
@pytest.mark.parametrize("kind", [TooManyRequestsError, ServerError])
def test_no_server_sends_a_watch_away_for_good(kind, asked):
    made = watching()
    made.failed(kind("later", status=503, retry_after=asked), 0.0)
    assert made.next().pause <= LONGEST_PAUSE_SECONDS + 1


def test_every_trouble_has_its_tries_and_stands_in_the_table():
    table = [row.split()[:2] for row in reflector_module.__doc__.split("what it is\n")[1].splitlines()[: len(TROUBLES)]]
    assert [row.split() for row in draw_tries().splitlines()] == table
    assert set(TRIES) == set(TROUBLES)


def test_versions_too_old_again_and_again_are_met_with_growing_pauses():
    made = watching()
    pauses = []
    for _ in range(4):
        made.failed(GONE_REMEMBERED, 0.1)
        pauses.append(made.next().pause)
        made.listed("11")
    assert (pauses, made.relists) == ([0.5, 1.0, 2.0, 4.0], 4)


def test_the_version_before_a_list_is_remembered_until_the_next_one():
    made = watching("10")
    made.progressed("50")
    made.failed(GONE_REMEMBERED, 100.0)
    before = (made.version, made.seen)
    made.listed("40")
    assert (before, made.seen) == (("", "50"), "40")


def test_when_our_own_side_broke_it_begins_with_a_list():
    made = watching()
    made.broken()
    assert made.next().ask == StreamingList()


# -- metadata alone --------------------------------------------------------------------------------------------------


def test_metadata_alone_is_asked_for_where_it_is_wanted():
    assert (reflector().next().metadata_only, reflector(metadata_only=True).next().metadata_only) == (False, True)


@pytest.mark.parametrize("status", [406, 415])
def test_a_server_without_metadata_alone_is_asked_for_whole_objects_at_once_and_by_everybody(status):
    server = ServerFeatures()
    made = reflector(server, metadata_only=True)
    made.next()
    made.failed(APIError("only application/json", status=status), 0.0)
    assert made.next() == Next(StreamingList())
    assert not reflector(server, metadata_only=True).next().metadata_only
    assert reflector(server, metadata_only=True, group="apps").next().metadata_only


def test_a_406_to_who_asks_for_whole_objects_is_an_error_like_others():
    server = ServerFeatures()
    made = reflector(server)
    made.next()
    made.failed(APIError("odd", status=406), 0.0)
    assert (made.next().ask, server.whole_objects_only) == (PagedList(), set())


# -- errors while listing --------------------------------------------------------------------------------------------


def test_a_server_without_streaming_lists_is_remembered_for_all():
    server = ServerFeatures()
    made = reflector(server)
    made.next()
    made.failed(NO_STREAMING, 0.0)
    assert (made.next(), reflector(server).next()) == (Next(PagedList()), Next(PagedList()))


@pytest.mark.parametrize(
    "error",
    [
        InvalidError("unknown field", status=400),
        InvalidError("bad selector", status=422, details={"causes": [{"field": "labelSelector"}]}),
        ServerError("etcd does not know progress requests", status=500),
        ProtocolError("ended before its end mark"),
        APIError("no watch", status=405),
    ],
)
def test_whatever_is_wrong_with_one_streaming_list_another_kind_is_tried_and_nobody_else_is_told(error):
    """As client-go does: an etcd that is too old says so with an ERROR line of code 500."""
    server = ServerFeatures()
    made = reflector(server)
    made.next()
    made.failed(error, 0.0)
    assert (made.next().ask, reflector(server).next().ask) == (PagedList(), StreamingList())
    made.listed("10")
    made.failed(GONE_REMEMBERED, 0.0)
    assert made.next().ask == StreamingList()


@pytest.mark.parametrize(
    "error", [TransportError("lost"), ForbiddenError("no"), BUSY, NotFoundError("absent", status=404), GONE_REMEMBERED]
)
def test_what_asking_otherwise_cannot_mend_is_asked_for_again(error):
    made = reflector()
    made.next()
    made.failed(error, 0.0)
    assert made.next().ask == StreamingList()


def test_a_list_whose_pages_outlive_their_tokens_is_asked_for_in_one_page():
    made = reflector()
    made.overdue()
    asked = []
    for _ in range(EXPIRED_PAGES + 1):
        asked.append(made.next().ask)
        made.failed(GONE_REMEMBERED, 30.0)
    assert (asked, made.next().ask) == ([PagedList()] * (EXPIRED_PAGES + 1), PagedList(whole=True))
    made.listed("10")
    made.failed(GONE_REMEMBERED, 100.0)
    assert made.next().ask == PagedList()


def test_a_selector_that_is_refused_in_both_ways_is_tried_ever_more_rarely():
    made = reflector()
    asked = []
    for _ in range(4):
        asked.append(made.next())
        made.failed(InvalidError("unknown field", status=400), 0.0)
    assert [(type(step.ask), step.pause) for step in asked] == [
        (StreamingList, 0.0), (PagedList, 0.0), (PagedList, 1.0), (PagedList, 2.0),
    ]  # fmt: skip


# -- whatever happens ------------------------------------------------------------------------------------------------

_errors = st.sampled_from(
    [
        GONE_REMEMBERED,
        BUSY,
        TOO_NEW,
        NO_STREAMING,
        ForbiddenError("no"),
        NotFoundError(status=404),
        TransportError(),
        ProtocolError(),
        ServerError(status=500),
        InvalidError(status=400),
        APIError(status=405),
    ]
)
_happenings = st.one_of(
    st.tuples(st.just("failed"), _errors, st.sampled_from([0.0, 4.0])),
    st.tuples(st.just("ended"), st.sampled_from([0.0, 1.0]), st.just(300.0)),
    st.tuples(st.just("overdue")),
    st.tuples(st.just("broken")),
)


@given(st.lists(_happenings, min_size=12, max_size=60), st.floats(0, 1))
def test_no_series_of_failures_makes_a_server_answer_without_a_pause(happenings, luck):
    """Peers sent thousands of requests a second; here 12 failures in a row take their time, whatever they are."""
    made = reflector(luck=luck)
    waited = 0.0
    for name, *args in happenings:
        waited += made.next().pause
        getattr(made, name)(*args)
    failures = sum(happening[0] not in ("broken",) for happening in happenings)
    assert waited >= 0.8 * (failures - 5)


@given(st.lists(_happenings, max_size=60))
def test_a_watch_never_asks_for_a_version_that_was_too_old(happenings):
    made = watching("10")
    for name, *args in happenings:
        getattr(made, name)(*args)
        step = made.next()
        if name == "failed" and args[0] is GONE_REMEMBERED:
            assert not isinstance(step.ask, Watch)
        if isinstance(step.ask, Watch):
            assert step.ask.version == "10"


# -- a server from the past --------------------------------------------------------------------------------------------

CUT = TransportError("no byte in time", connected=True)


def silent(made):
    """Let a watch be accepted, last, and be cut without a word."""
    assert made.next().ask == Watch("10")
    made.opened()
    made.failed(CUT, 75.0)


def resumed(version="10"):
    """Return one whose server was away, and knows the version: nothing was said since."""
    made = watching(version)
    made.failed(TransportError("refused"), 0.0)
    made.next()
    made.confirmed()
    return made


def test_after_a_watch_that_was_cut_the_server_is_asked_whether_it_knows_the_version():
    made = watching("10")
    made.opened()
    made.failed(CUT, 75.0)
    assert made.next().ask == VersionCheck("10")


def test_a_version_that_the_server_knows_is_not_asked_about_again_where_streams_are_cut_for_their_silence():
    made = resumed()
    for _ in range(3):
        silent(made)
    assert made.next().ask == Watch("10")


def test_a_version_that_is_of_the_future_when_it_is_asked_about_is_given_up_at_once():
    """It is etcd that answers: no other replica will know better in a moment."""
    made = watching("10")
    made.failed(CUT, 0.0)
    made.next()
    made.failed(TOO_NEW, 0.1)
    assert made.next() == Next(StreamingList())


def test_after_other_trouble_it_is_asked_again():
    made = resumed()
    silent(made)
    made.next()
    made.failed(TransportError("refused"), 0.0)
    assert made.next().ask == VersionCheck("10")


def test_a_watch_that_said_something_and_was_cut_is_asked_about_by_what_it_said_last():
    last = LastEvent(Metadata("x"), deleted=False)
    made = watching("10")
    made.opened()
    made.progressed("12", last)
    made.progressed("13")
    made.failed(CUT, 80.0)
    assert made.next().ask == VersionCheck("13", last)


def test_a_history_that_is_another_one_is_listed_and_what_was_heard_of_the_old_one_forgotten():
    made = watching("10")
    made.progressed("12", last_event("12"))
    made.failed(CUT, 80.0)
    made.next()
    made.disproved()
    listing = made.next().ask
    made.listed("11")
    made.failed(CUT, 80.0)
    assert (listing, made.next().ask, made.relists) == (StreamingList(), VersionCheck("11"), 1)


def last_event(version):
    return LastEvent(Metadata("x", resource_version=version), deleted=False)


@pytest.mark.parametrize(("away", "expected"), [(True, "12"), (False, "15")])
def test_after_an_outage_it_goes_on_from_the_last_event_and_not_from_a_bookmark(away, expected):
    """A restored server may have put other events in between, by the time that it is asked."""
    made = watching("10")
    made.opened()
    made.progressed("12", last_event("12"))
    made.progressed("15")
    made.failed(TransportError("refused") if away else CUT, 0.0 if not away else 80.0)
    if away:
        made.next()
        made.failed(TransportError("refused"), 0.0)
    asked = made.next().ask
    made.confirmed()
    assert (asked, made.next().ask) == (VersionCheck("15", last_event("12")), Watch(expected))


def test_without_an_event_it_goes_on_from_its_list():
    made = watching("10")
    made.progressed("15")
    made.was_away()
    made.next()
    made.confirmed()
    assert made.next().ask == Watch("10")


def test_a_server_that_was_away_while_a_list_is_made_raises_no_doubt():
    made = reflector()
    made.was_away()
    made.listed("10")
    assert made.next().ask == Watch("10")
