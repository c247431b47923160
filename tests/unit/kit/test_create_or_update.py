"""Writing an object as it should be, and only if that changes something."""

import pytest

from scopedcache.errors import ConflictError, NotSyncedError
from scopedcache.kit import create_or_update
from scopedcache.objects import Object
from tests.unit.cluster import CONFIG_MAP

SKELETON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "a"}}


def painted(colour):
    def mutate(obj):
        obj.to_dict().setdefault("data", {})["colour"] = colour

    return mutate


async def test_what_is_not_there_is_created(server, client):
    obj, change = await create_or_update(client, SKELETON, painted("blue"))

    assert (change, obj["data"], server.sent()) == ("created", {"colour": "blue"}, ["get", "create"])


async def test_the_skeleton_given_is_left_alone(server, client):
    await create_or_update(client, SKELETON, painted("blue"))

    assert "data" not in SKELETON


async def test_what_differs_is_updated_and_the_rest_of_it_kept(server, client, config_map):
    server.write({**config_map, "data": {"colour": "red", "size": "3"}})
    obj, change = await create_or_update(client, SKELETON, painted("blue"))

    assert (change, obj["data"]) == ("updated", {"colour": "blue", "size": "3"})


async def test_what_is_right_already_is_not_written(server, client, config_map):
    server.write(config_map)
    _, change = await create_or_update(client, SKELETON, painted("blue"))

    assert (change, server.sent()) == ("unchanged", ["get"])


async def test_a_status_that_mutate_touches_is_no_reason_to_write(server, client, config_map):
    server.write(config_map)
    _, change = await create_or_update(client, SKELETON, lambda obj: obj.to_dict().update(status={"ok": True}))

    assert change == "unchanged"


async def test_reading_from_the_cache_asks_the_server_nothing(server, client, config_map):
    cached = server.write(config_map)
    _, change = await create_or_update(client, SKELETON, painted("blue"), read=lambda kind, key: cached)

    assert (change, server.sent()) == ("unchanged", [])


async def test_a_failed_look_ends_it_before_anything_is_written(server, client):
    def read(kind, key):
        raise NotSyncedError("not yet")

    with pytest.raises(NotSyncedError):
        await create_or_update(client, SKELETON, painted("blue"), read=read)
    assert server.sent() == []


@pytest.mark.parametrize("field", ["name", "namespace"])
async def test_an_object_cannot_be_moved(server, client, config_map, field):
    server.write(config_map)

    with pytest.raises(ValueError, match="may not move an object"):
        await create_or_update(client, SKELETON, lambda obj: obj["metadata"].update({field: "elsewhere"}))
    assert server.sent() == ["get"]


async def test_a_stale_read_ends_in_a_conflict_and_overwrites_nothing(server, client, config_map):
    stale = server.write(config_map)
    server.write({**config_map, "data": {"colour": "green"}})

    with pytest.raises(ConflictError):
        await create_or_update(client, SKELETON, painted("red"), read=lambda kind, key: stale)
    assert server.find(CONFIG_MAP, "settings", "a")["data"] == {"colour": "green"}


async def test_it_takes_an_object_too(server, client):
    _, change = await create_or_update(client, Object.from_dict(dict(SKELETON)), painted("blue"))

    assert change == "created"


def scoped(*scopes):
    def mutate(obj):
        obj.to_dict().setdefault("data", {})["scopes"] = ",".join(scopes)

    return mutate


async def test_a_field_that_cannot_be_changed_is_reached_by_making_the_object_anew(server, client, config_map):
    before = server.write(config_map)
    obj, change = await create_or_update(client, SKELETON, scoped("x"), recreate_on_immutable="data.scopes")
    _, again = await create_or_update(client, SKELETON, scoped("x"), recreate_on_immutable="data.scopes")

    assert (change, again, obj["data"]) == ("recreated", "unchanged", {"scopes": "x"})
    assert obj.uid != before.uid


async def test_another_field_is_no_reason_to_make_it_anew(server, client, config_map):
    before = server.write(config_map)
    obj, change = await create_or_update(client, SKELETON, painted("red"), recreate_on_immutable=("data.scopes",))

    assert (change, obj.uid) == ("updated", before.uid)


async def test_what_a_finalizer_holds_is_not_made_anew_and_that_is_said(server, client, config_map):
    config_map["metadata"]["finalizers"] = ["example.com/theirs"]
    server.write(config_map)

    with pytest.raises(ConflictError, match=r"held by example\.com/theirs"):
        await create_or_update(client, SKELETON, scoped("x"), recreate_on_immutable=("data.scopes",))
