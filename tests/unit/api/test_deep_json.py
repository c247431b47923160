"""JSON cut into pieces without going into them, and objects nested deeper than any decoder goes."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api import codec
from scopedcache.api.watch.event_decoder import EventDecoder, decode_event
from scopedcache.deep_json import elements, members
from scopedcache.errors import ProtocolError

_text = st.one_of(st.text(max_size=8), st.sampled_from(['"', "\\", '\\"', "[{,:}]", "}", "é\U0001f600", "\n"]))
_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_text, inner, max_size=4)),
    max_leaves=12,
)
_encodings = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 2}, {"ensure_ascii": False}])


@given(st.dictionaries(_text, _anything, max_size=5), _encodings)
def test_the_members_of_an_object_are_what_json_finds(body, encoding):
    found = members(json.dumps(body, **encoding).encode("utf-8", "surrogatepass"))
    assert {name: json.loads(value) for name, value in found.items()} == body


@given(st.lists(_anything, max_size=5), _encodings)
def test_the_elements_of_an_array_are_what_json_finds(body, encoding):
    assert [json.loads(value) for value in elements(json.dumps(body, **encoding).encode())] == body


@pytest.mark.parametrize("body", [b"", b"null", b"1", b'"[1]"', b'{"a":[1]}'])
def test_what_is_no_array_has_no_elements(body):
    assert elements(body) == []


# -- depth -----------------------------------------------------------------------------------------------------------

DEEP = b"[" * 9000 + b"]" * 9000  # an API server takes up to ten thousand levels


def deep(field, managed=b""):
    metadata = b'{"name":"x","namespace":"a","uid":"u","resourceVersion":"7"%s}' % managed
    return b'{"apiVersion":"v1","kind":"Odd","metadata":%s,"%s":%s}' % (metadata, field, DEEP)


@pytest.mark.parametrize("field", [b"spec", b"data"])
@pytest.mark.parametrize("managed", [b"", b',"managedFields":[{"manager":"m"}]', b',"managedFields": [ ]'])
def test_an_object_of_any_depth_is_known_by_its_metadata_and_kept(field, managed):
    """Whoever may create one such object must not blind those who watch its kind."""
    body = deep(field, managed)
    line = b'{"type":"ADDED","object":%s}' % body

    entry, gvk = codec.decode_object(body)
    slow_type, slow = decode_event(line)
    type_, read = EventDecoder().read((line, 0, len(line)))

    assert (entry.metadata.name, gvk.kind, slow_type, type_) == ("x", "Odd", "ADDED", "ADDED")
    assert entry.raw == slow.raw == read.raw == deep(field)


def test_a_list_with_an_object_of_any_depth_is_a_list():
    body = b'{"kind":"OddList","metadata":{"resourceVersion":"9","continue":"t"},"items":[%s,{"metadata":{}}]}' % deep(
        b"x"
    )
    page = codec.decode_page(body)
    assert (page.metadata.resource_version, page.metadata.continue_, page.kind) == ("9", "t", "OddList")
    assert [bytes(item) for item in page.items or ()] == [deep(b"x"), b'{"metadata":{}}']


@pytest.mark.parametrize("body", [DEEP, b"[" * 9000, b'{"a":' + DEEP, b'{"a":' + DEEP + b"}", b'{"metadata":' + DEEP])
@pytest.mark.parametrize("read", [decode_event, codec.decode_object, codec.decode_page])
def test_deep_nonsense_is_still_nonsense(body, read):
    with pytest.raises(ProtocolError):
        read(body)


def test_metadata_alone_of_an_object_of_any_depth():
    assert msgspec.json.decode(codec.metadata_bytes(deep(b"spec")))["metadata"]["name"] == "x"
