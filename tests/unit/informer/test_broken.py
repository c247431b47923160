"""Our own side fails: reads say so, a list heals it, and nothing that happened meanwhile is lost."""

import pytest

from scopedcache.informer import EventHandler
from tests.unit.clock import idle, now
from tests.unit.informer.events import added, entry, error, pod, pods
from tests.unit.informer.world import World


class Strict:
    """An index function that fails on objects without a colour until it is mended."""

    def __init__(self):
        self.mended = False

    def __call__(self, obj):
        return obj.labels.get("colour") if self.mended else obj.labels["colour"]


async def broken(world):
    """Return (the function, the watch) of an informer whose index function met an object it fails on."""
    strict = Strict()
    world.informer.add_index("colour", strict)
    watch = await world.begin(added("x", 1, labels={"colour": "red"}))
    world.heard.take()
    watch.send(added("y", 11), added("z", 12, labels={"colour": "red"}))
    await idle()
    return strict, watch


async def test_an_index_function_that_fails_breaks_the_informer_and_reads_say_so(world, caplog):
    _, watch = await broken(world)
    for read in (world.informer.list, lambda: world.informer.get(("a", "x"))):
        with pytest.raises(KeyError, match="colour"):
            read()
    assert (world.informer.state, watch.closed.is_set(), world.heard.take()) == ("broken", True, [])
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", "task.failed")]


async def test_a_broken_informer_stays_broken_while_the_server_is_in_trouble_too(world):
    await broken(world)
    for _ in range(3):
        (await world.server.watched()).unreachable()
        await idle()
        with pytest.raises(KeyError):
            world.informer.list()
        assert world.informer.state == "broken"


async def test_a_broken_informer_heals_with_a_list_and_nothing_was_lost(world):
    strict, _ = await broken(world)
    strict.mended = True
    red = {"colour": "red"}
    await world.list(added("x", 1, labels=red), added("y", 11), added("z", 12, labels=red), version=20)
    assert (world.held, world.informer.state, world.informer.error) == (
        {"x": "1", "y": "11", "z": "12"}, "synced", None,
    )  # fmt: skip
    assert world.heard.take() == ["+y@11!", "+z@12!"]
    assert sorted(obj.name for obj in world.informer.by_index("colour", "red")) == ["x", "z"]


async def test_an_informer_that_keeps_failing_is_tried_ever_more_rarely(world):
    await broken(world)
    started, tries = now(), 0
    while now() - started < 120:
        await world.list(added("y", 11), version=20)
        tries += 1
    assert tries <= 10
    with pytest.raises(KeyError):
        world.informer.list()


async def test_a_write_never_fails_because_of_what_listens_to_it(world, caplog):
    strict = Strict()
    world.informer.add_index("colour", strict)
    await world.begin(added("x", 1, labels={"colour": "red"}))
    world.informer.written(entry("y", 11))
    with pytest.raises(KeyError):
        world.informer.list()
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", "informer.failed")]
    strict.mended = True
    await world.list(added("x", 1, labels={"colour": "red"}), added("y", 11), version=20)
    assert world.held == {"x": "1", "y": "11"}


async def test_a_defect_between_a_list_and_its_watch_is_healed_by_a_list_and_not_by_the_end_of_that_watch(world):
    strict = Strict()
    world.informer.add_index("colour", strict)
    world.start()
    (await world.server.watched()).refuse(500, "InternalError")
    (await world.server.asked()).answer(pods(10, pod("x", 1, labels={"colour": "red"})))
    watch = await world.server.watched()
    world.informer.written(entry("y", 11))
    watch.accept()
    await idle()
    assert (world.informer.state, watch.closed.is_set()) == ("broken", True)

    strict.mended = True
    await world.list(added("x", 1, labels={"colour": "red"}), added("y", 11), version=20)

    assert (world.held, world.informer.state) == ({"x": "1", "y": "11"}, "synced")


async def test_a_write_that_breaks_an_index_while_a_list_is_applied_leaves_no_index_half_way():
    """The list heals what it was applied over, and the indexes are made anew before reads are answered again."""
    world = World()
    colours = {"x": "red", "y": "red"}

    def colour(obj):
        return colours[obj.name]

    world.informer.add_index("colour", colour)
    watch = await world.begin(added("x", 1), added("y", 2))
    written: list[str] = []

    def write(old, new):
        if not written:
            written.append(new.name)
            del colours["y"]
            world.informer.written(entry("y", 30, labels={"new": "label"}))
            colours["y"] = "blue"

    world.informer.add_handler(EventHandler(on_update=write))
    watch.send(error(410, "Expired"))
    await world.list(added("x", 15), added("y", 16), version=20)

    assert (world.informer.state, world.held) == ("synced", {"x": "15", "y": "16"})
    assert [obj.name for obj in world.informer.by_index("colour", "blue")] == ["y"]
    assert [obj.name for obj in world.informer.by_index("colour", "red")] == ["x"]
    await world.end()


class Owner:
    uid, key = "u", ("a", "u")

    def __init__(self):
        self.told = []
        self.failing = True

    def concerned(self, gvk, delta, initial):
        if self.failing:
            raise RuntimeError("a bug of ours")
        self.told.append((delta.new or delta.old).metadata.name)


async def test_an_owner_that_could_not_be_told_is_told_when_it_heals(world):
    owner = Owner()
    world.informer.router.add(owner)
    watch = await world.begin()
    watch.send(added("x", 11, owner="u"))
    await idle()
    owner.failing = False
    await world.list(added("x", 11, owner="u"), version=20)
    assert (owner.told, world.held, [obj.name for obj in world.informer.list(owner="u")]) == (["x"], {"x": "11"}, ["x"])


async def test_a_TimeoutError_of_the_user_is_not_taken_for_a_deadline():
    calls = []

    def transform(body):
        calls.append(now())
        raise TimeoutError("of the user")

    world = World(transform=transform)
    world.start()
    (await world.server.watched()).accept(added("x", 1))
    await idle()
    with pytest.raises(TimeoutError, match="of the user"):
        world.informer.list()
    assert (world.informer.state, len(calls)) == ("broken", 1)
    await world.end()
