"""Answers in HTTP/1.1, over any chunking."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.http_response import (
    HEAD_LIMIT_BYTES,
    BrokenOffError,
    HeadReader,
    NotHTTPError,
    body_of,
    read_head,
)

CHUNKED = read_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked")


def pieces(data, cuts):
    """Return the data cut at some places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def through(body, parts):
    """Return what a body finds in the parts, each in the middle of a buffer that others use too."""
    found = b""
    for part in parts:
        buffer = bytearray(b"5\r\n" + part + b"\r\n0\r\n\r\n")
        found += b"".join(bytes(buffer[a:b]) for a, b in body.cut(buffer, 3, 3 + len(part)))
    return found


def chunked(payloads, extension=b"", trailer=b""):
    chunks = [b"%x%b\r\n%b\r\n" % (len(payload), extension, payload) for payload in payloads]
    return b"".join([*chunks, b"0\r\n", trailer, b"\r\n"])


@given(
    st.lists(st.binary(min_size=1, max_size=40) | st.sampled_from([b"\r\n", b"0\r\n\r\n", b"{}\n" * 20])),
    st.lists(st.integers(min_value=0, max_value=2000)),
    st.sampled_from([b"", b";a=b", b' ; x="y"']),
    st.sampled_from([b"", b"Grpc-Status: 0\r\n"]),
)
def test_any_chunking_gives_the_same_body(payloads, cuts, extension, trailer):
    body = body_of(CHUNKED)
    found = through(body, pieces(chunked(payloads, extension, trailer), cuts))
    assert (found, body.ended) == (b"".join(payloads), True)


@given(st.lists(st.binary(min_size=1, max_size=10), min_size=1), st.integers(min_value=0))
def test_a_body_that_does_not_come_to_its_end_broke_off(payloads, cut):
    whole = chunked(payloads)
    body = body_of(CHUNKED)
    through(body, [whole[: cut % len(whole)]])
    with pytest.raises(BrokenOffError):
        body.end()


@pytest.mark.parametrize(
    "nonsense",
    [b"xyz\r\n", b"-1\r\n", b"+5\r\n", b"0x5\r\n", b"\r\n", b"1_0\r\n", b"1\na", b"f" * 16 + b"\r\n", b"1" * 5000],
)
@pytest.mark.parametrize("way", ["at once", "byte by byte"])
def test_a_size_that_is_none_is_no_HTTP(nonsense, way):
    parts = [nonsense] if way == "at once" else [nonsense[n : n + 1] for n in range(len(nonsense))]
    with pytest.raises(NotHTTPError):
        through(body_of(CHUNKED), parts)


@pytest.mark.parametrize("nonsense", [b"2\r\nab\r\nxyz\r\n", b"2\r\nabc\r\n"])
def test_nor_is_one_behind_a_chunk(nonsense):
    with pytest.raises(NotHTTPError):
        through(body_of(CHUNKED), [nonsense])


@given(st.binary(max_size=30), st.lists(st.integers(min_value=0, max_value=60)))
def test_a_length_ends_a_body(content, cuts):
    body = body_of(read_head(b"HTTP/1.1 200 OK\r\ncontent-length: %d" % len(content)))
    assert (through(body, pieces(content + b"next", cuts)), body.ended) == (content, True)


def test_without_a_length_the_connection_ends_it():
    body = body_of(read_head(b"HTTP/1.0 200 OK"))
    assert through(body, [b"a", b"", b"b"]) == b"ab"
    body.end()
    assert body.ended


@pytest.mark.parametrize(
    "headers",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: -5",
        b"Content-Length: 5, 5",
    ],
)
def test_a_length_that_is_said_in_two_ways_is_no_HTTP(headers):
    with pytest.raises(NotHTTPError):
        body_of(read_head(b"HTTP/1.1 200 OK\r\n" + headers))


@given(st.lists(st.integers(min_value=0, max_value=200)))
def test_a_head_is_read_over_any_chunking_and_what_came_before_it_is_passed_by(cuts):
    text = (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 \r\nContent-Type: Application/JSON; charset=utf-8\r\nX:\r\n\r\n"
    )
    reader, heads = HeadReader(), []
    for piece in pieces(text, cuts):
        found = reader.take(piece)
        if found is not None:
            heads.append(found)
    [(head, rest)] = heads
    assert (head.status, head.content_type, head.headers["x"], rest) == (403, "application/json", "", b"")


def test_what_comes_behind_a_head_is_not_lost():
    found = HeadReader().take(b"HTTP/1.1 200 OK\r\n\r\nbody")
    assert found is not None
    assert found[1] == b"body"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_LIMIT_BYTES,
    ],
)
def test_what_is_no_head_is_no_HTTP(nonsense):
    with pytest.raises(NotHTTPError):
        HeadReader().take(nonsense)
