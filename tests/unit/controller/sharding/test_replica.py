"""What one replica would write, by what it knows."""

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
