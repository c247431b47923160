"""Finalizers come and go without harming anybody else's."""

import pytest

from scopedcache.kit import add_finalizer, has_finalizer, remove_finalizer

MINE, THEIRS = "example.com/mine", "example.com/theirs"


def with_finalizers(config_map, *names, **more):
    return {**config_map, "metadata": {**config_map["metadata"], "finalizers": list(names), **more}}


async def test_a_finalizer_is_added_beside_the_others(client, config_map):
    obj = client.put(with_finalizers(config_map, THEIRS))

    assert (await add_finalizer(client, obj, MINE)).finalizers == (THEIRS, MINE)


async def test_a_finalizer_is_removed_alone(client, config_map):
    obj = client.put(with_finalizers(config_map, THEIRS, MINE))

    assert (await remove_finalizer(client, obj, MINE)).finalizers == (THEIRS,)


async def test_the_last_finalizer_can_be_removed(client, config_map):
    obj = client.put(with_finalizers(config_map, MINE))

    assert not has_finalizer(await remove_finalizer(client, obj, MINE), MINE)


async def test_nothing_is_sent_where_nothing_changes(client, config_map):
    obj = client.put(with_finalizers(config_map, MINE))
    await add_finalizer(client, obj, MINE)
    await remove_finalizer(client, obj, THEIRS)

    assert client.log == []


async def test_somebody_elses_finalizer_set_meanwhile_survives(client, config_map):
    obj = client.put(with_finalizers(config_map, MINE))
    client.interfere = lambda: client.put(with_finalizers(config_map, MINE, THEIRS))

    assert (await remove_finalizer(client, obj, MINE)).finalizers == (THEIRS,)


async def test_removing_from_an_object_that_is_gone_is_done(client, config_map):
    obj = client.put(with_finalizers(config_map, MINE))
    client.objects.clear()

    assert await remove_finalizer(client, obj, MINE) is obj


async def test_a_recreated_object_keeps_its_finalizer(client, config_map):
    obj = client.put(with_finalizers(config_map, MINE))
    client.put(with_finalizers(config_map, MINE, uid="another"))
    await remove_finalizer(client, obj, MINE)

    assert client.objects[("ConfigMap", "a", "settings")]["metadata"]["finalizers"] == [MINE]


async def test_an_object_that_is_being_deleted_takes_no_new_finalizer(client, config_map):
    obj = client.put(with_finalizers(config_map, THEIRS, deletionTimestamp="2026-01-01T00:00:00Z"))

    with pytest.raises(ValueError, match="is being deleted"):
        await add_finalizer(client, obj, MINE)
