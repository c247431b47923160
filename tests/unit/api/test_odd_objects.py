"""Odd objects: shown as Go would read them, or told from others by what tells whose they are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api import codec
from scopedcache.api.watch.event_decoder import UNREADABLE_OBJECT, EventDecoder, decode_event
from scopedcache.broken_text import repair_text
from scopedcache.errors import ProtocolError
from scopedcache.kinds import GVK
from scopedcache.objects import Entry, Metadata, Object, OwnerReference

METADATA = {"name": "x", "namespace": "a", "uid": "u", "resourceVersion": "7"}
PLAIN = Metadata(name="x", namespace="a", uid="u", resource_version="7")


def written(metadata, **rest):
    return json.dumps({"apiVersion": "v1", "kind": "Odd", "metadata": METADATA | metadata, **rest}).encode()


def every_way(body):
    """Read an object in a list, in the answer to a get, and in a watch, fast and slow; return what all of them say."""
    line = b'{"type":"MODIFIED","object":' + body + b"}"
    page = codec.decode_page(b'{"kind":"OddList","metadata":{"resourceVersion":"1"},"items":[' + body + b"]}")
    entries, unreadable = codec.decode_items(page)
    read = [codec.decode_object(body)[0], decode_event(line)[1], EventDecoder().read((line, 0, len(line)))[1], *entries]
    assert unreadable == []
    assert all(entry == read[0] for entry in read)
    return read[0]


NULLS = {
    "labels": None,
    "annotations": None,
    "ownerReferences": None,
    "finalizers": None,
    "managedFields": None,
    "generation": None,
    "creationTimestamp": None,
    "deletionTimestamp": None,
    "deletionGracePeriodSeconds": None,
    "generateName": None,
    "selfLink": None,
}


@pytest.mark.parametrize("field", NULLS)
@pytest.mark.parametrize("content", [{}, {"spec": {}}, {"data": None}])
def test_null_is_not_there(field, content):
    assert every_way(written({field: None}, **content)).metadata == PLAIN


@given(st.sets(st.sampled_from(list(NULLS))), st.sampled_from([{}, {"spec": {}}]))
def test_any_number_of_nulls_is_not_there(fields, content):
    assert every_way(written(dict.fromkeys(fields), **content)).metadata == PLAIN


def test_nulls_inside_of_fields_are_not_there():
    labels = {"a": None, "b": "c"}
    reference = {"apiVersion": None, "kind": "X", "name": "o", "uid": "ou", "controller": None, "other": None}
    entry = every_way(written({"labels": labels, "ownerReferences": [None, reference], "finalizers": [None, "f"]}))
    assert (entry.metadata.labels, entry.metadata.owner_references, entry.metadata.finalizers) == (
        {"a": "", "b": "c"}, (OwnerReference(kind="X", name="o", uid="ou"),), ("f",),
    )  # fmt: skip
    shown = Object(entry.metadata, entry.raw, GVK("", "v1", "Odd"))
    assert shown["metadata"]["labels"] == labels


@pytest.mark.parametrize("annotations", [None, {"a": None, "b": "c"}, {}])
def test_annotations_may_be_null_too(annotations):
    entry = every_way(written({"annotations": annotations}))
    assert Object(entry.metadata, entry.raw, GVK("", "v1", "Odd")).annotations == (
        {"a": "", "b": "c"} if annotations else {}
    )


def test_a_kind_or_a_namespace_that_is_null_is_empty():
    body = written({"namespace": None, "uid": None}).replace(b'"v1"', b"null").replace(b'"Odd"', b"null")
    entry, gvk = codec.decode_object(body)
    assert (entry.metadata, gvk) == (Metadata(name="x", resource_version="7"), GVK("", "", ""))


def test_managed_fields_are_cut_from_an_odd_object_too():
    body = written({"labels": {"a": None}, "managedFields": [{"manager": "m"}]})
    assert b"managedFields" not in every_way(body).raw


# -- text ------------------------------------------------------------------------------------------------------------

BROKEN = [
    (b"\xff", "\ufffd"),
    (b"a\xc3", "a\ufffd"),
    (rb"\ud83d", "\ufffd"),
    (rb"\udc00", "\ufffd"),
    (rb"\uD83D\uD83D", "\ufffd\ufffd"),
    (rb"\ud83d\ude00", "\U0001f600"),
    (rb"\\ud83d", "\\ud83d"),
    (rb"\\\ud83d", "\\\ufffd"),
    (rb"\\\\ud83d\n", "\\\\ud83d\n"),
]


@pytest.mark.parametrize(("text", "read"), BROKEN)
@pytest.mark.parametrize("content", [{}, {"spec": {}}])
def test_what_is_no_text_is_read_as_Go_reads_it(text, read, content):
    body = written({"labels": {"a": "TEXT"}, "annotations": {"note": "TEXT"}}, **content).replace(b"TEXT", text)
    entry = every_way(body)
    shown = Object(entry.metadata, entry.raw, GVK("", "v1", "Odd"))
    assert (shown.labels, shown.annotations, shown["metadata"]["labels"]) == ({"a": read}, {"note": read}, {"a": read})


@pytest.mark.parametrize(("text", "read"), BROKEN)
def test_content_that_is_no_text_is_read_as_Go_reads_it(text, read):
    body = written({}, spec={"a": "TEXT"}, status={"TEXT": 1}).replace(b"TEXT", text)
    entry = every_way(body)
    shown = Object(entry.metadata, entry.raw, GVK("", "v1", "Odd"))
    assert (shown.name, shown["spec"], shown["status"]) == ("x", {"a": read}, {read: 1})


@given(st.text(), st.booleans())
def test_text_that_is_text_is_left_as_it_is(text, as_ascii):
    body = json.dumps({"a": text}, ensure_ascii=as_ascii).encode("utf-8", "surrogatepass")
    assert repair_text(body) == body


@given(st.binary(max_size=40))
def test_whatever_the_bytes_what_is_repaired_is_text(body):
    repair_text(body).decode()


# -- numbers, words and depth ----------------------------------------------------------------------------------------

UNREADABLE_VALUES = [b"NaN", b"-Infinity", b"nul", b'"\x01"', rb'"\q"', b"01", b"[" * 100_000 + b"]" * 100_000]


@pytest.mark.parametrize("value", UNREADABLE_VALUES)
@pytest.mark.parametrize("field", [b"spec", b"data"])
def test_content_that_nobody_can_read_concerns_its_reader_alone(value, field):
    body = b'{"apiVersion":"v1","kind":"Odd","metadata":%s,"%s":{"v":%s}}' % (
        json.dumps(METADATA | {"annotations": {"note": "n"}}).encode(), field, value,
    )  # fmt: skip
    entry = every_way(body)
    shown = Object(entry.metadata, entry.raw, GVK("", "v1", "Odd"))
    assert (entry.metadata, shown.annotations) == (PLAIN, {"note": "n"})
    with pytest.raises(ProtocolError, match="the Odd a/x the server sent cannot be read"):
        shown.to_dict()


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_beyond_all_numbers_is_unreadable_content(number):
    entry = every_way(written({}, spec={"v": "N"}).replace(b'"N"', number.encode()))
    with pytest.raises(ProtocolError):
        Object(entry.metadata, entry.raw, GVK("", "v1", "Odd")).to_dict()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 2**200, 9007199254740993])
def test_a_number_of_any_size_is_that_number(number):
    entry = every_way(written({"generation": number}, spec={"v": number}))
    shown = Object(entry.metadata, entry.raw, GVK("", "v1", "Odd"))
    assert (shown.generation, shown["spec"]["v"], json.loads(shown.to_json())["spec"]["v"]) == (number,) * 3


# -- objects that cannot be read at all ------------------------------------------------------------------------------

UNREADABLE_METADATA = [{"labels": ["a"]}, {"labels": {"a": {}}}, {"generation": "many"}, {"finalizers": {"a": 1}}]


@pytest.mark.parametrize("odd", UNREADABLE_METADATA)
def test_an_unreadable_object_takes_nothing_with_it_and_is_known_by_its_name(odd):
    bad, good = written(odd), written({"name": "good"})
    page = codec.decode_page(b'{"kind":"OddList","metadata":{},"items":[%s,%s,null]}' % (bad, good))
    entries, unreadable = codec.decode_items(page)
    assert ([entry.metadata.name for entry in entries], [one.identity for one in unreadable]) == (["good"], [PLAIN])
    type_, entry = decode_event(b'{"type":"MODIFIED","object":%s}' % bad)
    assert (type_, entry.metadata) == (UNREADABLE_OBJECT, PLAIN)


@pytest.mark.parametrize("odd", UNREADABLE_METADATA)
def test_a_deletion_needs_no_more_than_a_name(odd):
    type_, entry = decode_event(b'{"type":"DELETED","object":%s}' % written(odd))
    assert (type_, entry) == ("DELETED", Entry(PLAIN, entry.raw))


@pytest.mark.parametrize("item", [b"7", b"[]", b"{}", b'{"metadata":{}, "a":NaN}', b'{"metadata":7}', b'"text"'])
def test_an_item_of_a_list_that_is_no_object_is_left_out(item):
    page = codec.decode_page(b'{"kind":"OddList","metadata":null,"items":[%s,%s]}' % (item, written({})))
    entries, unreadable = codec.decode_items(page)
    assert entries[-1].metadata == PLAIN
    assert len(entries) + len(unreadable) == 2
    assert all(one.identity is None for one in unreadable)


def test_an_event_without_a_name_may_be_about_any_object():
    for body in (b"{}", b"null", b'{"metadata":{"name":null,"labels":7}}', b'{"metadata":7}', b"7"):
        with pytest.raises(ProtocolError, match="not a watch event"):
            decode_event(b'{"type":"ADDED","object":%s}' % body)


# -- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"OddList","metadata":null,"items":[%s]}',
        b'{"kind":"OddList","items":[%s]}',
        b'{"kind":null,"apiVersion":null,"metadata":{"resourceVersion":null,"continue":null},"items":[%s]}',
        b'{"kind":"OddList","metadata":{"selfLink":null,"remainingItemCount":null},"items":[ %s , null ]}',
        b'{"kind":"OddList","metadata":{"resourceVersion":null},"items":[%s,{"metadata":{"name":"nan"},"v":NaN}]}',
    ],
)
def test_a_list_may_leave_out_whatever_is_not_its_items(body):
    page = codec.decode_page(body % written({}))
    assert (page.metadata.resource_version, page.metadata.continue_) == ("", None)
    assert codec.decode_items(page)[0][0].metadata == PLAIN


@pytest.mark.parametrize("metadata", [b"7", b'{"continue":7}', b'{"resourceVersion":{}}'])
def test_a_list_whose_pages_cannot_be_followed_is_no_list(metadata):
    with pytest.raises(ProtocolError):
        codec.decode_page(b'{"kind":"OddList","metadata":%s,"items":[]}' % metadata)


@given(st.integers(1, 400))
def test_a_list_that_was_cut_never_reads_as_a_shorter_one(kept):
    """Every object after the cut would be reported as deleted."""
    whole = b'{"kind":"OddList","metadata":{"resourceVersion":"1"},"items":[%s,{"v":NaN,"metadata":{"name":"y"}}]}' % (
        written({})
    )
    if kept < len(whole):
        with pytest.raises(ProtocolError):
            codec.decode_page(whole[:kept])


# -- what we write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda n: {"spec": {"value": n}}, "spec.value"),
        (lambda n: [{"op": "add", "path": "/a", "value": n}], r"\[0\].value"),
        (lambda n: {"spec": {"values": [1, (2, n)], "other": None}}, r"spec.values\[1\]\[1\]"),
    ],
)
def test_a_number_that_JSON_has_no_word_for_is_refused_with_its_place(number, make, path):
    """JSON would say null, and null in a merge patch deletes."""
    with pytest.raises(ValueError, match=f"no word for the number at {path}"):
        codec.encode_body(make(number))


@pytest.mark.parametrize("body", [{"a": None}, {"a": "null"}, {"a": 2**70}, {"a": 1.5, "b": [None, True]}])
def test_what_JSON_has_a_word_for_is_written(body):
    assert json.loads(codec.encode_body(body)) == body


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(ValueError, match="surrogates not allowed"):
        codec.encode_body({"a": "\ud800"})
