"""Reads from memory, our own writes in them, and objects that are not whole."""

import asyncio

import pytest

from scopedcache.errors import NoSuchIndexError
from scopedcache.kinds import ObjectKey
from scopedcache.objects import Object
from tests.unit.clock import after, idle
from tests.unit.informer.events import (
    NODES,
    PODS,
    added,
    bookmark,
    deleted,
    entry,
    error,
    learn,
    line,
    modified,
    pod,
    pods,
)
from tests.unit.informer.world import World
from tests.unit.memory import strings_in

RED, BLUE = {"colour": "red", "app": "x"}, {"colour": "blue", "app": "x"}


def names(found):
    return sorted(obj.name for obj in found)


def held(world, name, namespace="a"):
    found = world.informer.get((namespace, name))
    assert found is not None
    return found


@pytest.fixture
async def full(world):
    """An informer of all namespaces that holds a few Pods."""
    made = World(namespace=None)
    await made.begin(
        added("x", 1, labels=RED, owner="o1"),
        added("y", 2, labels=BLUE),
        added("z", 3, labels=RED, namespace="b", owner="o2"),
        added("bare", 4, namespace="b"),
    )
    yield made
    await made.end()


# -- reads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["bare", "x", "y", "z"]),
        ({"namespace": "a"}, ["x", "y"]),
        ({"namespace": "nowhere"}, []),
        ({"labels": {"colour": "red"}}, ["x", "z"]),
        ({"labels": "colour in (red,blue)"}, ["x", "y", "z"]),
        ({"labels": "!colour"}, ["bare"]),
        ({"labels": "colour!=red"}, ["bare", "y"]),
        ({"labels": "app=x,colour=red", "namespace": "b"}, ["z"]),
        ({"owner": "o1"}, ["x"]),
        ({"owner": "o1", "namespace": "b"}, []),
        ({"owner": "o2", "labels": "colour=blue"}, []),
        ({"owner": "nobody"}, []),
    ],
)
async def test_a_list_answers_by_namespace_labels_and_owner(full, asked, expected):
    assert names(full.informer.list(**asked)) == expected


async def test_a_list_of_an_informer_of_one_namespace_needs_no_namespace(world):
    await world.begin(added("x", 1))
    assert [names(world.informer.list(namespace=place)) for place in (None, "a", "b")] == [["x"], ["x"], []]


async def test_a_malformed_selector_is_an_error_and_not_an_empty_list(full):
    with pytest.raises(ValueError, match="malformed label selector"):
        full.informer.list(labels="a=(b")


async def test_what_is_not_there_is_None_and_not_an_error(full):
    assert (full.informer.get(("a", "nobody")), full.informer.get(ObjectKey("a", "x")).uid) == (None, "uid-x")


async def test_every_reader_has_objects_of_its_own(full):
    one, other = full.informer.get(("a", "x")), full.informer.get(("a", "x"))
    one["metadata"]["labels"]["colour"] = "mine"
    one["spec"] = {"mine": True}
    listed = full.informer.list(labels="colour=red", namespace="a")
    assert (other["metadata"]["labels"], "spec" in other, listed[0].to_dict()) == (RED, False, other.to_dict())
    with pytest.raises(TypeError):
        one.labels["colour"] = "mine"


async def test_a_list_decodes_nothing_and_does_not_change_under_its_reader(full):
    listed = full.informer.list()
    (next(iter(full.server.open))).send(added("new", 11), deleted("x", 12))
    await idle()
    assert names(listed) == ["bare", "x", "y", "z"]
    assert "metadata" not in strings_in(list(listed))


async def test_kind_and_version_are_filled_in_where_the_list_left_them_out(world):
    world.start()
    (await world.server.watched()).refuse(500, "InternalError")
    (await world.server.asked()).answer(pods(20, pod("x", 1)))
    await world.server.watched()
    found = world.informer.get(("a", "x"))
    assert (found.kind, found.api_version, found["kind"]) == ("Pod", "v1", "Pod")


async def test_a_cluster_scoped_object_has_no_namespace_in_its_key():
    world = World(resource=NODES, namespace=None)
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n", "uid": "u", "resourceVersion": "1"}}
    await world.begin(line("ADDED", node))
    assert held(world, "n", namespace="").key == ObjectKey("", "n")
    await world.end()


