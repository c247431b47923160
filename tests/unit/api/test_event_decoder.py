"""The fast way to read watch lines says the same as the slow and certain one."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.watch.event_decoder import (
    REMEMBERED_VALUES,
    EventDecoder,
    decode_error,
    decode_event,
    ends_initial_events,
)
from scopedcache.errors import ProtocolError
from tests.unit.api.strange_bodies import encodings, objects, strings, text, without_managed_fields


def as_line(body, type_="MODIFIED", written=None):
    body_text = (written or (lambda found: json.dumps(found, separators=(",", ":"))))(body)
    return f'{{"type":"{type_}","object":{body_text}}}'.encode("utf-8", "surrogatepass")


def read(line, reader=None):
    padded = b"xx" + line + b"yyyy"
    return (reader or EventDecoder()).read((padded, 2, 2 + len(line)))


@given(objects(), encodings, st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]))
def test_whatever_an_object_looks_like_both_ways_read_the_same(body, written, type_):
    line = as_line(body, type_, written)

    assert read(line) == decode_event(line)


usual = st.fixed_dictionaries(
    {
        "kind": st.just("Odd"),
        "apiVersion": st.just("v1"),
        "metadata": st.fixed_dictionaries(
            {"name": text, "namespace": text, "uid": text, "resourceVersion": st.just("7")},
            optional={
                "labels": strings,
                "annotations": strings,
                "ownerReferences": st.lists(
                    st.fixed_dictionaries({"uid": text, "controller": st.booleans()}), max_size=2
                ),
                "managedFields": st.lists(st.fixed_dictionaries({"manager": text, "fieldsV1": strings}), max_size=2),
            },
        ),
        "spec": strings,
    }
)


@given(st.lists(usual, max_size=4))
def test_what_objects_share_is_remembered_and_never_mixed_up(bodies):
    reader = EventDecoder()

    for body in bodies:
        line = as_line(body)
        assert read(line, reader) == decode_event(line)


def test_equal_labels_are_one_object_for_all_who_carry_them():
    reader = EventDecoder()

    def named(name):
        return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": {"app": "x"}}, "spec": {}}

    _, one = read(as_line(named("a")), reader)
    _, two = read(as_line(named("b")), reader)

    assert one.metadata.labels is two.metadata.labels
    with pytest.raises(TypeError):
        one.metadata.labels["app"] = "y"


def test_what_is_remembered_is_bounded():
    reader = EventDecoder()

    for number in range(REMEMBERED_VALUES + 10):
        labels = {"n": str(number)}
        body = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "labels": labels}, "spec": {}}
        _, entry = read(as_line(body), reader)
        assert entry.metadata.labels == labels

    assert len(reader) <= REMEMBERED_VALUES + 1


def test_what_is_in_use_stays_remembered_however_many_others_come():
    reader, seen = EventDecoder(), []

    for number in range(3 * REMEMBERED_VALUES):
        labels = {"n": str(number)} if number % 1000 else {"app": "everybody's"}
        body = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "labels": labels}, "spec": {}}
        _, entry = read(as_line(body), reader)
        if number % 1000 == 0:
            seen.append(entry.metadata.labels)

    assert all(labels is seen[0] for labels in seen)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":1},"spec":{}}}',
        b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{',
        b"nonsense",
    ],
)
def test_an_unreadable_line_is_said_to_be_one(line):
    with pytest.raises(ProtocolError):
        read(line)


# -- the slow and certain way ----------------------------------------------------------------------------------------


@given(objects(), encodings, st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), st.booleans())
def test_an_event_is_its_type_and_its_object(body, written, type_, object_first):
    parts = [f'"type":"{type_}"', f'"object":{written(body)}']
    line = "{" + ",".join(reversed(parts) if object_first else parts) + "}"

    kind, entry = decode_event(line.encode("utf-8", "surrogatepass"))

    assert kind == type_
    assert json.loads(entry.body) == without_managed_fields(body)


# -- lines that are no ordinary events -------------------------------------------------------------------------------

BOOKMARK = '{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"9"%s}}}'


def test_a_bookmark_moves_the_version():
    type_, entry = decode_event((BOOKMARK % "").encode())
    assert (type_, entry.metadata.resource_version) == ("BOOKMARK", "9")


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ("", False),
        (',"annotations":null', False),
        (',"annotations":{"k8s.io/initial-events-end":"true"}', True),
        (',"annotations":{"other":"x","k8s.io/initial-events-end":"true"}', True),
        (',"annotations":{"k8s.io/initial-events-end":"false"}', False),
        (',"annotations":{"note":"k8s.io/initial-events-end"}', False),
        (',"labels":{"k8s.io/initial-events-end":"true"}', False),
        (',"annotations":["k8s.io/initial-events-end"]', False),
    ],
)
def test_only_the_marked_bookmark_ends_the_initial_events(annotations, expected):
    assert ends_initial_events((BOOKMARK % annotations).encode()) is expected


@pytest.mark.parametrize(
    "status",
    [
        '{"kind":"Status","metadata":{},"status":"Failure","message":"too old","reason":"Expired","code":410}',
        '{"kind":"Status","status":"Failure","message":"too old","reason":"Expired","code":410}',
    ],
)
def test_an_ERROR_line_carries_a_status(status):
    line = f'{{"type":"ERROR","object":{status}}}'.encode()
    assert decode_event(line)[0] == "ERROR"
    read_status = decode_error(line)
    assert (read_status.code, read_status.reason, read_status.message) == (410, "Expired", "too old")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"ADDED"',
        b"{}",
        b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":{}}',
        b'{"type":"ADDED","object":{"metadata":{"name":1}}}',
        b'{"type":1,"object":{"metadata":{}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"x"}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"x"}}}trailing',
        b"<html>busy</html>",
    ],
)
def test_a_line_that_is_no_event_is_a_ProtocolError(line):
    with pytest.raises(ProtocolError, match="a line of the watch is not"):
        decode_event(line)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_ProtocolError(line):
    with contextlib.suppress(ProtocolError):
        decode_event(line)


def test_an_ERROR_line_without_a_readable_status_is_a_ProtocolError():
    with pytest.raises(ProtocolError, match="ERROR line"):
        decode_error(b'{"type":"ERROR","object":{"code":"x"}}')
