"""Writing an object as it should be, and only if that changes something."""

import pytest

from scopedcache.errors import ConflictError, NotSyncedError
from scopedcache.kit import create_or_update
from scopedcache.objects import Object

SKELETON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "a"}}


def painted(colour):
    def mutate(obj):
        obj.to_dict().setdefault("data", {})["colour"] = colour

    return mutate


async def test_what_is_not_there_is_created(client):
    obj, change = await create_or_update(client, SKELETON, painted("blue"))

    assert (change, obj["data"], client.log) == ("created", {"colour": "blue"}, ["get", "create"])


async def test_the_skeleton_given_is_left_alone(client):
    await create_or_update(client, SKELETON, painted("blue"))

    assert "data" not in SKELETON


async def test_what_differs_is_updated_and_the_rest_of_it_kept(client, config_map):
    client.put({**config_map, "data": {"colour": "red", "size": "3"}})
    obj, change = await create_or_update(client, SKELETON, painted("blue"))

    assert (change, obj["data"]) == ("updated", {"colour": "blue", "size": "3"})


async def test_what_is_right_already_is_not_written(client, config_map):
    client.put(config_map)
    _, change = await create_or_update(client, SKELETON, painted("blue"))

    assert (change, client.log) == ("unchanged", ["get"])


async def test_a_status_that_mutate_touches_is_no_reason_to_write(client, config_map):
    client.put(config_map)
    _, change = await create_or_update(client, SKELETON, lambda obj: obj.to_dict().update(status={"ok": True}))

    assert change == "unchanged"


async def test_reading_from_the_cache_asks_the_server_nothing(client, config_map):
    cached = client.put(config_map)
    _, change = await create_or_update(client, SKELETON, painted("blue"), read=lambda kind, key: cached)

    assert (change, client.log) == ("unchanged", [])


async def test_a_failed_look_ends_it_before_anything_is_written(client):
    def read(kind, key):
        raise NotSyncedError("not yet")

    with pytest.raises(NotSyncedError):
        await create_or_update(client, SKELETON, painted("blue"), read=read)
    assert client.log == []


@pytest.mark.parametrize("field", ["name", "namespace"])
async def test_an_object_cannot_be_moved(client, config_map, field):
    client.put(config_map)

    with pytest.raises(ValueError, match="may not move an object"):
        await create_or_update(client, SKELETON, lambda obj: obj["metadata"].update({field: "elsewhere"}))
    assert client.log == ["get"]


async def test_a_stale_read_ends_in_a_conflict_and_overwrites_nothing(client, config_map):
    stale = client.put(config_map)
    client.put({**config_map, "data": {"colour": "green"}})

    with pytest.raises(ConflictError):
        await create_or_update(client, SKELETON, painted("red"), read=lambda kind, key: stale)
    assert client.objects[("ConfigMap", "a", "settings")]["data"] == {"colour": "green"}


async def test_it_takes_an_object_too(client):
    _, change = await create_or_update(client, Object.from_dict(dict(SKELETON)), painted("blue"))

    assert change == "created"
