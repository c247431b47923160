"""From the chunks of a watch to batches of events, without a loop: what is given, and what is raised."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.request_info import RequestInfo
from scopedcache.api.watch.event_decoder import UNREADABLE_OBJECT, EventDecoder
from scopedcache.api.watch.watch_stream import BATCH_EVENTS, INITIAL_EVENTS_END, EventBatches, WatchStream
from scopedcache.errors import ForbiddenError, GoneError, ProtocolError, ServerError
from tests.unit.informer.events import PODS, added, bookmark, deleted, line, modified, pod
from tests.unit.informer.events import error as error_line

WATCH = RequestInfo("watch", PODS, "a", "x")


def batches_of(*chunks, line_limit=2**20):
    """Return a reader that was fed."""
    made = EventBatches(WATCH, EventDecoder(), line_limit=line_limit)
    for chunk in chunks:
        made.feed(chunk)
    return made


def sent(*lines):
    return b"".join(one + b"\n" for one in lines)


def short(events):
    return [(type_, entry.metadata.name or entry.metadata.resource_version) for type_, entry in events]


def everything(batches):
    events = []
    while batch := batches.take():
        events += short(batch)
    return events


def test_events_come_as_they_are_named():
    batches = batches_of(sent(added("x", 1), modified("x", 2), deleted("x", 3), line("ODD", pod("x", 4)), bookmark(5)))
    assert short(batches.take()) == [
        ("ADDED", "x"), ("MODIFIED", "x"), ("DELETED", "x"), ("ODD", "x"), ("BOOKMARK", "5"),
    ]  # fmt: skip
    assert batches.take() == []


def test_the_end_of_the_initial_events_has_a_type_and_ends_its_batch():
    batches = batches_of(sent(added("x", 1), bookmark(5), bookmark(9, end=True), modified("x", 10)))
    assert short(batches.take()) == [("ADDED", "x"), ("BOOKMARK", "5"), (INITIAL_EVENTS_END, "9")]
    assert short(batches.take()) == [("MODIFIED", "x")]


def test_no_batch_is_longer_than_a_slice_of_work():
    batches = batches_of(sent(*(added(f"x{number}", number) for number in range(2 * BATCH_EVENTS + 1))))
    assert [len(batches.take()) for _ in range(4)] == [BATCH_EVENTS, BATCH_EVENTS, 1, 0]


@given(st.data())
def test_any_chunking_gives_the_same_events(data):
    whole = sent(added("x", 1), bookmark(9, end=True), modified("y", 10), deleted("z", 11))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    batches, events = batches_of(), []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        batches.feed(whole[start:stop])
        if data.draw(st.booleans()):
            events += short(batches.take())
    batches.end()
    assert events + everything(batches) == [
        ("ADDED", "x"), (INITIAL_EVENTS_END, "9"), ("MODIFIED", "y"), ("DELETED", "z"),
    ]  # fmt: skip


# -- documents that are not one line each ----------------------------------------------------------------------------

ONE, TWO, THREE = added("x", 1), modified("y", 2, labels={"a": "b"}), deleted("z", 3)
WITH_SPEC = [
    line("ADDED", {**pod(name, version), "spec": {"n": 1}}) for name, version in (("x", 1), ("y", 2), ("z", 3))
]
FORMS = {
    "empty lines": sent(ONE, b"", b"", TWO, b"", THREE),
    "CRLF": b"".join(one + b"\r\n" for one in (ONE, TWO, THREE)),
    "blank heartbeats": sent(b" ", ONE, b" ", b"\t", b"\r", TWO, b"  \r", THREE, b" "),
    "blanks around": sent(b"  " + ONE + b"  ", b"\t" + TWO, THREE + b" "),
    "all on one line": sent(ONE + TWO + THREE),
    "two on one line, blanks between": sent(ONE, TWO + b" \t " + THREE),
    "over several lines": b"".join(json.dumps(json.loads(one), indent=2).encode() + b"\n" for one in (ONE, TWO, THREE)),
    "all on one line, with a spec": sent(b"".join(WITH_SPEC)),
    "two on one line, with a spec": sent(WITH_SPEC[0], WITH_SPEC[1] + WITH_SPEC[2]),
    "over several lines, with a spec": b"".join(
        json.dumps(json.loads(one), indent=2).encode() + b"\n" for one in WITH_SPEC
    ),
}


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_whatever_stands_between_documents_they_are_the_same_events(form, data):
    whole = FORMS[form]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=4)))
    batches, events = batches_of(), []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        batches.feed(whole[start:stop])
        while batch := batches.take():
            events += batch
    batches.end()
    assert [entry.metadata.name for _, entry in events] == ["x", "y", "z"]
    assert all(json.loads(entry.raw)["metadata"]["name"] == entry.metadata.name for _, entry in events)


def test_a_document_over_several_lines_that_does_not_end_is_never_an_event():
    batches = batches_of(sent(added("x", 1), b"{", b'"type":"ADDED",'))
    assert everything(batches) == [("ADDED", "x")]
    with pytest.raises(ProtocolError, match="ended in the middle of a line"):
        batches.end()


def test_an_object_nobody_can_read_is_an_event_of_its_own_type_and_takes_no_other_with_it():
    odd = line("MODIFIED", {**pod("odd", 2), "metadata": {**pod("odd", 2)["metadata"], "labels": ["odd"]}})
    batches = batches_of(sent(added("x", 1), odd, added("y", 3)))
    assert everything(batches) == [("ADDED", "x"), (UNREADABLE_OBJECT, "odd"), ("ADDED", "y")]


# -- what is no event ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (410, "Expired", GoneError),
        (410, "Gone", GoneError),
        (403, "Forbidden", ForbiddenError),
        (500, "InternalError", ServerError),
        (0, "", ServerError),
    ],
)
def test_an_ERROR_line_is_raised_as_what_it_stands_for_after_the_events_before_it(code, reason, expected):
    batches = batches_of(sent(added("x", 1), error_line(code, reason), added("never", 2)))

    assert short(batches.take()) == [("ADDED", "x")]
    for _ in range(2):
        with pytest.raises(expected) as caught:
            batches.take()

    error = caught.value
    assert (error.verb, error.resource, error.namespace, error.name) == ("watch", "pods", "a", "x")


@pytest.mark.parametrize("nonsense", [b"{", b"<html>", b"null", b'{"type":"ADDED","object":{}}', b"\xff\xfe"])
def test_a_line_that_is_no_event_is_raised_after_the_events_before_it(nonsense):
    batches = batches_of(sent(added("x", 1), nonsense, added("never", 2)))
    assert short(batches.take()) == [("ADDED", "x")]
    with pytest.raises(ProtocolError, match="a line of the watch is not"):
        batches.take()


def test_an_ERROR_line_without_a_readable_status_is_raised_too():
    with pytest.raises(ProtocolError, match="ERROR line"):
        batches_of(sent(line("ERROR", {"code": "x"}))).take()


def test_a_half_line_at_the_end_is_never_an_event():
    half = line("DELETED", pod("x", 11))
    batches = batches_of(sent(added("x", 1)) + half)
    assert everything(batches) == [("ADDED", "x")]
    with pytest.raises(ProtocolError, match=rf"pods in namespace a ended in the middle of a line: {len(half)} bytes"):
        batches.end()


def test_an_end_after_whole_lines_is_an_end():
    batches = batches_of(sent(added("x", 1)))
    batches.take()
    batches.end()


def test_a_line_over_the_limit_is_raised_as_soon_as_it_is():
    batches = batches_of(line_limit=100)
    batches.feed(b"x" * 100)
    with pytest.raises(ProtocolError, match="over the limit of 100 bytes"):
        batches.feed(b"x")


class PlainStream:
    """A stream of somebody's own transport: what the protocol asks for, and no more."""

    status, content_type = 200, "application/json"

    def __init__(self, *chunks: bytes) -> None:
        self.headers: Mapping[str, str] = {}
        self._chunks = chunks

    async def chunks(self):
        for chunk in self._chunks:
            yield chunk

    async def read(self):
        return b""


async def test_a_stream_that_does_not_say_whether_more_is_there_is_read_all_the_same():
    stream = PlainStream(sent(added("x", 1)), sent(modified("x", 2)))
    async with WatchStream(stream, WATCH, EventDecoder()) as watch:
        assert [short(batch) async for batch in watch] == [[("ADDED", "x")], [("MODIFIED", "x")]]
