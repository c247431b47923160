"""Which objects an informer holds where replicas share them, whatever the server sends."""

import pytest

from scopedcache.hash_ranges import RING_END, HashRange, HashRanges, ring_hash
from scopedcache.informer.shard_filter import ShardFilter
from scopedcache.objects import Metadata


def at(text):
    return HashRanges((HashRange(ring_hash(text), ring_hash(text) + 1),))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (Metadata(namespace="team-a", name="m", uid="1"), True),
        (Metadata(namespace="team-b", name="m", uid="1"), False),
        (Metadata(name="m", uid="team-a"), True),
    ],
)
def test_an_object_belongs_by_its_namespace_or_where_it_has_none_by_its_uid(metadata, expected):
    assert ShardFilter(at("team-a")).admits(metadata) is expected


def test_a_server_that_does_not_know_shards_is_not_asked():
    assert ShardFilter(at("team-a")).selector(namespaced=True) is None


def test_a_server_is_asked_by_the_field_that_the_kind_is_divided_by():
    shard = ShardFilter(at("team-a"))
    shard.asks_server = True

    assert "object.metadata.namespace" in (shard.selector(namespaced=True) or "")
    assert "object.metadata.uid" in (shard.selector(namespaced=False) or "")


def test_a_server_is_not_asked_for_everything_where_nothing_is_shown():
    shard = ShardFilter()
    shard.asks_server = True

    assert shard.selector(namespaced=True) == (
        "shardRange(object.metadata.namespace, '0x0000000000000000', '0x0000000000000001')"
    )


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [((0, 10), (0, 5), 0), ((0, 5), (0, 10), 1), ((0, 5), (5, 10), 1), ((0, RING_END), (7, 8), 0)],
)
def test_whoever_lists_is_told_when_there_is_more_to_show(before, now, told):
    heard = []
    shard = ShardFilter(HashRanges((HashRange(*before),)))
    shard.on_wider(lambda: heard.append(1))
    shard.set_ranges(HashRanges((HashRange(*now),)))

    assert len(heard) == told
