"""One odd object costs itself at most: the kind, its other objects and its watch go on."""

import pytest

from scopedcache.api.request_query import METADATA_LIST, METADATA_WATCH
from scopedcache.errors import ProtocolError
from scopedcache.informer.reflector import ServerFeatures
from tests.unit.clock import idle
from tests.unit.informer.events import added, bookmark, deleted, error, line, modified, pod, pods
from tests.unit.informer.world import World

# Metadata that nobody can read, but for whose it is.
UNREADABLE = {"labels": ["odd"]}


def odd(type_, name, version):
    body = pod(name, version)
    return line(type_, {**body, "metadata": body["metadata"] | UNREADABLE})


def named(caplog):
    return [
        (record.__dict__["kind"], record.__dict__["namespace"], record.__dict__["object"])
        for record in caplog.records
        if record.message == "object.unreadable"
    ]


@pytest.mark.parametrize("way", ["streaming", "paged"])
async def test_a_list_with_an_object_nobody_can_read_is_a_list_of_the_others(world, way, caplog):
    world.start()
    watch = await world.server.watched()
    if way == "streaming":
        watch.accept(added("x", 1), odd("ADDED", "odd", 2), added("y", 3), bookmark(10, end=True))
    else:
        watch.refuse(500, "InternalError")
        bad = pod("odd", 2)
        bad["metadata"] |= UNREADABLE
        (await world.server.asked()).answer(pods(10, pod("x", 1), bad, pod("y", 3)))
        (await world.server.watched()).accept()
    await idle()
    assert (world.held, world.informer.state) == ({"x": "1", "y": "3"}, "synced")
    assert named(caplog) == [("Pod", "a", "odd")]


async def test_an_event_nobody_can_read_is_passed_by_and_its_object_named_once(world, caplog):
    watch = await world.begin(added("x", 1))
    for version in range(11, 20):
        watch.send(odd("MODIFIED", "odd", version))
    watch.send(modified("x", 20))
    await idle()
    assert (world.held, world.informer.resource_version, watch.closed.is_set()) == ({"x": "20"}, "20", False)
    assert named(caplog) == [("Pod", "a", "odd")]


async def test_what_is_held_of_an_object_stays_while_nobody_can_read_what_became_of_it(world):
    """It is not deleted: whoever owns it would make it anew."""
    watch = await world.begin(added("x", 1), added("y", 2))
    world.heard.take()
    watch.send(odd("MODIFIED", "x", 11), error(410, "Expired"))
    await world.list(odd("ADDED", "x", 11), added("y", 2), version=20)
    assert (world.held, world.heard.take()) == ({"x": "1", "y": "2"}, [])
    (next(iter(world.server.open))).send(modified("x", 21))
    await idle()
    assert (world.held, world.heard.take()) == ({"x": "21", "y": "2"}, ["x@1→21"])


async def test_a_deletion_nobody_can_read_is_a_deletion(world):
    watch = await world.begin(added("x", 1), added("y", 2))
    watch.send(odd("DELETED", "x", 11), deleted("y", 12))
    await idle()
    assert world.held == {}


async def test_an_item_without_a_name_is_left_out(world, caplog):
    world.start()
    (await world.server.watched()).refuse(500, "InternalError")
    body = pods(10, pod("x", 1))
    body["items"] += [None, {}, 7, {"metadata": {"labels": 7}}]
    (await world.server.asked()).answer(body)
    await world.server.watched()
    assert (world.held, set(named(caplog))) == ({"x": "1"}, {("Pod", None, None)})


@pytest.mark.parametrize("value", [b"NaN", b"[" * 100_000 + b"]" * 100_000, b"1e999"])
async def test_an_object_whose_content_is_beyond_reading_is_shown_with_its_metadata(world, value):
    watch = await world.begin()
    body = line("ADDED", {**pod("odd", 11, labels={"a": "b"}), "spec": {"v": "VALUE"}}).replace(b'"VALUE"', value)
    watch.send(body, added("x", 12))
    await idle()
    (found,) = world.informer.list(labels="a=b")
    assert (world.held, found.name) == ({"odd": "11", "x": "12"}, "odd")
    with pytest.raises(ProtocolError, match="the Pod a/odd the server sent cannot be read"):
        found.to_dict()


@pytest.mark.parametrize("value", [b"NaN", b"[" * 100_000 + b"]" * 100_000])
@pytest.mark.parametrize("options", [{"metadata_only": True}, {"transform": dict}])
async def test_neither_a_transform_nor_metadata_alone_is_blinded_by_it(value, options, caplog):
    world = World(**options)
    body = line("ADDED", {**pod("odd", 11, labels={"a": "b"}), "spec": {"v": "VALUE"}}).replace(b'"VALUE"', value)
    watch = await world.begin(body, added("x", 1))
    watch.send(body.replace(b"ADDED", b"MODIFIED").replace(b'"11"', b'"12"'))
    await idle()
    found = world.informer.get(("a", "odd"))
    assert found is not None
    assert (world.held, found["metadata"]["labels"], "spec" in found) == ({"odd": "12", "x": "1"}, {"a": "b"}, False)
    assert len(named(caplog)) == ("transform" in options)
    await world.end()


# -- metadata alone ----------------------------------------------------------------------------------------------------

WHOLE = {**pod("x", 1, annotations={"note": "n"}), "spec": {"big": "x" * 100}}
ALONE = {**pod("x", 1, annotations={"note": "n"}), "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def shown(world):
    found = world.informer.get(("a", "x"))
    return found.kind, found.annotations, found.to_dict(), found.partial


EXPECTED = ("Pod", {"note": "n"}, pod("x", 1, annotations={"note": "n"}), True)


@pytest.mark.parametrize("sent", [ALONE, WHOLE])
@pytest.mark.parametrize("way", ["streaming", "watch"])
async def test_of_whatever_a_server_sends_the_metadata_is_kept(sent, way):
    world = World(metadata_only=True)
    watch = await world.begin(*([line("ADDED", sent)] if way == "streaming" else []))
    if way == "watch":
        watch.send(line("ADDED", sent))
        await idle()
    assert shown(world) == EXPECTED
    await world.end()


@pytest.mark.parametrize("code", [406, 415])
async def test_a_server_that_hands_out_no_metadata_alone_is_asked_for_whole_objects(code):
    server = ServerFeatures()
    world = World(metadata_only=True, server=server)
    world.start()
    refused = await world.server.watched()
    refused.refuse(code, "NotAcceptable")
    again = await world.server.watched()
    again.accept(line("ADDED", WHOLE), bookmark(10, end=True))
    await idle()
    assert (shown(world), again.accept_header) == (EXPECTED, "application/json")
    other = world.make(namespace="b", metadata_only=True, server=server)
    other.start(world.supervisor)
    assert (await world.server.watched()).accept_header == "application/json"
    other.close()
    await world.end()


async def test_a_paged_list_falls_back_too():
    world = World(metadata_only=True)
    world.start()
    (await world.server.watched()).refuse(500, "InternalError")
    (await world.server.asked()).refuse(406, "NotAcceptable")
    request = await world.server.asked()
    request.answer(pods(10, WHOLE))
    watch = await world.server.watched()
    assert (request.accept, watch.accept_header, shown(world)[2:]) == (
        "application/json",
        "application/json",
        EXPECTED[2:],
    )
    await world.end()


def test_the_wish_for_metadata_alone_lists_whole_objects_last():
    """As the API documentation asks of a client that can make do with them."""
    for wish in (METADATA_LIST, METADATA_WATCH):
        assert wish.split(",")[-1] == "application/json"
