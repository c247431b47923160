"""Work over many objects is done in steps, and what changes between two steps is right all the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedcache import EventHandler
from scopedcache.containment import NAMED_OBJECTS
from scopedcache.errors import CacheError, NotSyncedError
from scopedcache.event_logger import event_of
from scopedcache.informer.backlog import FEW_OBJECTS, Backlog
from scopedcache.informer.indexed_store import IndexedStore
from scopedcache.informer.missed_deletes import MissedDeletes
from scopedcache.informer.store import Store
from tests.unit.clock import idle
from tests.unit.informer.events import PODS, added, entry

MANY = 2 * FEW_OBJECTS


class Listener:
    """What a handler was told, and what it believes to be there."""

    def __init__(self):
        self.there = {}
        self.initial = 0
        self.wrong = []

    def handle(self, delta, initial):
        self.initial += initial
        key = (delta.new or delta.old).metadata.name
        known = self.there.get(key)
        before = delta.old.metadata.resource_version if delta.old is not None else None
        if known != before:
            self.wrong.append((key, known, before))
        if delta.new is None:
            self.there.pop(key, None)
        else:
            self.there[key] = delta.new.metadata.resource_version

    def close(self):
        pass


def filled(count=MANY):
    """Return a store of many objects, whose backlog nobody works off but the test."""
    store = IndexedStore(PODS, namespace=None)
    store.backlog.on_work = lambda: None
    for number in range(count):
        store.put(entry(f"p{number}", number + 1, namespace=f"n{number % 3}", labels={"app": str(number % 5)}))
    store.allow_reads()
    return store


def shown(objects):
    return sorted(obj.name for obj in objects)


def test_few_objects_are_no_work():
    store = filled(10)
    heard = Listener()
    store.add_handler(heard)
    store.add_index("app", lambda obj: obj.labels["app"])

    assert (len(heard.there), len(store.by_index("app", "1")), bool(store.backlog)) == (10, 2, False)


def test_without_anybody_who_would_do_it_later_work_is_done_at_once():
    store = filled()
    store.backlog.on_work = None
    heard = Listener()
    store.add_handler(heard)

    assert len(heard.there) == MANY


changes = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "step", "step"]), st.integers(0, MANY + 3), st.sampled_from("1x")),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(changes)
def test_a_late_handler_an_index_and_a_search_are_right_whatever_changes_between_the_steps(steps):
    store = filled()
    heard, version = Listener(), 10 * MANY
    store.add_handler(heard)
    store.add_index("name", lambda obj: obj.labels.get("app"))
    work = None
    for what, number, label in steps:
        version += 1
        changed = entry(f"p{number}", version, namespace=f"n{number % 3}", labels={"app": label})
        if what == "put":
            store.put(changed)
        elif what == "remove":
            store.remove(changed)
        else:
            work = work or store.backlog.work()
            next(work, None)
        everything = {obj.name: obj for obj in store.list()}
        for wanted in ("1", "x"):
            found = [name for name, obj in everything.items() if obj.labels["app"] == wanted]
            assert shown(store.list(labels=f"app={wanted}")) == sorted(found)
        in_one = [name for name, obj in everything.items() if obj.namespace == "n1"]
        assert shown(store.list(namespace="n1")) == sorted(in_one)
        with pytest.raises(NotSyncedError):
            store.by_index("name", "1")
    for _ in work or ():
        pass
    for _ in store.backlog.work():
        pass

    assert heard.wrong == []
    assert heard.there == {obj.name: obj.resource_version for obj in store.list()}
    assert shown(store.by_index("name", "1")) == shown(obj for obj in store.list() if obj.labels["app"] == "1")


def test_a_handler_that_is_removed_hears_nothing_more_of_what_was_there():
    store, heard = filled(), Listener()
    store.add_handler(heard)
    work = store.backlog.work()
    next(work)
    told = len(heard.there)
    store.remove_handler(heard)
    for _ in work:
        pass

    assert 0 < told == len(heard.there) < MANY


def test_an_index_whose_function_fails_for_some_objects_is_complete_without_them(caplog):
    store = filled()
    store.add_index("odd", lambda obj: str(1 // (obj.labels["app"] != "3")))
    for _ in store.backlog.work():
        pass

    assert len(store.by_index("odd", "1")) == MANY - len(store.list(labels="app=3"))
    named = [record.__dict__["object"] for record in caplog.records if event_of(record) == "index.failed"]
    assert (len(named), len(set(named))) == (NAMED_OBJECTS, NAMED_OBJECTS)


def test_closing_shows_nothing_at_once_and_buries_in_steps():
    store = filled()
    heard = Listener()
    store.add_handler(heard)
    store.list(labels="app=1")
    purged = store.close(CacheError("closed"))
    with pytest.raises(CacheError, match="closed"):
        store.list()
    before = dict(purged)
    for _ in store.backlog.work():
        pass

    assert (len(store), len(before), dict(purged) == before, heard.there) == (0, MANY, True, {})


def test_what_was_purged_is_missed_whether_it_is_buried_or_not():
    store = Store()
    for number in range(3):
        store.put(entry(f"p{number}", number + 1))
    purged = store.purge()
    next(purged.bury(), None)

    missed = [one.metadata.name for one in MissedDeletes(purged).take_missing({}) if one is not None]
    assert sorted(missed) == ["p0", "p1", "p2"]


def test_a_list_without_a_change_may_be_compared_in_steps():
    store = Store()
    listed = {(one.metadata.namespace, one.metadata.name): one for one in (entry(f"p{n}", n + 1) for n in range(1000))}
    first = list(store.replace(listed, "1000"))
    again = list(store.replace(listed, "1001"))

    assert (len([delta for delta in first if delta]), [delta for delta in again if delta]) == (1000, [])
    assert len(again) >= 3


def test_jobs_are_done_in_turn_and_one_that_comes_meanwhile_too():
    done = []
    backlog = Backlog()
    backlog.on_work = lambda: done.append("told")

    def job(name):
        done.append(name)
        yield
        if name == "one":
            backlog.add(job("three"), 10 * MANY)

    backlog.add(job("one"), MANY)
    backlog.add(job("two"), MANY)
    steps = len(list(backlog.work()))

    assert (done, steps, bool(backlog)) == (["told", "told", "one", "told", "two", "three"], 3, False)


async def test_an_informer_works_off_what_a_late_handler_waits_for(world):
    await world.begin(*(added(f"p{number}", number + 1) for number in range(MANY)), version=MANY + 1)
    world.heard.take()
    late = []
    world.informer.add_handler(EventHandler(on_add=lambda obj, initial: late.append((obj.name, initial))))
    at_once = len(late)
    await idle()

    assert (at_once, len(late), {initial for _, initial in late}) == (0, MANY, {True})