async def test_an_index_may_be_added_at_any_time_and_is_kept_by_every_change(full):
    informer = full.informer
    informer.add_index("first", lambda obj: obj.name[0])
    watch = next(iter(full.server.open))
    watch.send(added("xx", 11), deleted("y", 12), modified("x", 13))
    await idle()
    informer.add_index("second", lambda obj: list(obj.name))
    assert names(informer.by_index("first", "x")) == names(informer.by_index("second", "x")) == ["x", "xx"]
    assert names(informer.by_index("first", "y")) == []
    with pytest.raises(NoSuchIndexError, match="there are: first, second"):
        informer.by_index("third", "x")


async def test_the_age_is_the_time_since_the_server_was_heard(world):
    watch = await world.begin()
    await after(30)
    before = world.informer.age
    watch.send(bookmark(11))
    await idle()
    assert (before, world.informer.age) == (30, 0)
    await after(20)
    world.informer.renew()
    (await world.server.watched()).accept()
    await idle()
    assert world.informer.age == 0


# -- our own writes --------------------------------------------------------------------------------------------------


async def test_a_write_is_read_at_once_and_told_once(world):
    watch = await world.begin(added("x", 1))
    world.informer.written(entry("x", 11, labels=RED))
    world.informer.written(entry("new", 12, labels=RED))
    shown = world.held, names(world.informer.list(labels=RED))
    watch.send(modified("x", 11, labels=RED), added("new", 12, labels=RED), modified("x", 13))
    await idle()
    assert shown == ({"x": "11", "new": "12"}, ["new", "x"])
    assert world.heard.take() == ["+x@1!", "x@1→11", "+new@12", "x@11→13"]


async def test_an_older_event_never_rolls_a_write_back(world):
    watch = await world.begin(added("x", 1))
    world.informer.written(entry("x", 15))
    watch.send(modified("x", 12), modified("x", 14))
    await idle()
    assert world.held == {"x": "15"}


async def test_a_late_answer_to_a_write_does_not_bring_back_what_was_deleted(world):
    watch = await world.begin(added("x", 1))
    watch.send(modified("x", 11), deleted("x", 12))
    await idle()
    world.informer.written(entry("x", 11))
    assert world.held == {}


async def test_a_delete_is_read_at_once_and_late_events_do_not_bring_it_back(world):
    watch = await world.begin(added("x", 1))
    world.informer.deleted(ObjectKey("a", "x"), "uid-x")
    shown = world.held
    watch.send(modified("x", 11), deleted("x", 12), added("x", 13, uid="second"))
    await idle()
    assert (shown, world.held) == ({}, {"x": "13"})
    assert world.heard.take() == ["+x@1!", "-x@1", "+x@13"]


async def test_a_write_during_a_new_list_is_as_new_as_it_is(world):
    watch = await world.begin(added("x", 1), added("y", 2))
    watch.send(error(410, "Expired"))
    again = (await world.server.watched()).accept(added("x", 11), added("y", 2))
    await idle()
    world.informer.written(entry("x", 25))
    world.informer.written(entry("y", 15))
    again.send(added("z", 16), bookmark(20, end=True))
    await idle()
    assert world.held == {"x": "25", "y": "2", "z": "16"}


@pytest.mark.parametrize(
    ("options", "written", "shown"),
    [
        ({"labels": "colour=red"}, {"labels": BLUE}, False),
        ({"labels": "colour=red"}, {"labels": RED}, True),
        ({"fields": "metadata.name=x"}, {}, False),
        ({"namespace": "a"}, {"namespace": "b"}, False),
        ({"namespace": None}, {"namespace": "b"}, True),
        ({"fields": "metadata.name=new"}, {}, True),
        ({"metadata_only": True}, {}, True),
        ({"transform": dict}, {}, True),
    ],
)
async def test_a_write_is_shown_only_where_its_event_would_be(options, written, shown):
    world = World(**options)
    await world.begin()
    world.informer.written(entry("new", 11, **written))
    assert bool(world.held) is shown
    await world.end()


async def test_what_is_written_before_the_first_list_is_there_with_it_whatever_the_list_is_of(world):
    world.informer.written(entry("older", 9))
    world.informer.written(entry("listed", 11))
    world.informer.written(entry("newer", 13))
    await world.begin(added("listed", 11), version=12)
    assert world.held == {"listed": "11", "newer": "13"}
    assert world.heard.take() == ["+older@9!", "+listed@11!", "+newer@13!", "-older@9?"]


