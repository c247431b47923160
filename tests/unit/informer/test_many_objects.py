"""Work over everything that is held does not hold the loop: it is done in slices, and is right at every moment."""

import asyncio
import gc
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.errors import NotSyncedError, ScopedCacheError
from scopedcache.informer import EventHandler
from scopedcache.informer.delta import Delta
from scopedcache.informer.event_handlers import DirectHandler
from scopedcache.informer.late_handler import LateHandler
from scopedcache.informer.missed_deletes import MissedDeletes, PurgedKeys
from scopedcache.informer.sliced_work import STEPS_PER_LOOK, SlicedWork
from scopedcache.informer.store import Store
from scopedcache.kinds import GVK
from scopedcache.supervisor import Supervisor
from tests.unit.informer.events import added, deleted, entry, modified
from tests.unit.informer.world import World

POD = GVK("", "v1", "Pod")
MANY = 3000


def busily(obj, *_):
    """Take so long that no slice of a millisecond has room for many of it, and tell the name."""
    until = time.perf_counter() + 2e-5
    while time.perf_counter() < until:
        pass
    return obj.name


@pytest.fixture
async def full():
    made = World()
    await made.begin(*(added(f"x{number}", number + 1, labels={"n": str(number % 7)}) for number in range(MANY)))
    made.heard.take()
    yield made
    await made.end()


async def until(check):
    """Let the background go on until something holds."""
    for _ in range(100_000):
        if check():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never holds")


# -- slices ----------------------------------------------------------------------------------------------------------


def counting(number, taken):
    for one in range(number):
        taken.append(one)
        yield


async def test_little_work_is_done_at_once():
    work, taken = SlicedWork(), []
    work.run("little", counting(STEPS_PER_LOOK - 1, taken))
    assert (len(taken), len(work)) == (STEPS_PER_LOOK - 1, 0)


async def test_much_work_gives_the_loop_back_and_is_done_in_the_end():
    work, taken, others = SlicedWork(), [], []

    def slow():
        for _ in counting(2000, taken):
            time.sleep(2e-5)  # noqa: ASYNC251 - it is the work
            yield

    work.run("much", slow())
    assert 0 < len(taken) < 2000
    while len(work):
        others.append(len(taken))
        await asyncio.sleep(0)
    assert (taken, len(others) > 10) == (list(range(2000)), True)


async def test_closed_work_takes_no_further_step():
    work, taken = SlicedWork(), []

    def endless():
        for _ in counting(10**9, taken):
            yield

    work.run("endless", endless())
    work.close()
    before = len(taken)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (len(taken), len(work)) == (before, 0)


def test_without_a_loop_all_of_it_is_done_at_once():
    taken = []
    SlicedWork().run("much", counting(50_000, taken))
    assert len(taken) == 50_000


async def test_who_has_ended_gets_no_more_work():
    supervisor, work, taken = Supervisor("test"), SlicedWork(), []
    await supervisor.close()
    work.start_task = supervisor.start
    work.run("much", counting(10**9, taken))
    assert len(work) == 0


async def test_work_that_fails_is_reported(caplog):
    work = SlicedWork()

    def fails():
        yield from counting(10**5, [])
        raise RuntimeError("a bug of ours")

    work.run("failing", fails())
    await until(lambda: not len(work))
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", "task.failed")]


# -- a late handler --------------------------------------------------------------------------------------------------


async def test_a_late_handler_is_told_of_everything_without_holding_the_loop(full):
    told = []
    full.informer.add_handler(EventHandler(on_add=lambda obj, initial: told.append((busily(obj), initial))))
    assert len(told) < MANY
    await until(lambda: len(told) == MANY)
    assert told == [(f"x{number}", True) for number in range(MANY)]


async def test_what_changes_while_a_late_handler_is_told_is_told_in_its_place(full):
    told = []
    full.informer.add_handler(
        EventHandler(
            on_add=lambda obj, initial: told.append(("+", busily(obj), obj.resource_version)),
            on_update=lambda old, new: told.append(("~", new.name, new.resource_version)),
            on_delete=lambda obj, _: told.append(("-", obj.name, obj.resource_version)),
        )
    )
    last = f"x{MANY - 1}"
    next(iter(full.server.open)).send(
        modified(last, 9001), modified("x0", 9002), deleted(f"x{MANY - 2}", 9003), deleted("x1", 9004)
    )
    await until(lambda: len(told) >= MANY + 1)
    assert [one for one in told if one[1] in (last, "x0", f"x{MANY - 2}", "x1")] == [
        ("+", "x0", "1"), ("+", "x1", "2"), ("+", last, "9001"), ("~", "x0", "9002"), ("-", "x1", "9004"),
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["removed", "closed"])
async def test_a_late_handler_that_goes_hears_no_more(full, how):
    told = []
    remove = full.informer.add_handler(EventHandler(on_add=lambda obj, _: told.append(busily(obj))))
    before = len(told)
    remove() if how == "removed" else full.informer.close(ScopedCacheError("denied"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert (0 < before < MANY, len(told)) == (True, before)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "remove"])), max_size=12),
    st.lists(st.integers(0, 2), max_size=12),
    st.sets(st.sampled_from("abc")),
)
def test_whenever_a_late_handler_is_told_replaying_its_calls_gives_what_is_held(changes, steps, held):
    store, state = Store(), {}
    for name in sorted(held):
        store.put(entry(name, 1))

    def put(obj):
        state[obj.name] = obj.resource_version

    def add(obj, _):
        assert obj.name not in state
        put(obj)

    def update(old, new):
        assert state[old.name] == old.resource_version
        put(new)

    late = LateHandler(
        DirectHandler(EventHandler(add, update, lambda obj, _: state.pop(obj.name)), POD, timer=lambda: 0.0),
        store.entries,
    )
    telling = late.tell()
    for version, (name, change) in enumerate(changes, 2):
        for _ in range(steps[version - 2] if version - 2 < len(steps) else 0):
            next(telling, None)
        one = entry(name, version)
        delta = store.put(one) if change == "put" else store.remove(one)
        if delta is not None:
            late.handle(Delta(*delta[:2]), False)
    for _ in telling:
        pass
    assert state == {name: one.metadata.resource_version for (_, name), one in store.entries.items()}


