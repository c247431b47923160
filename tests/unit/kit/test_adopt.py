"""Making an object that is there somebody's; references that a status carries."""

from __future__ import annotations

import pytest

from scopedcache import Client, ConflictError, Object
from scopedcache.kit import adopt, expire, reference_to
from tests.unit.cluster import CONFIG_MAP, MEMCACHED, Cluster


async def test_an_object_without_a_controller_gets_one_and_keeps_its_other_owners(
    server: Cluster, client: Client
) -> None:
    owner, other = server.put(MEMCACHED, "m", "a"), server.put(MEMCACHED, "other", "a")
    adopted = await adopt(client, owner, server.put(CONFIG_MAP, "c", "a", owner=other))

    assert adopted.controller is not None
    assert (adopted.controller.uid, {one.uid for one in adopted.owner_references}) == (
        owner.uid,
        {owner.uid, other.uid},
    )


async def test_what_has_a_controller_is_left_alone(server: Cluster, client: Client) -> None:
    owner, other = server.put(MEMCACHED, "m", "a"), server.put(MEMCACHED, "other", "a")
    theirs = await adopt(client, other, server.put(CONFIG_MAP, "c", "a"))
    asked = len(server.sent())

    assert await adopt(client, owner, theirs) is theirs
    assert server.sent()[asked:] == []


async def test_a_pair_that_is_illegal_is_refused_before_anything_is_sent(server: Cluster, client: Client) -> None:
    with pytest.raises(ValueError, match="garbage collector would delete it"):
        await adopt(client, server.put(MEMCACHED, "m", "elsewhere"), server.put(CONFIG_MAP, "c", "a"))
    assert server.sent() == []


async def test_what_changed_meanwhile_is_a_conflict(server: Cluster, client: Client) -> None:
    stale = server.put(CONFIG_MAP, "c", "a")
    server.put(CONFIG_MAP, "c", "a", labels={"new": "label"})

    with pytest.raises(ConflictError):
        await adopt(client, server.put(MEMCACHED, "m", "a"), stale)


def test_a_reference_names_its_object_and_says_who_owns() -> None:
    metadata = {"name": "m", "namespace": "a", "uid": "u"}
    obj = Object.from_dict({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata})

    assert reference_to(obj, controller=True) == {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "name": "m",
        "namespace": "a",
        "uid": "u",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    with pytest.raises(ValueError, match="has no uid"):
        reference_to(Object.from_dict({"metadata": {"name": "m"}}))


async def test_an_object_past_its_time_is_deleted_once(server: Cluster, client: Client) -> None:
    server.put(CONFIG_MAP, "c", "a", finalizers=["example.com/theirs"])
    obj = await client.get(CONFIG_MAP, "c", namespace="a")
    left = [await expire(client, obj, 1e9), await expire(client, obj, None), await expire(client, obj, -1.0)]
    deleted = await client.get(CONFIG_MAP, "c", namespace="a")
    asked = len(server.sent())

    assert (left[0] is not None and left[0] > 1e8, left[1:]) == (True, [None, 0.0])
    assert (deleted.deletion_timestamp is not None, await expire(client, deleted, -1.0)) == (True, None)
    assert server.sent()[asked:] == []
