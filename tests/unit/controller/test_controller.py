"""A controller from outside: what makes it run, where, how much at once, and its own life."""

import asyncio
import logging

import pytest

from scopedcache.controller.controller import Controller
from scopedcache.controller.mapping import Watch
from scopedcache.controller.predicates import by_name, generation_changed
from scopedcache.kinds import ObjectKey
from scopedcache.selectors import LabelSelector
from tests.unit.controller.fake_cache import MEMCACHED, NAMESPACE, POD, FakeCache, memcached, pod
from tests.unit.controller.reconciling import Reconciler, running

# -- what makes it run ---------------------------------------------------------------------------------------------


async def test_what_is_there_at_the_start_is_reconciled(cache):
    cache.put(memcached("m"))
    cache.put(memcached("n", "b"))
    reconciler = Reconciler()
    async with running(cache, reconciler):
        pass

    assert sorted(reconciler.keys) == ["a/m", "b/n"]


async def test_what_is_added_or_changed_is_reconciled(cache):
    reconciler = Reconciler()
    async with running(cache, reconciler):
        cache.put(memcached("m"))
        await asyncio.sleep(1)
        cache.put(memcached("m", generation=2))
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m", "a/m"]


async def test_changes_that_do_not_pass_the_predicates_are_not_reconciled(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler, predicates=[generation_changed(), ~by_name("ignored")]):
        cache.put(memcached("m", labels={"touched": "yes"}))
        cache.put(memcached("ignored"))
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


async def test_a_predicate_that_fails_lets_the_change_through(cache, caplog):
    def broken(change):
        raise ZeroDivisionError

    reconciler = Reconciler()
    async with running(cache, reconciler, predicates=[broken]):
        cache.put(memcached("m"))
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["predicate.failed"]


@pytest.mark.parametrize("cause", ["child", "denied", "granted"])
async def test_what_happens_to_an_owners_scope_reconciles_the_owner(cache, cause):
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler):
        cache.publish(cause)
        cache.publish(cause, kind=POD)
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m", "a/m"]


async def test_an_owned_object_reconciles_its_owner_and_so_does_losing_it(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler, owns=[POD]):
        reconciler.runs.clear()
        cache.put(pod(owner="m"))
        await asyncio.sleep(1)
        cache.put(pod(owner=None))
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m", "a/m"]


async def test_a_watch_reconciles_what_its_mapper_names(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler()
    watch = Watch(POD, lambda obj: [ObjectKey(obj.namespace, "m"), ObjectKey(obj.namespace, "nobody")])
    async with running(cache, reconciler, watches=[watch]):
        reconciler.runs.clear()
        cache.put(pod())
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


async def test_nothing_runs_before_every_informer_has_seen_what_is_there():
    cache = FakeCache(withheld=[("Pod", None)])
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler, owns=[POD]):
        assert reconciler.runs == []
        cache.handle(POD).sync()
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


# -- where ---------------------------------------------------------------------------------------------------------


async def test_only_the_namespaces_named_are_watched(cache):
    for namespace in "abc":
        cache.put(memcached("m", namespace))
    reconciler = Reconciler()
    async with running(cache, reconciler, namespaces=["a", "b"], owns=[POD]):
        cache.publish("child", namespace="c")
        await asyncio.sleep(1)
        assert sorted((handle.resource.gvk.kind, handle.namespace) for handle in cache.handles) == [
            ("Memcached", "a"),
            ("Memcached", "b"),
            ("Pod", "a"),
            ("Pod", "b"),
        ]

    assert sorted(reconciler.keys) == ["a/m", "b/m"]
    assert (cache.handles, cache.subscribers) == ([], [])


async def test_namespaces_chosen_by_label_come_and_go(cache):
    def namespace(name, team):
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": team}}}

    for name in "ab":
        cache.put(memcached("m", name))
    cache.put(namespace("a", "ours"))
    reconciler = Reconciler()
    async with running(cache, reconciler, namespaces=LabelSelector.parse("team=ours")):
        cache.put(namespace("b", "ours"))
        await asyncio.sleep(1)
        assert sorted(reconciler.keys) == ["a/m", "b/m"]
        cache.put(namespace("a", "theirs"))
        await asyncio.sleep(1)
        cache.put(memcached("m", "a", generation=2))
        cache.publish("child")
        await asyncio.sleep(1)
        assert sorted((handle.resource.gvk, handle.namespace) for handle in cache.handles if handle.namespace) == [
            (MEMCACHED, "b")
        ]
        assert cache.handle(NAMESPACE).synced

    assert sorted(reconciler.keys) == ["a/m", "b/m"]
    assert cache.closed == ["uid-m"]


# -- one run per key, and nobody waits for another ------------------------------------------------------------------


async def test_a_key_never_runs_twice_at_once(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(takes=10)
    async with running(cache, reconciler, workers=5):
        for _ in range(5):
            cache.publish("child")
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)

    assert (len(reconciler.runs), reconciler.most_at_once) == (2, 1)


async def test_as_many_keys_run_at_once_as_there_are_workers(cache):
    for number in range(5):
        cache.put(memcached(f"m{number}"))
    reconciler = Reconciler(takes=10)
    async with running(cache, reconciler, workers=3):
        await asyncio.sleep(60)

    assert (len(reconciler.runs), reconciler.most_at_once) == (5, 3)


async def test_what_changes_now_overtakes_what_was_there_at_the_start(cache):
    for number in range(5):
        cache.put(memcached(f"old{number}"))
    reconciler = Reconciler(takes=10)
    async with running(cache, reconciler):
        cache.put(memcached("new"))
        await asyncio.sleep(60)

    assert reconciler.keys[1] == "a/new"


# -- its own life --------------------------------------------------------------------------------------------------


async def test_nothing_is_left_behind_when_it_ends(cache):
    before = asyncio.all_tasks()
    cache.put(memcached("m"))
    async with running(cache, Reconciler(takes=3600), namespaces=["a"], owns=[POD]):
        pass

    assert (cache.handles, cache.subscribers, asyncio.all_tasks()) == ([], [], before)


async def test_a_controller_does_not_run_twice_at_the_same_time(cache):
    async with running(cache, Reconciler()) as controller:
        with pytest.raises(RuntimeError, match="runs already"):
            await controller.run(cache)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"workers": 0}, "workers="), ({"deadline": 0}, "deadline="), ({"namespaces": []}, "namespaces=")],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Controller(for_=MEMCACHED, reconcile=Reconciler(), **options)
