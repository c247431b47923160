"""Lines out of a byte stream, over any chunking."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.watch.line_splitter import LineSplitter
from scopedcache.errors import ProtocolError

lines = st.lists(st.binary(min_size=1, max_size=40).filter(lambda line: b"\n" not in line), max_size=12)


@st.composite
def chunkings(draw):
    """Return (the lines, the bytes of an unfinished one, the chunks they came in)."""
    whole = draw(lines)
    rest = draw(st.binary(max_size=20).filter(lambda part: b"\n" not in part))
    text = b"".join(line + b"\n" for line in whole) + rest
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=20)))
    return whole, rest, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def feed(splitter, chunk):
    """Return the lines that a chunk completes, each on its own."""
    return [buffer[start:stop] for buffer, start, stop in splitter.spans(chunk)]


@given(chunkings())
def test_any_chunking_gives_the_same_lines(case):
    whole, _, chunks = case
    splitter = LineSplitter()

    lines = [line for chunk in chunks for line in feed(splitter, chunk)]

    assert lines == whole


@given(chunkings())
def test_a_half_line_is_held_and_never_given(case):
    whole, rest, chunks = case
    splitter = LineSplitter()

    lines = [line for chunk in chunks for line in feed(splitter, chunk)]

    assert (lines, splitter.rest) == (whole, len(rest))


def test_empty_lines_are_left_out():
    assert feed(LineSplitter(), b"\n\none\n\ntwo\n\n") == [b"one", b"two"]


def test_a_line_ends_with_its_newline_even_where_the_next_chunk_brings_it():
    splitter = LineSplitter()
    assert feed(splitter, b'{"type":"ADDED"}') == []
    assert feed(splitter, b"\n") == [b'{"type":"ADDED"}']
    assert splitter.rest == 0


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_a_line_over_the_limit_is_refused_under_any_chunking(sizes):
    text = b"x" * 101 + b"\n"
    cuts = [min(len(text), sum(sizes[:n])) for n in range(len(sizes) + 1)]
    chunks = [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    splitter = LineSplitter(limit=100)

    with pytest.raises(ProtocolError, match="over the limit of 100 bytes"):
        for chunk in chunks:
            feed(splitter, chunk)


@pytest.mark.parametrize("chunk", [b"x" * 101 + b"\n", b"short\n" + b"x" * 101 + b"\nshort\n"])
def test_a_line_over_the_limit_is_refused_where_one_chunk_holds_it_whole(chunk):
    with pytest.raises(ProtocolError, match="line_limit="):
        feed(LineSplitter(limit=100), chunk)


def test_a_line_of_exactly_the_limit_is_taken():
    splitter = LineSplitter(limit=100)
    assert feed(splitter, b"x" * 60) + feed(splitter, b"x" * 40 + b"\n") == [b"x" * 100]


def test_many_lines_in_one_chunk_may_together_be_over_the_limit():
    assert len(feed(LineSplitter(limit=100), b"x" * 60 + b"\n" + b"y" * 60 + b"\n")) == 2


def test_a_long_line_is_joined_once_whatever_the_number_of_its_chunks():
    """Cost is counted as bytes copied: joining at every chunk would copy half a gigabyte here."""
    splitter = LineSplitter()
    part = b"x" * 2**16
    tracemalloc.start()

    for _ in range(256):
        assert feed(splitter, part) == []
    made = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert made < len(part)  # the chunks themselves are kept, and nothing was made of them
    assert len(feed(splitter, b"\n")[0]) == 2**24
