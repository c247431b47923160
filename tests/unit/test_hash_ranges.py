"""Where objects lie on the ring, and how ranges of it are asked for."""

import pytest

from scopedcache.hash_ranges import BY_NAMESPACE, BY_UID, RING_END, WHOLE_RING, HashRange, HashRanges, ring_hash


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team-a", 0xDE90A3717D1252D6),
        ("team-c", 0xDE90A1717D124F70),
        ("default-x", 0x62AAEFCC16507883),
        ("", 0xCBF29CE484222325),
    ],
)
def test_the_hash_is_that_of_the_server(text, expected):
    assert ring_hash(text) == expected


def test_a_selector_is_written_as_the_server_reads_it():
    half = HashRanges((HashRange(0, 2**63),))

    assert half.selector(BY_NAMESPACE) == (
        "shardRange(object.metadata.namespace, '0x0000000000000000', '0x8000000000000000')"
    )


def test_the_top_of_the_ring_has_seventeen_digits():
    assert WHOLE_RING.selector(BY_UID) == (
        "shardRange(object.metadata.uid, '0x0000000000000000', '0x10000000000000000')"
    )


def test_several_ranges_are_joined_by_or():
    assert HashRanges((HashRange(1, 2), HashRange(5, 9))).selector(BY_UID).count(" || ") == 1


def test_ranges_that_touch_are_one():
    assert HashRanges.of([HashRange(5, 9), HashRange(1, 5), HashRange(20, 30)]).ranges == (
        HashRange(1, 9),
        HashRange(20, 30),
    )


@pytest.mark.parametrize(("point", "inside"), [(0, False), (1, True), (4, True), (5, False), (7, True), (9, False)])
def test_a_range_ends_before_its_end(point, inside):
    assert (point in HashRanges((HashRange(1, 5), HashRange(7, 9)))) is inside


def test_what_is_covered_lies_in_one_range():
    ranges = HashRanges((HashRange(1, 5), HashRange(7, 9)))

    assert ranges.covers(HashRanges((HashRange(2, 3), HashRange(7, 9))))
    assert not ranges.covers(HashRanges((HashRange(2, 8),)))


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5), (5, RING_END + 1)])
def test_a_range_that_is_none_is_refused(start, end):
    with pytest.raises(ValueError, match="no range of the ring"):
        HashRange(start, end)
