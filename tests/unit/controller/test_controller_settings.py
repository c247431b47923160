"""What a controller is told to do besides: keys without objects, settling, pauses, selections, mappers in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import asynccontextmanager

import pytest

from scopedcache import Controller, LabelSelector, Manager, Object, ObjectKey, Watch
from scopedcache.testing import eventually
from scopedcache.testing.virtual_time import idle
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, DEPLOYMENT, MEMCACHED
from tests.unit.controller.reconciling import DENIED, Reconciler, running
from tests.unit.controller.world import NAMESPACE

CERTIFICATE = ObjectKey("a", "certificate")


def now():
    return asyncio.get_running_loop().time()


# -- always ----------------------------------------------------------------------------------------------------------


async def test_a_key_that_is_always_there_runs_at_the_start_and_for_what_is_mapped_to_it(w):
    reconciler = Reconciler()
    mapped = Watch(CONFIG_MAP, lambda obj: [CERTIFICATE, ObjectKey("a", "nobody")])
    async with running(w, reconciler, always=[CERTIFICATE], watches=[mapped]):
        assert reconciler.keys == ["a/certificate"]
        w.server.put(CONFIG_MAP, "c", "a")
        await idle()

    assert reconciler.keys == ["a/certificate", "a/certificate"]


async def test_it_goes_on_running_when_its_object_comes_and_goes(w):
    reconciler = Reconciler()
    async with running(w, reconciler, always=[CERTIFICATE]) as controller:
        w.memcached("certificate")
        await idle()
        w.server.remove(MEMCACHED, "certificate", "a")
        await idle()
        runs = len(reconciler.runs)
        controller.enqueue(CERTIFICATE)
        await idle()

    assert (runs, len(reconciler.runs)) == (3, 4)


async def test_it_is_retried_and_hears_of_its_grant_without_an_object(w):
    w.rights[CONFIG_MAP].revoke()
    reconciler = Reconciler(DENIED, None)
    async with running(w, reconciler, always=[CERTIFICATE]):
        await asyncio.sleep(30)
        before = len(reconciler.runs)
        w.server.grant("a", DEPLOYMENT, verbs=ALL_VERBS)
        await eventually(lambda: len(reconciler.runs) > before, within=10)

    assert before == 1


async def test_it_waits_until_its_place_can_be_seen(w):
    w.rights[MEMCACHED].revoke()
    reconciler = Reconciler()
    async with running(w, reconciler, always=[CERTIFICATE]):
        await asyncio.sleep(20)
        before = list(reconciler.keys)
        w.server.grant(None, MEMCACHED, verbs=ALL_VERBS)
        await eventually(lambda: reconciler.keys, within=10)

    assert (before, reconciler.keys) == ([], ["a/certificate"])


# -- settle ----------------------------------------------------------------------------------------------------------


async def test_fifty_changes_in_a_second_are_one_run(w):
    w.memcached("m")
    reconciler = Reconciler()
    mapped = Watch(CONFIG_MAP, lambda obj: [ObjectKey("a", "m")])
    async with running(w, reconciler, settle=1.0, at_most=5.0, watches=[mapped]):
        await asyncio.sleep(5)
        started, before = now(), len(reconciler.runs)
        for number in range(50):
            w.server.put(CONFIG_MAP, f"c{number}", "a")
            await asyncio.sleep(0.02)
        await asyncio.sleep(10)

    assert len(reconciler.runs) == before + 1
    assert reconciler.times[-1] - started == pytest.approx(1.98, abs=0.1)


async def test_what_never_settles_runs_all_the_same(w):
    w.memcached("m")
    reconciler = Reconciler()
    mapped = Watch(CONFIG_MAP, lambda obj: [ObjectKey("a", "m")])
    async with running(w, reconciler, settle=1.0, at_most=5.0, watches=[mapped]):
        await asyncio.sleep(5)
        before = len(reconciler.runs)
        for number in range(40):
            w.server.put(CONFIG_MAP, f"c{number}", "a")
            await asyncio.sleep(0.5)

    assert len(reconciler.runs) - before in (3, 4)


async def test_a_right_that_comes_back_does_not_wait(w):
    w.memcached("m")
    grant = w.server.grant("a", DEPLOYMENT)
    reconciler = Opening(w.cache)
    async with running(w, reconciler, settle=30.0):
        await eventually(lambda: reconciler.runs, within=40)
        grant.revoke()
        await eventually(lambda: len(reconciler.runs) == 2, within=10)
        w.server.grant("a", DEPLOYMENT)
        await eventually(lambda: len(reconciler.runs) == 3, within=10)


async def test_waiting_takes_no_worker(w):
    w.memcached("m")
    w.memcached("n")
    reconciler = Reconciler()
    async with running(w, reconciler, settle=5.0) as controller:
        assert controller.state()["workers"] == {"busy": 0, "of": 1}
        assert controller.state()["queue"]["delayed"] == 2


class Opening(Reconciler):
    """Opens Deployments."""

    def __init__(self, cache):
        super().__init__()
        self.cache = cache

    async def reconcile(self, request):
        await super().reconcile(request)
        owner = self.cache.cluster.get(MEMCACHED, request.key)
        await self.cache.open(owner, DEPLOYMENT)


# -- paused ----------------------------------------------------------------------------------------------------------


async def test_an_object_that_asks_for_it_is_let_alone_until_it_asks_no_longer(w, caplog):
    caplog.set_level(logging.INFO, logger="scopedcache.controller")
    w.memcached("m", annotations={"example.com/paused": "true"})
    w.memcached("n", annotations={"example.com/paused": "false"})
    reconciler = Reconciler()
    async with running(w, reconciler, paused="example.com/paused"):
        w.memcached("m", size=3, annotations={"example.com/paused": "true"})
        await idle()
        paused = list(reconciler.keys)
        w.memcached("m", size=3)
        await idle()

    assert (paused, reconciler.keys) == (["a/n"], ["a/n", "a/m"])
    said = [record.event for record in caplog.records if record.event in ("reconcile.paused", "reconcile.resumed")]
    assert said == ["reconcile.paused", "reconcile.resumed"]


# -- watches ---------------------------------------------------------------------------------------------------------


async def test_a_watch_of_one_name_asks_for_that_alone(w):
    w.rights[CONFIG_MAP].revoke()
    w.server.grant("a", CONFIG_MAP, names=["groups"])
    w.memcached("m")
    reconciler = Reconciler()
    mapped = Watch(CONFIG_MAP, lambda obj: [ObjectKey("a", "m")], namespace="a", name="groups")
    async with running(w, reconciler, watches=[mapped]):
        before = len(reconciler.runs)
        w.server.put(CONFIG_MAP, "other", "a")
        await idle()
        others = len(reconciler.runs)
        w.server.put(CONFIG_MAP, "groups", "a")
        await idle()

    assert (others - before, len(reconciler.runs) - others) == (0, 1)


async def test_a_watch_with_a_selector_hears_of_what_enters_and_leaves_it(w):
    w.memcached("m")
    reconciler = Reconciler()
    mapped = Watch(CONFIG_MAP, lambda obj: [ObjectKey("a", "m")], selector="rules=yes")
    async with running(w, reconciler, watches=[mapped]):
        before = len(reconciler.runs)
        counts = []
        for labels in ({"rules": "no"}, {"rules": "yes"}, {"rules": "no"}, {"rules": "never"}):
            w.server.put(CONFIG_MAP, "c", "a", labels=labels)
            await idle()
            counts.append(len(reconciler.runs) - before)

    assert counts == [0, 1, 2, 2]


async def test_mappers_are_called_only_when_the_primaries_can_be_read(w):
    w.memcached("m")
    w.server.put(CONFIG_MAP, "c", "a")
    late = w.server.trouble(MEMCACHED, verb="list", latency=10.0)
    w.server.trouble(MEMCACHED, verb="watch", latency=10.0)
    met: list[object] = []

    def mapper(obj: Object) -> Iterable[ObjectKey]:
        met.append([found.key for found in w.cache.cluster.list(MEMCACHED)])
        return ()

    async with running(w, Reconciler(), watches=[Watch(CONFIG_MAP, mapper)]):
        await asyncio.sleep(5)
        before = list(met)
        late.over()
        await asyncio.sleep(60)

    assert before == []
    assert met == [[ObjectKey("a", "m")]] * len(met) != []


async def test_mappers_are_not_called_while_the_primaries_are_denied_and_nothing_is_lost(w, caplog):
    w.rights[MEMCACHED].revoke()
    w.memcached("m")
    reconciler = Reconciler()

    def mapper(obj: Object) -> Iterable[ObjectKey]:
        return [found.key for found in w.cache.cluster.list(MEMCACHED)]

    async with running(w, reconciler, watches=[Watch(CONFIG_MAP, mapper)]):
        w.server.put(CONFIG_MAP, "c", "a")
        await asyncio.sleep(20)
        w.server.grant(None, MEMCACHED, verbs=ALL_VERBS)
        await eventually(lambda: reconciler.keys, within=10)

    assert reconciler.keys == ["a/m"]
    assert "mapper.failed" not in [record.event for record in caplog.records]


# -- selecting -------------------------------------------------------------------------------------------------------


def selectors(obj):
    return [label for label in (obj.annotations.get("first"), obj.annotations.get("second")) if label]


@asynccontextmanager
async def selecting(w, reconciler, selector_of=selectors):
    watch = Watch.selecting(NAMESPACE, selector_of)
    async with running(w, reconciler, watches=[watch]):
        await idle()
        reconciler.runs.clear()
        yield


async def test_a_namespace_concerns_whoever_selects_it_or_did_so(w):
    w.memcached("monitoring", annotations={"first": "team=monitoring"})
    w.memcached("both", annotations={"first": "team=monitoring", "second": "app=web"})
    w.memcached("nothing")
    reconciler = Reconciler()
    async with selecting(w, reconciler):
        runs = []
        for labels in ({"team": "monitoring"}, {"team": None, "app": "web"}, {"app": None}):
            w.server.put(NAMESPACE, "x", labels=labels)
            await idle()
            runs.append(sorted(reconciler.keys))
            reconciler.runs.clear()

    assert runs == [["a/both", "a/monitoring"], ["a/both", "a/monitoring"], ["a/both"]]


async def test_a_primary_that_selects_something_else_now_is_asked_again(w):
    w.memcached("m", annotations={"first": "team=one"})
    reconciler = Reconciler()
    async with selecting(w, reconciler):
        w.server.put(NAMESPACE, "x", labels={"team": "one"})
        await idle()
        w.memcached("m", annotations={"first": "team=two"})
        await idle()
        reconciler.runs.clear()
        w.server.put(NAMESPACE, "y", labels={"team": "one"})
        await idle()
        one = list(reconciler.keys)
        w.server.put(NAMESPACE, "z", labels={"team": "two"})
        await idle()

    assert (one, reconciler.keys) == ([], ["a/m"])


@pytest.mark.parametrize(
    "answer", ["team=x", {"team": "x"}, LabelSelector.parse("team=x"), ["team=x", {"app": "y"}], [{"team": "x"}]]
)
async def test_a_selection_may_be_said_in_each_way_that_labels_are(w, answer):
    w.memcached("m")
    reconciler = Reconciler()
    async with selecting(w, reconciler, lambda obj: answer):
        w.server.put(NAMESPACE, "x", labels={"team": "x"})
        await idle()

    assert reconciler.keys == ["a/m"]


async def test_one_odd_primary_selects_nothing_and_costs_the_others_nothing(w, caplog):
    w.memcached("odd", annotations={"first": "team in ("})
    w.memcached("m", annotations={"first": "team=x"})
    reconciler = Reconciler()
    async with selecting(w, reconciler):
        w.server.put(NAMESPACE, "x", labels={"team": "x"})
        await idle()

    assert reconciler.keys == ["a/m"]
    assert [record.event for record in caplog.records] == ["mapper.failed"]


# -- a manager's recorder ---------------------------------------------------------------------------------------------


async def test_a_manager_posts_what_its_recorder_is_given(w):
    owner = w.memcached("m")
    manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED, reconcile=Reconciler())], name="speaker")
    manager.recorder.record(owner, "Copied", "before it runs")
    stop = asyncio.Event()
    running_manager = asyncio.create_task(manager.run(stop))
    await asyncio.sleep(1)
    manager.recorder.record(owner, "Copied", "while it runs")
    await asyncio.sleep(1)
    stop.set()
    await running_manager

    events = w.server.embedded.list("events.events.k8s.io", "a")
    assert {event["note"] for event in events} == {"before it runs", "while it runs"}
    assert {event["reportingController"] for event in events} == {"speaker"}


# -- the primary by namespaces ---------------------------------------------------------------------------------------


async def test_with_namespaced_rights_a_reconciler_reads_its_primary_as_ever(w):
    w.rights[MEMCACHED].revoke()
    for place in ("a", "b"):
        w.server.grant(place, MEMCACHED, verbs=ALL_VERBS)
        w.memcached("m", place)
    w.memcached("m", "c")
    seen = []

    async def reconcile(request):
        seen.append(w.cache.cluster.get(MEMCACHED, request.key))

    async with running(w, reconcile, namespaces=["a", "b", "c"]):
        await asyncio.sleep(5)

    assert sorted(str(obj.key) for obj in seen) == ["a/m", "b/m"]
