"""Lines that are not one document each, over any way to break them."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.watch.json_documents import JSONDocuments, may_be_several
from scopedcache.errors import ProtocolError

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.sampled_from(["}{", '}{"', "\\", '"'])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
documents = st.lists(st.dictionaries(st.text(min_size=1, max_size=4), values, min_size=1, max_size=3), max_size=5)
styles = st.sampled_from(
    [{"separators": (",", ":")}, {}, {"indent": 2}, {"indent": 0}, {"ensure_ascii": False, "indent": "\t"}]
)


def taken(text):
    """Feed lines as a watch would, and return the documents."""
    made, found = JSONDocuments(), []
    for line in text.split(b"\n"):
        if line:
            found += made.take(line)
    return [json.loads(one) for one in found], made


@given(documents, styles, st.lists(st.sampled_from(["", " ", "\n", "\r\n", "\n\n \t\n"]), min_size=6, max_size=6))
def test_however_documents_are_broken_into_lines_they_are_the_same_documents(bodies, style, between):
    text = "".join(json.dumps(body, **style) + gap for body, gap in zip(bodies, between, strict=False)) + "\n"
    found, made = taken(text.encode("utf-8", "surrogatepass"))
    assert (found, made.begun, made.rest) == (bodies, False, 0)


@pytest.mark.parametrize(
    "line", [b"<html>", b'"text"', b"[]", b"7", b'{"a":1}x', b'{"a":1}}', b'{"a":"b', b'{"a" "b"}', b"{]", b'x{"a":1}']
)
def test_what_is_no_document_and_no_beginning_of_one_is_refused(line):
    with pytest.raises(ProtocolError, match="not a watch event"):
        JSONDocuments().take(line)


@pytest.mark.parametrize("line", [b"{", b'{"a":', b'{"a":1,', b'{"a":{"b":[1', b'{"a":1}{"b":'])
def test_what_may_go_on_is_held_until_what_follows_shows_that_it_does_not(line):
    made = JSONDocuments()
    made.take(line)
    assert made.begun
    with pytest.raises(ProtocolError):
        for _ in range(3):
            made.take(b'{"type":"ADDED","object":{"metadata":{}}}')


def test_a_document_without_an_end_is_given_up_at_the_limit():
    made = JSONDocuments(limit=1000)
    made.take(b"{")
    with pytest.raises(ProtocolError, match="over the limit of 1000 bytes"):
        for number in range(1000):
            made.take(b'"%d":1,' % number)


def test_a_document_of_many_lines_costs_no_more_than_a_few_looks_at_all_of_it():
    body = {f"field-{number}": {"a": [1, 2]} for number in range(3000)}
    lines = json.dumps(body, indent=2).encode().split(b"\n")
    made, looks = JSONDocuments(), []

    def count(frame, event, _):
        if event == "call" and frame.f_code is json.JSONDecoder.raw_decode.__code__:
            looks.append(1)

    sys.setprofile(count)
    try:
        taken = [one for line in lines for one in made.take(line)]
    finally:
        sys.setprofile(None)
    assert ([json.loads(one) for one in taken], 0 < len(looks) < 20) == ([body], True)


def test_a_document_deeper_than_anybody_reads_is_refused():
    with pytest.raises(ProtocolError, match="nested too deep"):
        JSONDocuments().take(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a":{}}{"b":1}', True),
        (b'{"a":{}} \t {"b":1}', True),
        (b'{"a":[{"b":1},{"c":2}]}', False),
        (rb'{"a":"}{\"b"}', False),
    ],
)
def test_two_documents_on_a_line_show_at_a_glance(line, expected):
    assert may_be_several(line) is expected