# -- indexes ---------------------------------------------------------------------------------------------------------


async def test_a_new_index_over_much_is_made_in_the_background_and_says_so(full):
    full.informer.add_index("name", busily)
    with pytest.raises(NotSyncedError, match="the index 'name' of Pod is still being made"):
        full.informer.by_index("name", "x5")
    next(iter(full.server.open)).send(modified("x5", 9001), deleted("x6", 9002), added("new", 9003))
    found = {}

    def whole():
        try:
            found["x5"] = [obj.resource_version for obj in full.informer.by_index("name", "x5")]
        except NotSyncedError:
            return False
        return full.informer.resource_version == "9003"

    await until(whole)
    assert (found["x5"], full.informer.by_index("name", "x6")) == (["9001"], [])
    assert [obj.name for obj in full.informer.by_index("name", "new")] == ["new"]


async def test_a_list_by_a_new_label_is_right_at_once_and_at_every_moment_after(full):
    expected = {f"x{number}" for number in range(MANY) if number % 7 == 3}
    for _ in range(200):
        assert {obj.name for obj in full.informer.list(labels="n=3")} == expected
        await asyncio.sleep(0)


async def test_a_list_by_namespace_is_right_at_once_and_at_every_moment_after():
    world = World(namespace=None)
    await world.begin(*(added(f"x{number}", number + 1, namespace="ab"[number % 2]) for number in range(MANY)))
    for _ in range(100):
        assert len(world.informer.list(namespace="a")) == MANY / 2
        await asyncio.sleep(0)
    await world.end()


# -- lists and the end -----------------------------------------------------------------------------------------------


def test_a_list_without_a_change_is_gone_through_in_steps_and_frees_what_it_brought():
    store = Store()
    for number in range(MANY):
        store.put(entry(f"x{number}", number + 1))
    snapshot = {("a", f"x{number}"): entry(f"x{number}", number + 1) for number in range(MANY)}
    steps = list(store.replace(snapshot, "9000"))
    assert (set(steps), len(steps) > 50) == ({None}, True)
    assert all(snapshot[key] is store.entries[key] for key in snapshot)


async def test_an_end_with_much_held_is_one_step_and_the_memory_comes_back_in_slices(full):
    gone = weakref.ref(full.informer)
    purged_keys = full.informer.close(ScopedCacheError("denied"))
    with pytest.raises(ScopedCacheError, match="denied"):
        full.informer.list()
    assert (len(full.informer), len(purged_keys), purged_keys["a", "x7"]) == (0, MANY, "uid-x7")
    await until(lambda: not purged_keys._entries)
    assert (len(purged_keys), purged_keys["a", "x7"]) == (MANY, "uid-x7")
    await full.supervisor.close()
    full.informer = full.make()
    gc.collect()
    assert gone() is None


async def test_an_index_and_a_late_handler_under_way_end_with_their_informer(full):
    told = []
    full.informer.add_index("name", busily)
    full.informer.add_handler(EventHandler(on_add=lambda obj, _: told.append(busily(obj))))
    full.informer.close(ScopedCacheError("denied"))
    before = len(told)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(told) == before
    assert [task for task in asyncio.all_tasks() if "late handler" in task.get_name()] == []


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.data())
def test_whom_a_list_misses_is_the_same_however_much_of_the_purge_was_done(before, held, listed, data):
    missed = MissedDeletes({("a", name): f"uid-{name}" for name in before})
    purged_keys = missed.take_purged({("a", name): entry(name, 1) for name in held})
    releasing = purged_keys.release()
    for _ in range(data.draw(st.integers(0, 5))):
        next(releasing, None)
    assert dict(purged_keys) == {("a", name): f"uid-{name}" for name in before | held}
    assert bool(purged_keys) is bool(before | held)
    later = MissedDeletes(purged_keys)
    snapshot = {("a", name): entry(name, 2) for name in listed}
    missing = [one.metadata.name for one in later.take_missing(snapshot) if one is not None]
    assert sorted(missing) == sorted((before | held) - listed)
    assert not purged_keys


def test_a_purge_that_was_not_a_step_yet_can_be_compared():
    assert PurgedKeys({("a", "x"): "u"}) == {("a", "x"): "u"}
    assert PurgedKeys() == {}
