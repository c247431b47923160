"""What one replica would write, by what it knows."""

import pytest

from scopedcache.controller.sharding.partition import NOBODY, Part, Partition
from scopedcache.controller.sharding.replica import Replica, Round
from scopedcache.hash_ranges import RING_END, HashRange


def holders(partition):
    return None if partition is None else [part.holder for part in partition.parts]


def a_round(now):
    return Round(
        now=now, alive={"a", "b"}, there={"a", "b"}, synced=True, leaving=False, is_idle=lambda range_: True
    )  # fmt: skip


def test_who_starts_anew_under_its_name_lets_go_what_another_is_wanted_for_once_its_predecessor_has_noticed():
    replica = Replica("a", patience=15.0)
    replica.observe(Partition((Part(HashRange(0, RING_END), "a", "b", warm=True),), 7), 100.0)

    assert [holders(replica.next(a_round(now))) for now in (100.0, 114.9, 115.0)] == [None, None, [NOBODY]]


WEIGHTS = {0: 1, RING_END // 2: 1}


@pytest.fixture
def alone():
    """Return a replica that has everything, as it has planned, when a second one comes."""
    replica = Replica("a", patience=15.0)
    only = Round(now=0.0, alive={"a"}, there={"a"}, synced=True, leaving=False, is_idle=lambda range_: True)
    replica.observe(Partition((Part(HashRange(0, RING_END), "a", "a"),), 7), 0.0)
    assert replica.next(only, WEIGHTS) is None
    return replica


def test_a_plan_that_the_server_did_not_take_is_made_anew(alone):
    alone.next(a_round(1.0), WEIGHTS)  # somebody else wrote first

    assert alone.must_count(a_round(2.0), {"a": 1, "b": 1})


def test_a_plan_that_the_server_took_is_made_once(alone):
    alone.written(alone.next(a_round(1.0), WEIGHTS), 1.0)

    assert not alone.must_count(a_round(2.0), {"a": 1, "b": 1})


def test_a_plan_that_changes_nothing_is_made_once():
    replica = Replica("a", patience=15.0)
    halves = Part(HashRange(0, RING_END // 2), "a", "a"), Part(HashRange(RING_END // 2, RING_END), "b", "b")
    replica.observe(Partition(halves, 7), 0.0)

    assert replica.must_count(a_round(1.0), {"a": 1, "b": 1})
    assert replica.next(a_round(1.0), WEIGHTS) is None
    assert not replica.must_count(a_round(2.0), {"a": 1, "b": 1})


def test_another_write_does_not_stand_for_a_plan_that_was_not_taken(alone):
    alone.next(a_round(1.0), WEIGHTS)
    later = alone.next(a_round(2.0))
    alone.written(later or alone.partition, 2.0)

    assert alone.must_count(a_round(3.0), {"a": 1, "b": 1})