async def test_what_is_deleted_before_the_first_list_is_not_in_it(world):
    world.informer.deleted(ObjectKey("a", "x"), "uid-x")
    await world.begin(added("x", 11), version=12)
    assert (world.held, world.heard.take()) == ({}, [])


async def test_a_write_that_takes_an_object_out_of_the_selection_removes_it_at_once():
    world = World(labels="colour=red")
    watch = await world.begin(added("x", 10, labels=RED), version=10)
    world.informer.written(entry("x", 12, labels=BLUE))
    left = world.held
    watch.send(modified("x", 11, labels=RED))  # on its way already
    await idle()
    assert (left, world.held) == ({}, {})
    watch.send(modified("x", 13, labels=RED))  # it is back
    await idle()
    assert world.held == {"x": "13"}
    await world.end()


# -- objects that are not whole --------------------------------------------------------------------------------------


async def test_a_transform_changes_what_is_kept_and_not_the_metadata_record():
    def strip(body):
        del body["metadata"]["labels"]
        body["small"] = True
        return body

    world = World(transform=strip)
    watch = await world.begin(added("x", 1, labels=RED))
    watch.send(modified("x", 11, labels=BLUE))
    await idle()
    found = held(world, "x")
    assert (found["small"], "labels" in found["metadata"], found.labels["colour"]) == (True, False, "blue")
    await world.end()


@pytest.mark.parametrize("options", [{"transform": dict}, {"metadata_only": True}])
async def test_what_is_not_whole_cannot_be_put_back(options):
    world = World(**options)
    await world.begin(added("x", 1))
    for partial in (held(world, "x"), *world.informer.list()):
        with pytest.raises(ValueError, match="patch it instead"):
            await world.client.update(partial)
    assert not any(request.startswith("PUT") for request in world.server.log)
    await world.end()


async def test_what_is_whole_can_be_put_back(world):
    await world.begin(added("x", 1))
    await learn(world.client, world.server, PODS)
    updating = asyncio.ensure_future(world.client.update(held(world, "x")))
    request = await world.server.asked()
    request.answer(pod("x", 2))
    assert isinstance(await updating, Object)
    assert request.body == pod("x", 1)


# -- compressed objects ----------------------------------------------------------------------------------------------


async def test_compressed_objects_read_as_they_came_and_take_less():
    spec = {"containers": [{"name": "main", "env": [{"name": f"N{n}", "value": "the same"} for n in range(40)]}]}
    plain, packed = World(), World(compress=True)
    for world in (plain, packed):
        watch = await world.begin(*(added(f"x{n}", n, labels=RED, spec=spec) for n in range(1, 30)), version=40)
        watch.send(modified("x1", 41, labels=BLUE, spec=spec))
        await idle()
    found, same = held(packed, "x1"), held(plain, "x1")
    assert (found.to_dict(), found.annotations) == (same.to_dict(), same.annotations)
    assert [one.to_dict() for one in packed.informer.list(labels="colour=red")] == [
        one.to_dict() for one in plain.informer.list(labels="colour=red")
    ]
    assert packed.heard.words == plain.heard.words
    assert packed.informer.bytes < plain.informer.bytes / 4
    for world in (plain, packed):
        await world.end()


@pytest.mark.parametrize("options", [{"transform": dict}, {"metadata_only": True}])
async def test_what_is_transformed_or_cut_is_compressed_after_that(options):
    plain, packed = World(**options), World(compress=True, **options)
    for world in (plain, packed):
        await world.begin(added("x", 1, labels=RED))
        world.informer.written(entry("x", 12, labels=BLUE))
    assert held(packed, "x").to_dict() == held(plain, "x").to_dict()
    for world in (plain, packed):
        await world.end()


async def test_a_compressed_object_can_be_put_back():
    world = World(compress=True)
    await world.begin(added("x", 1))
    await learn(world.client, world.server, PODS)
    updating = asyncio.ensure_future(world.client.update(held(world, "x")))
    request = await world.server.asked()
    request.answer(pod("x", 2))
    await updating
    assert request.body == pod("x", 1)
    await world.end()
