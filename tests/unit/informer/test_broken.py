"""Our own side fails: reads say so, a list heals it, and nothing that happened meanwhile is lost."""

import pytest

from scopedcache.event_logger import event_of
from scopedcache.informer import EventHandler
from scopedcache.kinds import ObjectKey
from tests.unit.clock import idle, now
from tests.unit.informer.events import added, entry, error, pod, pods
from tests.unit.informer.world import World


class Strict:
    """An owner, which is code of ours, with a bug: it fails on objects without a colour until it is mended."""

    uid, key = "u", ObjectKey("a", "u")

    def __init__(self):
        self.mended = False
        self.told = []

    def concerned(self, gvk, delta, initial):
        subject = delta.new or delta.old
        if not self.mended and "colour" not in (subject.metadata.labels or {}):
            raise KeyError("colour")
        self.told.append(subject.metadata.name)


def owned(name, version, **metadata):
    return added(name, version, owner="u", **metadata)


async def broken(world):
    """Return (the owner, the watch) of an informer whose owner met an object it fails on."""
    strict = Strict()
    world.informer.router.add(strict)
    watch = await world.begin(owned("x", 1, labels={"colour": "red"}))
    world.heard.take()
    watch.send(owned("y", 11), owned("z", 12, labels={"colour": "red"}))
    await idle()
    return strict, watch


async def test_a_defect_of_ours_breaks_the_informer_and_reads_say_so(world, caplog):
    _, watch = await broken(world)
    for read in (world.informer.list, lambda: world.informer.get(("a", "x"))):
        with pytest.raises(KeyError, match="colour"):
            read()
    assert (world.informer.state, watch.closed.is_set(), world.heard.take()) == ("broken", True, [])
    assert [(record.levelname, event_of(record)) for record in caplog.records] == [("ERROR", "task.failed")]


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
    await world.list(owned("x", 1, labels=red), owned("y", 11), owned("z", 12, labels=red), version=20)
    assert (world.held, world.informer.state, world.informer.error) == (
        {"x": "1", "y": "11", "z": "12"}, "synced", None,
    )  # fmt: skip
    assert world.heard.take() == ["+y@11!", "+z@12!"]
    assert sorted(obj.name for obj in world.informer.list(labels="colour=red", owner="u")) == ["x", "z"]
    assert strict.told == ["x", "y", "z"]


async def test_an_informer_that_keeps_failing_is_tried_ever_more_rarely(world):
    await broken(world)
    started, tries = now(), 0
    while now() - started < 120:
        await world.list(owned("y", 11), version=20)
        tries += 1
    assert tries <= 10
    with pytest.raises(KeyError):
        world.informer.list()


async def test_a_write_never_fails_because_of_what_listens_to_it(world, caplog):
    strict = Strict()
    world.informer.router.add(strict)
    await world.begin(owned("x", 1, labels={"colour": "red"}))
    world.informer.written(entry("y", 11, owner="u"))
    with pytest.raises(KeyError):
        world.informer.list()
    assert [(record.levelname, event_of(record)) for record in caplog.records] == [("ERROR", "informer.failed")]
    strict.mended = True
    await world.list(owned("x", 1, labels={"colour": "red"}), owned("y", 11), version=20)
    assert world.held == {"x": "1", "y": "11"}


async def test_a_defect_between_a_list_and_its_watch_is_healed_by_a_list_and_not_by_the_end_of_that_watch(world):
    strict = Strict()
    world.informer.router.add(strict)
    world.start()
    (await world.server.watched()).refuse(500, "InternalError")
    (await world.server.asked()).answer(pods(10, pod("x", 1, owner="u", labels={"colour": "red"})))
    watch = await world.server.watched()
    world.informer.written(entry("y", 11, owner="u"))
    watch.accept()
    await idle()
    assert (world.informer.state, watch.closed.is_set()) == ("broken", True)

    strict.mended = True
    await world.list(owned("x", 1, labels={"colour": "red"}), owned("y", 11), version=20)

    assert (world.held, world.informer.state) == ({"x": "1", "y": "11"}, "synced")


async def test_a_write_that_meets_a_defect_while_a_list_is_applied_leaves_no_index_half_way():
    """The list heals what it was applied over, and the indexes are made anew before reads are answered again."""
    world, strict = World(), Strict()
    strict.mended = True
    world.informer.router.add(strict)
    world.informer.add_index("version", lambda obj: obj.resource_version)
    watch = await world.begin(owned("x", 1), owned("y", 2))
    written: list[str] = []

    def write(old, new):
        if not written:
            written.append(new.name)
            strict.mended = False
            world.informer.written(entry("y", 30, owner="u", labels={"new": "label"}))
            strict.mended = True

    world.informer.add_handler(EventHandler(on_update=write))
    watch.send(error(410, "Expired"))
    await world.list(owned("x", 15), owned("y", 16), version=20)

    assert (world.informer.state, world.held) == ("synced", {"x": "15", "y": "16"})
    assert [[obj.name for obj in world.informer.by_index("version", value)] for value in ("15", "16", "30", "2")] == [
        ["x"], ["y"], [], [],
    ]  # fmt: skip
    await world.end()


async def test_an_owner_that_could_not_be_told_is_told_when_it_heals(world):
    owner = Strict()
    world.informer.router.add(owner)
    watch = await world.begin()
    watch.send(owned("x", 11))
    await idle()
    owner.mended = True
    await world.list(owned("x", 11), version=20)
    assert (owner.told, world.held, [obj.name for obj in world.informer.list(owner="u")]) == (["x"], {"x": "11"}, ["x"])


async def test_a_TimeoutError_of_the_user_is_not_taken_for_a_deadline():
    calls = []

    def transform(body):
        calls.append(now())
        raise TimeoutError("of the user")

    world = World(transform=transform)
    await world.begin(added("x", 1))
    assert (world.informer.state, world.held, len(calls)) == ("synced", {"x": "1"}, 1)
    await world.end()
