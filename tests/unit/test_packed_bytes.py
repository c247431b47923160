"""Bytes come back as they were, whatever was packed before them, and what is alike takes little."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.packed_bytes import DICTIONARY_BYTES, PackedBytes, Packer, unpacked


def pod(number: int) -> bytes:
    # What differs from Pod to Pod, and what is the same in all.
    about = {"name": f"pod-{number}", "uid": f"{number:032x}", "resourceVersion": str(number)}
    container = {f"field-{n}": "a value that all of them have " * 4 for n in range(30)}
    return json.dumps({"metadata": about, "spec": {"containers": [container]}}).encode()


@given(st.lists(st.binary(max_size=400), max_size=20), st.integers(0, 600))
def test_bytes_come_back_as_they_were_whatever_was_packed_before(texts: list[bytes], before: int) -> None:
    packer = Packer()
    for number in range(before % 80):
        packer.pack(pod(number))
    assert [packer.pack(text).unpack() for text in texts] == texts


def test_each_is_unpacked_by_the_dictionary_it_was_packed_with() -> None:
    packer = Packer()
    texts = [pod(number) for number in range(700)]
    packed = [packer.pack(text) for text in texts]
    assert [one.unpack() for one in packed] == texts
    assert len({id(one.dictionary) for one in packed}) == 5  # none, and four


def test_what_is_alike_takes_a_tenth() -> None:
    packer = Packer()
    packed = [packer.pack(pod(number)) for number in range(100)]
    assert sum(map(len, packed[1:])) < sum(len(pod(number)) for number in range(1, 100)) / 10


def test_a_dictionary_is_never_longer_than_is_of_use() -> None:
    packer = Packer()
    longest = max(len(packer.pack(b"%d" % number * 50_000).dictionary) for number in range(20))
    assert longest == DICTIONARY_BYTES


@pytest.mark.parametrize("raw", [b"{}", PackedBytes(b"\x03\x00", b"")])
def test_what_was_not_packed_is_left_as_it_is(raw: bytes | PackedBytes) -> None:
    assert unpacked(raw) == (raw if isinstance(raw, bytes) else b"")
