"""How the ring is divided: evenly wherever the objects lie, with few moves, and readable for others."""

import string
import uuid
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.controller.sharding.partition import (
    NOBODY,
    Part,
    Partition,
    UnreadablePartitionError,
    balance,
    is_uneven,
    shares,
)
from scopedcache.hash_ranges import RING_END, HashRange, ring_hash

CHANCE = Random(7)
FLEETS = {
    "numbered": [f"ns-{number:03}" for number in range(400)],
    "lettered": [f"team-{letter}" for letter in string.ascii_lowercase],
    "staged": [f"{name}-{stage}" for name in ("shop", "mail", "search", "pay", "crm", "wiki", "ads", "auth")
               for stage in ("dev", "test", "prod")],
    "uuids": [str(uuid.UUID(int=CHANCE.getrandbits(128))) for _ in range(400)],
}  # fmt: skip


def weights_of(names):
    return {ring_hash(name): 1 for name in names}


def replicas(count):
    return [f"replica-{number:02}" for number in range(count)]


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
def test_no_replica_holds_more_than_one_and_a_half_times_the_mean(fleet, count):
    weights = weights_of(FLEETS[fleet])
    partition = balance(Partition(), replicas(count), weights)

    assert max(shares(partition, weights).values()) <= 1.5 * len(weights) / count


@pytest.mark.parametrize("fleet", FLEETS)
def test_replicas_that_come_one_by_one_and_go_again_leave_it_even(fleet):
    weights = weights_of(FLEETS[fleet])
    partition, worst = Partition(), 0.0
    for count in (1, 2, 3, 4, 5, 6, 5, 4, 3, 2):
        partition = balance(partition, replicas(count), weights)
        worst = max(worst, max(shares(partition, weights).values()) * count / len(weights))

    assert worst <= 1.5


def test_one_replica_more_moves_no_more_than_its_share():
    weights = weights_of(FLEETS["numbered"])
    before = balance(Partition(), replicas(4), weights)
    after = balance(before, replicas(5), weights)
    moved = sum(before.at(point).wanted != after.at(point).wanted for point in weights)

    assert moved <= len(weights) / 5 + 4


def test_the_same_replicas_and_objects_move_nothing():
    weights = weights_of(FLEETS["uuids"])
    before = balance(Partition(), replicas(4), weights)

    assert balance(before, replicas(4), weights).parts == before.parts


def test_where_nothing_is_known_the_ring_is_cut_evenly():
    partition = balance(Partition(), replicas(4), {})

    assert [partition.at(point).wanted for point in range(0, RING_END, RING_END // 4)] == replicas(4)


def test_one_heavy_namespace_stays_whole_and_the_others_go_elsewhere():
    weights = {**weights_of(FLEETS["lettered"]), ring_hash("heavy"): 1000}
    partition = balance(Partition(), replicas(2), weights)

    assert sorted(shares(partition, weights).values()) == [26, 1000]


def test_a_change_of_who_is_wanted_changes_no_holder():
    held = Partition((Part(HashRange(0, RING_END), "a", "a"),), 3)
    planned = balance(held, ["b", "c"], weights_of(FLEETS["uuids"]))

    assert ({part.holder for part in planned.parts}, planned.generation) == ({"a"}, 4)
    assert {part.wanted for part in planned.parts} == {"b", "c"}


@given(
    names=st.lists(st.text(max_size=12), min_size=1, max_size=60, unique=True),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_whoever_comes_and_goes_everything_is_wanted_of_somebody_who_is_there(names, counts):
    weights, partition = weights_of(names), Partition()
    for count in counts:
        partition = balance(partition, replicas(count), weights)

        assert {part.wanted for part in partition.parts} <= set(replicas(count))
        assert [part.range.end for part in partition.parts] == [p.range.start for p in partition.parts[1:]] + [RING_END]


def test_a_partition_is_read_as_it_was_written():
    partition = balance(Partition((Part(HashRange(0, RING_END), "a", "a"),), 3), ["a", "b"], weights_of(["x", "y"]))

    assert Partition.parse(str(partition)) == partition


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no partition"),
        ("{}", "no partition"),
        ("[1]", "no partition"),
        ('{"version": 2, "content": {"shards": 8}}', "another release has cut it"),
        (str(Partition()).replace('"generation":0', '"generation":9'), "edited it by hand"),
        (str(Partition(())), "make no sense"),
        (str(Partition((Part(HashRange(5, RING_END)),))), "do not begin with the ring"),
    ],
)
def test_a_text_that_makes_no_sense_is_refused(text, why):
    with pytest.raises(UnreadablePartitionError, match=why):
        Partition.parse(text)


def test_a_hash_lies_in_one_part():
    partition = Partition((Part(HashRange(0, 10), "a"), Part(HashRange(10, RING_END), "b")), 1)

    assert [partition.at(point).holder for point in (0, 9, 10, RING_END - 1)] == ["a", "a", "b", "b"]
    assert partition.at(5).wanted == NOBODY


@pytest.mark.parametrize(
    ("counts", "uneven"),
    [({}, False), ({"a": 10, "b": 10}, False), ({"a": 16, "b": 4}, True), ({"a": 2, "b": 0}, False)],
)
def test_it_is_uneven_where_somebody_has_half_as_much_again_as_the_mean(counts, uneven):
    assert is_uneven(counts) is uneven
