"""The fast way to read watch lines says the same as the slow and certain one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api import codec
from scopedcache.api.watch.event_decoder import REMEMBERED_VALUES, EventDecoder
from scopedcache.errors import ProtocolError
from tests.unit.api.test_codec import _encodings, _strings, _text, objects


def as_line(body, type_="MODIFIED", written=None):
    text = (written or (lambda found: json.dumps(found, separators=(",", ":"))))(body)
    return f'{{"type":"{type_}","object":{text}}}'.encode("utf-8", "surrogatepass")


def read(line, reader=None):
    padded = b"xx" + line + b"yyyy"
    return (reader or EventDecoder()).read((padded, 2, 2 + len(line)))


@given(objects(), _encodings, st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]))
def test_whatever_an_object_looks_like_both_ways_read_the_same(body, written, type_):
    line = as_line(body, type_, written)

    slow = codec.decode_event(line)

    assert read(line) == (slow.type, slow.entry)


usual = st.fixed_dictionaries(
    {
        "kind": st.just("Odd"),
        "apiVersion": st.just("v1"),
        "metadata": st.fixed_dictionaries(
            {"name": _text, "namespace": _text, "uid": _text, "resourceVersion": st.just("7")},
            optional={
                "labels": _strings,
                "annotations": _strings,
                "ownerReferences": st.lists(
                    st.fixed_dictionaries({"uid": _text, "controller": st.booleans()}), max_size=2
                ),
                "managedFields": st.lists(st.fixed_dictionaries({"manager": _text, "fieldsV1": _strings}), max_size=2),
            },
        ),
        "spec": _strings,
    }
)


@given(st.lists(usual, max_size=4))
def test_what_objects_share_is_remembered_and_never_mixed_up(bodies):
    reader = EventDecoder()

    for body in bodies:
        line = as_line(body)
        slow = codec.decode_event(line)
        assert read(line, reader) == (slow.type, slow.entry)


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

    assert len(reader._labels) <= REMEMBERED_VALUES


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
