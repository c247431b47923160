"""A controller from outside: what makes it run, where, how much at once, and its own life."""

import asyncio
import logging

import pytest

from scopedcache.controller.controller import Controller
from scopedcache.controller.mapping import Watch
from scopedcache.event_logger import event_of
from scopedcache.kinds import ObjectKey
from scopedcache.predicates import by_name, generation_changed
from scopedcache.selectors import LabelSelector
from scopedcache.testing.virtual_time import idle
from tests.unit.cluster import CONFIG_MAP, MEMCACHED, POD
from tests.unit.controller.reconciling import Reconciler, running
from tests.unit.controller.world import NAMESPACE

# -- what makes it run ---------------------------------------------------------------------------------------------


async def test_what_is_there_at_the_start_is_reconciled(w):
    w.memcached("m")
    w.memcached("n", "b")
    reconciler = Reconciler()
    async with running(w, reconciler):
        pass

    assert sorted(reconciler.keys) == ["a/m", "b/n"]


async def test_what_is_added_or_changed_is_reconciled(w):
    reconciler = Reconciler()
    async with running(w, reconciler):
        w.memcached("m")
        await asyncio.sleep(1)
        w.memcached("m", size=2)
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m", "a/m"]


async def test_changes_that_do_not_pass_the_predicates_are_not_reconciled(w):
    w.memcached("m")
    reconciler = Reconciler()
    async with running(w, reconciler, predicates=[generation_changed(), ~by_name("ignored")]):
        w.server.put(MEMCACHED, "m", "a", labels={"touched": "yes"})
        w.memcached("ignored")
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


async def test_a_predicate_that_fails_lets_the_change_through(w, caplog):
    def broken(change):
        raise ZeroDivisionError

    reconciler = Reconciler()
    async with running(w, reconciler, predicates=[broken]):
        w.memcached("m")
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]
    assert [event_of(record) for record in caplog.records if record.levelno == logging.ERROR] == ["predicate.failed"]


@pytest.mark.parametrize("cause", ["child", "denied", "granted"])
async def test_what_happens_to_an_owners_scope_reconciles_the_owner(w, cause):
    mine, other = w.memcached("m"), w.pod("another-kind")
    told = []
    w.cache.subscribe(lambda change: told.append((change.cause, change.kind.kind)))
    reconciler = Reconciler()
    async with running(w, reconciler):
        for owner in (mine, other):
            await w.cache.open(owner, CONFIG_MAP)
        if cause == "granted":
            w.rights[CONFIG_MAP].revoke()
            await asyncio.sleep(w.cache.bound)
        for seen in (reconciler.runs, told):
            seen.clear()
        match cause:
            case "child":
                await w.tell(mine, other)
            case "denied":
                w.rights[CONFIG_MAP].revoke()
            case "granted":
                w.rights[CONFIG_MAP].restore()
        await asyncio.sleep(w.cache.bound)

    assert sorted(told) == [(cause, "Memcached"), (cause, "Pod")]
    assert reconciler.keys == ["a/m"]


async def test_an_owned_object_reconciles_its_owner_and_so_does_losing_it(w):
    owner = w.memcached("m")
    reconciler = Reconciler()
    async with running(w, reconciler, owns=[POD]):
        reconciler.runs.clear()
        w.pod(owner=owner)
        await asyncio.sleep(1)
        w.pod(owner=None)
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m", "a/m"]


async def test_a_watch_reconciles_what_its_mapper_names(w):
    w.memcached("m")
    reconciler = Reconciler()
    watch = Watch(POD, lambda obj: [ObjectKey(obj.namespace, "m"), ObjectKey(obj.namespace, "nobody")])
    async with running(w, reconciler, watches=[watch]):
        reconciler.runs.clear()
        w.pod()
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


async def test_nothing_runs_before_every_informer_has_seen_what_is_there(w):
    w.server.trouble(POD, latency=5)
    w.memcached("m")
    reconciler = Reconciler()
    async with running(w, reconciler, owns=[POD]):
        await asyncio.sleep(3.9)
        assert reconciler.runs == []
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


# -- where ---------------------------------------------------------------------------------------------------------


async def test_only_the_namespaces_named_are_watched(w):
    owners = {namespace: w.memcached("m", namespace) for namespace in "abc"}
    reconciler = Reconciler()
    async with running(w, reconciler, namespaces=["a", "b"], owns=[POD]):
        await w.cache.open(owners["c"], CONFIG_MAP)
        await w.tell(owners["c"])
        assert w.watched == [(str(kind), place) for kind in (MEMCACHED, POD) for place in "ab"]
    await idle()

    assert sorted(reconciler.keys) == ["a/m", "b/m"]
    assert w.watched == []


async def test_namespaces_chosen_by_label_come_and_go(w):
    def give(name, team):
        w.server.put(NAMESPACE, name, labels={"team": team})

    mine, _ = (w.memcached("m", name) for name in "ab")
    give("a", "ours")
    reconciler = Reconciler()
    async with running(w, reconciler, namespaces=LabelSelector.parse("team=ours")):
        give("b", "ours")
        await asyncio.sleep(1)
        assert sorted(reconciler.keys) == ["a/m", "b/m"]
        await w.cache.open(mine, CONFIG_MAP)
        give("a", "theirs")
        await asyncio.sleep(1)
        assert w.open_scopes == set()
        await w.cache.open(mine, CONFIG_MAP)
        w.memcached("m", "a", size=2)
        await w.tell(mine)
        assert w.watched == [(str(MEMCACHED), "b"), (str(NAMESPACE), None)]

    assert sorted(reconciler.keys) == ["a/m", "b/m"]


# -- one run per key, and nobody waits for another ------------------------------------------------------------------


async def test_a_key_never_runs_twice_at_once(w):
    w.memcached("m")
    reconciler = Reconciler(takes=10)
    async with running(w, reconciler, workers=5):
        for number in range(5):
            w.memcached("m", size=2 + number)
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)

    assert (len(reconciler.runs), reconciler.most_at_once) == (2, 1)


async def test_as_many_keys_run_at_once_as_there_are_workers(w):
    for number in range(5):
        w.memcached(f"m{number}")
    reconciler = Reconciler(takes=10)
    async with running(w, reconciler, workers=3):
        await asyncio.sleep(60)

    assert (len(reconciler.runs), reconciler.most_at_once) == (5, 3)


async def test_what_changes_now_overtakes_what_was_there_at_the_start(w):
    for number in range(5):
        w.memcached(f"old{number}")
    reconciler = Reconciler(takes=10)
    async with running(w, reconciler):
        w.memcached("new")
        await asyncio.sleep(60)

    assert reconciler.keys[1] == "a/new"


# -- its own life --------------------------------------------------------------------------------------------------


async def test_nothing_is_left_behind_when_it_ends(w):
    before, handlers = asyncio.all_tasks(), w.cache.snapshot().handlers
    w.memcached("m")
    async with running(w, Reconciler(takes=3600), namespaces=["a"], owns=[POD]):
        pass
    await idle()

    assert (w.watched, w.cache.snapshot().handlers, asyncio.all_tasks()) == ([], handlers, before)


async def test_a_controller_does_not_run_twice_at_the_same_time(w):
    async with running(w, Reconciler()) as controller:
        with pytest.raises(RuntimeError, match="runs already"):
            await controller.run(w.cache)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"workers": 0}, "workers="), ({"deadline": 0}, "deadline="), ({"namespaces": []}, "namespaces=")],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Controller(for_=MEMCACHED, reconcile=Reconciler(), **options)
