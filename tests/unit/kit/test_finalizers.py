"""Finalizers come and go without harming anybody else's."""

import pytest

from scopedcache.errors import ConflictError
from scopedcache.kit import add_finalizer, delete_finalized, has_finalizer, remove_finalizer
from tests.unit.cluster import CONFIG_MAP

MINE, THEIRS = "example.com/mine", "example.com/theirs"


def with_finalizers(config_map, *names):
    return {**config_map, "metadata": {**config_map["metadata"], "finalizers": list(names)}}


def remove(server, config_map):
    """Delete it, whatever held it."""
    server.write(config_map)
    server.remove(CONFIG_MAP, "settings", "a")


async def test_a_finalizer_is_added_beside_the_others(server, client, config_map):
    obj = server.write(with_finalizers(config_map, THEIRS))

    assert (await add_finalizer(client, obj, MINE)).finalizers == (THEIRS, MINE)


async def test_a_finalizer_is_removed_alone(server, client, config_map):
    obj = server.write(with_finalizers(config_map, THEIRS, MINE))

    assert (await remove_finalizer(client, obj, MINE)).finalizers == (THEIRS,)


async def test_the_last_finalizer_can_be_removed(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))

    assert not has_finalizer(await remove_finalizer(client, obj, MINE), MINE)


async def test_nothing_is_sent_where_nothing_changes(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))
    await add_finalizer(client, obj, MINE)
    await remove_finalizer(client, obj, THEIRS)

    assert server.sent() == []


async def test_somebody_elses_finalizer_set_meanwhile_survives(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))
    server.write(with_finalizers(config_map, MINE, THEIRS))

    assert (await remove_finalizer(client, obj, MINE)).finalizers == (THEIRS,)


async def test_removing_from_an_object_that_is_gone_is_done(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))
    remove(server, config_map)

    assert await remove_finalizer(client, obj, MINE) is obj


async def test_a_recreated_object_keeps_its_finalizer(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))
    remove(server, config_map)
    server.write(with_finalizers(config_map, MINE))
    await remove_finalizer(client, obj, MINE)

    assert server.find(CONFIG_MAP, "settings", "a")["metadata"]["finalizers"] == [MINE]


async def test_an_object_that_is_being_deleted_takes_no_new_finalizer(server, client, config_map):
    server.write(with_finalizers(config_map, THEIRS))
    server.remove(CONFIG_MAP, "settings", "a")
    obj = await client.get(CONFIG_MAP, "settings", namespace="a")

    with pytest.raises(ValueError, match="is being deleted"):
        await add_finalizer(client, obj, MINE)


async def test_an_object_that_only_we_hold_is_deleted_and_gone(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))

    assert await delete_finalized(client, obj, MINE) is True
    assert server.find(CONFIG_MAP, "settings", "a") is None
    assert await delete_finalized(client, obj, MINE) is True


async def test_what_others_hold_too_is_deleted_without_our_finalizer_and_not_gone_yet(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE, THEIRS))
    gone = await delete_finalized(client, obj, MINE)
    found = server.find(CONFIG_MAP, "settings", "a")

    assert (gone, found["metadata"]["finalizers"]) == (False, [THEIRS])
    asked = server.sent()
    assert await delete_finalized(client, await client.get(CONFIG_MAP, "settings", namespace="a"), MINE) is False
    assert server.sent()[len(asked) :] == ["get"]


async def test_an_object_recreated_under_the_name_is_not_deleted(server, client, config_map):
    obj = server.write(with_finalizers(config_map, MINE))
    remove(server, config_map)
    server.write(with_finalizers(config_map, MINE))

    with pytest.raises(ConflictError):
        await delete_finalized(client, obj, MINE)
