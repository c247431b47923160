"""User code that raises anything at all: the informer, its other objects and its other users do not notice."""

import asyncio

import pytest

from scopedcache.event_logger import event_of
from scopedcache.informer import EventHandler
from scopedcache.kinds import ObjectKey
from tests.unit.clock import idle
from tests.unit.informer.events import added, deleted, entry, error, modified
from tests.unit.informer.world import World

RAISED = [ValueError, asyncio.CancelledError, SystemExit, GeneratorExit, StopIteration, RecursionError, TimeoutError]
raised = pytest.mark.parametrize("raised", RAISED)


def failures(caplog):
    return [
        (event_of(record), record.__dict__["kind"], record.__dict__["object"], record.__dict__["error"])
        for record in caplog.records
        if event_of(record).endswith(".failed")
    ]


async def lived_through(world):
    """Let an informer meet an odd object in a list, in events and in a second list; it is to show everything."""
    watch = await world.begin(added("x", 1), added("odd", 2))
    watch.send(modified("odd", 11), added("y", 12), modified("x", 13))
    await idle()
    watch.send(error(410, "Expired"))
    again = await world.list(added("x", 13), added("odd", 21), added("y", 12), version=30)
    again.send(deleted("y", 31))
    await idle()
    assert (world.held, world.informer.state, world.informer.relists) == ({"x": "13", "odd": "21"}, "synced", 1)
    assert world.informer.task is not None
    assert not world.informer.task.done()


def fail_for_odd(kind):
    """Return a function that gives back what it is asked about, and raises for one name."""

    def check(name, answer=None):
        if name == "odd":
            raise kind("of the user")
        return answer

    return check


def shown(world, name):
    found = world.informer.get(("a", name))
    assert found is not None
    return found


@raised
@pytest.mark.parametrize("coalesce", [False, True])
async def test_a_handler(raised, coalesce, caplog):
    world, fail = World(), fail_for_odd(raised)
    told: list[str] = []
    handler = EventHandler(
        on_add=lambda obj, _: told.append(fail(obj.name, obj.name)),
        on_update=lambda _, obj: told.append(fail(obj.name, obj.name)),
        coalesce=coalesce,
    )
    world.informer.add_handler(handler)
    await lived_through(world)
    assert ("x" in told, "y" in told, "odd" in told) == (True, True, False)
    assert failures(caplog) == [("handler.failed", "Pod", "a/odd", raised.__name__)]
    await world.end()


@raised
async def test_an_index(raised, caplog):
    world, fail = World(), fail_for_odd(raised)
    world.informer.add_index("name", lambda obj: fail(obj.name, obj.name))
    await lived_through(world)
    assert [[obj.name for obj in world.informer.by_index("name", name)] for name in ("x", "odd")] == [["x"], []]
    assert failures(caplog) == [("index.failed", "Pod", "a/odd", raised.__name__)]
    await world.end()


class Owner:
    def __init__(self, uid):
        self.uid, self.key, self.told = uid, ObjectKey("a", uid), []

    def concerned(self, gvk, delta, initial):
        self.told.append((delta.new or delta.old).metadata.name)


@raised
async def test_a_route(raised, caplog):
    world, fail = World(), fail_for_odd(raised)
    mine, other = Owner("mine"), Owner("other")
    world.informer.router.add(mine, route=lambda obj: fail(obj.name, "mine"))
    world.informer.router.add(other, route=lambda obj: "other")
    await lived_through(world)
    assert ("odd" in mine.told, "x" in mine.told, "odd" in other.told) == (False, True, True)
    assert failures(caplog) == [("route.failed", "Pod", "a/odd", raised.__name__)]
    await world.end()


@pytest.mark.parametrize("answer", [7, ["u"], {"a": 1}, object()])
async def test_a_route_that_answers_with_what_names_nobody(answer, caplog):
    world, mine = World(), Owner("mine")
    world.informer.router.add(mine, route=lambda obj: answer)
    await lived_through(world)
    assert (mine.told, {failure[0] for failure in failures(caplog)} <= {"route.failed"}) == ([], True)
    await world.end()


@raised
async def test_a_transform(raised, caplog):
    fail = fail_for_odd(raised)

    world = World(transform=lambda body: fail(body["metadata"]["name"], {**body, "seen": True}))
    await lived_through(world)
    assert ["seen" in shown(world, name) for name in ("x", "odd")] == [True, False]
    assert failures(caplog) == [("transform.failed", "Pod", "a/odd", raised.__name__)]
    await world.end()


@pytest.mark.parametrize("answer", [None, 7, {"a": object()}, {"a": "\ud800"}])
async def test_a_transform_that_answers_with_what_is_no_object(answer, caplog):
    world = World(transform=lambda body: answer)
    await world.begin(added("x", 1, labels={"a": "b"}))
    assert (world.held, shown(world, "x")["metadata"]["labels"]) == ({"x": "1"}, {"a": "b"})
    assert [failure[0] for failure in failures(caplog)] == ["transform.failed"]
    await world.end()


@raised
async def test_a_handler_that_hears_of_our_own_write(raised, caplog):
    """The write went well, whatever becomes of it here."""
    world = World()
    fail = fail_for_odd(raised)
    world.informer.add_handler(
        EventHandler(on_add=lambda obj, _: fail(obj.name), on_delete=lambda obj, _: fail(obj.name))
    )
    await world.begin(added("x", 1))
    world.informer.written(entry("odd", 11))
    world.informer.deleted(ObjectKey("a", "odd"), "uid-odd")
    assert (world.held, world.informer.state) == ({"x": "1"}, "synced")
    await world.end()
