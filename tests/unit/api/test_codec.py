"""JSON to entries and back."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api import codec
from scopedcache.errors import ProtocolError
from scopedcache.kinds import GVK
from scopedcache.objects import Entry, Metadata, OwnerReference

# Text that looks like what the fast way searches for.
_tricky = st.sampled_from(
    ['"managedFields":', '"metadata":{', '"managedFields":[{}]', "}}", "\\", "\n", "é\U0001f600", "{"]
)
_text = st.one_of(st.text(max_size=8), _tricky)
_strings = st.dictionaries(st.one_of(_text, st.just("managedFields")), _text, max_size=3)
_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), _text),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(_text, st.sampled_from(["managedFields", "metadata"])), inner, max_size=3),
    ),
    max_leaves=8,
)
_managed = st.one_of(
    st.lists(
        st.dictionaries(st.sampled_from(["manager", "fieldsV1", "managedFields"]), _anything, max_size=2), max_size=2
    ),
    st.none(),
)
_metadata_fields = {
    "name": _text,
    "namespace": _text,
    "uid": _text,
    "resourceVersion": st.integers(1, 10**9).map(str),
    "creationTimestamp": st.one_of(st.none(), st.just("2026-01-01T00:00:00Z")),
    "labels": st.one_of(st.none(), _strings),
    "annotations": _strings,
    "finalizers": st.lists(_text, max_size=2),
    "ownerReferences": st.lists(st.fixed_dictionaries({"uid": _text, "name": _text}), max_size=2),
    "generateName": _text,
    "managedFields": _managed,
}


@st.composite
def objects(draw):
    """Return an object whose metadata is metadata, in any order, and whose other fields are anything at all."""
    metadata = draw(st.fixed_dictionaries({}, optional=_metadata_fields))
    others = draw(st.dictionaries(st.sampled_from(["spec", "status", "data", "items", "managedFields"]), _anything))
    fields = {"apiVersion": "v1", "kind": "Odd", **others}
    names = draw(st.permutations([*fields, "metadata"]))
    order = draw(st.permutations(list(metadata)))
    return {name: {key: metadata[key] for key in order} if name == "metadata" else fields[name] for name in names}


def without_managed_fields(body):
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}


_encodings = st.sampled_from(
    [
        lambda body: json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        lambda body: json.dumps(body, separators=(",", ":")),
        json.dumps,
        lambda body: json.dumps(body, indent=1),
    ]
)


@given(objects(), _encodings)
def test_the_kept_bytes_are_the_object_without_managedFields(body, written):
    entry, gvk = codec.decode_object(written(body).encode("utf-8", "surrogatepass"))

    assert json.loads(entry.raw) == without_managed_fields(body)
    assert gvk == GVK("", "v1", "Odd")


@given(objects(), _encodings, st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), st.booleans())
def test_an_event_is_its_type_and_its_object(body, written, type_, object_first):
    parts = [f'"type":"{type_}"', f'"object":{written(body)}']
    line = "{" + ",".join(reversed(parts) if object_first else parts) + "}"

    event = codec.decode_event(line.encode("utf-8", "surrogatepass"))

    assert (event.type, event.kind, event.api_version) == (type_, "Odd", "v1")
    assert json.loads(event.entry.raw) == without_managed_fields(body)


@given(objects())
def test_the_record_says_what_the_metadata_says(body):
    entry, _ = codec.decode_object(json.dumps(body).encode())
    metadata = body["metadata"]

    assert entry.metadata == Metadata(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        creation_timestamp=metadata.get("creationTimestamp"),
        labels=metadata.get("labels"),
        finalizers=tuple(metadata["finalizers"]) if "finalizers" in metadata else None,
        owner_references=tuple(OwnerReference(uid=o["uid"], name=o["name"]) for o in metadata["ownerReferences"])
        if "ownerReferences" in metadata
        else None,
    )


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ('{"managedFields":[{"manager":"a"}]}', "{}"),
        ('{"managedFields":[{"manager":"a"}],"name":"x"}', '{"name":"x"}'),
        ('{"name":"x","managedFields":[{"manager":"a"}]}', '{"name":"x"}'),
        ('{"name":"x","managedFields":[],"uid":"u"}', '{"name":"x","uid":"u"}'),
        ('{"name":"x","managedFields":null}', '{"name":"x"}'),
        ('{"labels":{"managedFields":"y"},"managedFields":[{}]}', '{"labels":{"managedFields":"y"}}'),
        (
            '{"annotations":{"last":"{\\"managedFields\\":[{}]}"},"managedFields":[{}]}',
            '{"annotations":{"last":"{\\"managedFields\\":[{}]}"}}',
        ),
    ],
)
def test_managedFields_is_cut_wherever_it_stands_in_the_metadata(metadata, kept):
    body = b'{"apiVersion":"v1","kind":"Pod","metadata":%s,"spec":{"managedFields":[{}]}}'
    entry, _ = codec.decode_object(body % metadata.encode())
    assert entry.raw == body % kept.encode()


def test_an_object_without_managedFields_keeps_the_very_bytes_it_came_in():
    body = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"},"spec":{"a":1.50}}'
    assert codec.decode_object(body)[0].raw is body


# -- lines that are no ordinary events -------------------------------------------------------------------------------

BOOKMARK = '{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"9"%s}}}'


def test_a_bookmark_moves_the_version():
    event = codec.decode_event((BOOKMARK % "").encode())
    assert (event.type, event.entry.metadata.resource_version) == ("BOOKMARK", "9")


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
    assert codec.ends_initial_events((BOOKMARK % annotations).encode()) is expected


@pytest.mark.parametrize(
    "status",
    [
        '{"kind":"Status","metadata":{},"status":"Failure","message":"too old","reason":"Expired","code":410}',
        '{"kind":"Status","status":"Failure","message":"too old","reason":"Expired","code":410}',
    ],
)
def test_an_ERROR_line_carries_a_status(status):
    line = f'{{"type":"ERROR","object":{status}}}'.encode()
    assert codec.decode_event(line).type == "ERROR"
    said = codec.decode_error(line)
    assert (said.code, said.reason, said.message) == (410, "Expired", "too old")


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
        b'{"type":"ADDED","object":{"metadata":{"name":"\xff"}}}',
    ],
)
def test_a_line_that_is_no_event_is_a_ProtocolError(line):
    with pytest.raises(ProtocolError, match="a line of the watch is not"):
        codec.decode_event(line)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_ProtocolError(line):
    with contextlib.suppress(ProtocolError):
        codec.decode_event(line)


def test_an_ERROR_line_without_a_readable_status_is_a_ProtocolError():
    with pytest.raises(ProtocolError, match="ERROR line"):
        codec.decode_error(b'{"type":"ERROR","object":{"code":"x"}}')


# -- whole bodies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"[]", b"<html/>", b'{"kind":"Pod"}', b'{"metadata":{"uid":7}}'])
def test_a_body_that_is_no_object_is_a_ProtocolError(body):
    with pytest.raises(ProtocolError, match="not an API object"):
        codec.decode_object(body)


def test_a_page_keeps_its_items_as_bytes():
    page = codec.decode_page(
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"8","continue":"t","remainingItemCount":1},'
        b'"items":[{"metadata":{"name":"x"}}]}'
    )
    assert (page.metadata.resource_version, page.metadata.continue_, page.metadata.remaining_item_count) == (
        "8",
        "t",
        1,
    )
    assert [bytes(item) for item in page.items or ()] == [b'{"metadata":{"name":"x"}}']


@pytest.mark.parametrize("items", ["", ',"items":null', ',"items":[]'])
def test_a_list_may_be_empty_in_three_ways(items):
    assert not codec.decode_page(f'{{"kind":"PodList","metadata":{{"resourceVersion":"8"}}{items}}}'.encode()).items


@pytest.mark.parametrize("body", [b"{}", b'{"kind":"Status","code":500}', b'{"kind":"Pod","metadata":{}}', b"[]", b"x"])
def test_what_is_no_list_never_reads_as_an_empty_one(body):
    """A cache that took it for a list would report every object as deleted."""
    with pytest.raises(ProtocolError, match="not a list"):
        codec.decode_page(body)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"kind":"Pod"}', b"404 page not found", b'{"kind":"Status","code":"x"}']
)
def test_only_a_Status_is_a_Status(body):
    assert codec.decode_status(body) is None


def test_metadata_alone_is_apiVersion_kind_and_metadata():
    kept = codec.metadata_bytes(b'{"kind":"Pod","spec":{"a":1},"metadata":{"name":"x"},"apiVersion":"v1"}')
    assert json.loads(kept) == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}


def test_a_transform_changes_the_bytes_and_not_the_record():
    entry = Entry(Metadata(name="x", labels={"a": "b"}), b'{"metadata":{"name":"x","labels":{"a":"b"}},"spec":{}}')

    changed = codec.transformed(entry, lambda body: {"metadata": {}})

    assert (changed.metadata, changed.raw) == (entry.metadata, b'{"metadata":{}}')
    assert msgspec.json.decode(entry.raw)["spec"] == {}
