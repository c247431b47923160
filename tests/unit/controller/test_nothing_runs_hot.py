"""Whatever a reconciler meets and says, nobody is woken by what this library says of it, and nothing runs hot."""

import asyncio
import itertools
import logging

import pytest

import scopedcache.sync
from scopedcache import Need, Watch
from scopedcache.controller import Controller, FailureBackoff, Predicate, by_name
from scopedcache.controller.reconcile_run import CURRENT_RUN
from scopedcache.errors import ConflictError
from scopedcache.event_logger import event_of
from scopedcache.kinds import GVK, ObjectKey
from scopedcache.kit import patch_status, set_condition
from tests.unit.cluster import CONFIG_MAP, DEPLOYMENT, MEMCACHED, POD, manifest
from tests.unit.controller.reconciling import DENIED, Reconciler, running

EVENT = GVK("events.k8s.io", "v1", "Event")


def now():
    return asyncio.get_running_loop().time()


def denied_creates(w, *, also=None):
    """Return a reconciler that is refused another Deployment each time, and its runs."""
    runs, numbers = [], itertools.count()

    async def reconcile(request):
        runs.append(now())
        await asyncio.sleep(0.02)  # what a server takes
        if also is not None:
            await also(request)
        await w.client.create(manifest(DEPLOYMENT, f"run-{next(numbers)}", "a"))

    return reconcile, runs


def said(caplog, event):
    return [record for record in caplog.records if event_of(record) == event]


# -- reports -------------------------------------------------------------------------------------------------------


async def test_a_denial_whose_words_change_each_time_wakes_nobody(w):
    w.memcached("m")
    reconcile, runs = denied_creates(w)
    async with running(w, reconcile):
        await asyncio.sleep(120)

    assert len(runs) == 1
    assert [condition["type"] for condition in w.conditions()] == ["Permitted"]


@pytest.mark.parametrize("says", ["other words each time", "the same words", "Permitted, in its own words", "all anew"])
async def test_a_denied_owner_costs_few_runs_whatever_its_reconciler_says_of_it(w, says):
    async def say(request):
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        kind = "Permitted" if says.startswith("Permitted") else "Ready"
        words = f"{now()}" if says == "other words each time" else "waits for its admin"
        before = None if says == "all anew" else owner.at("status", "conditions")
        await patch_status(w.client, owner, {"conditions": set_condition(before, kind, False, "Waiting", words)})

    w.memcached("m")
    reconcile, runs = denied_creates(w, also=say)
    async with running(w, reconcile):
        await asyncio.sleep(59)
        first = len(runs)
        await asyncio.sleep(60)

    assert first < 20
    assert len(runs) - first < 20


async def test_what_a_reconciler_says_in_our_condition_stands(w):
    async def say(request):
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        conditions = set_condition(owner.at("status", "conditions"), "Permitted", False, "Ask", "ask Ann for the role")
        await patch_status(w.client, owner, {"conditions": conditions})

    w.memcached("m")
    reconcile, _ = denied_creates(w, also=say)
    async with running(w, reconcile):
        await asyncio.sleep(30)

    assert [(found["reason"], found["message"]) for found in w.conditions()] == [("Ask", "ask Ann for the role")]
    assert {event["reason"] for event in w.server.embedded.list("events.events.k8s.io", "a")} == {"Forbidden"}


async def test_twenty_refused_writes_cost_twenty_requests_twenty_reviews_and_twenty_reports(w):
    async def reconcile(request):
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        owner["spec"]["touched"] = True
        await w.client.update(owner)

    for number in range(20):
        w.memcached(f"m{number}")
    w.rights[MEMCACHED].revoke()
    w.server.embedded.grant(w.server.operator, ["get", "list", "watch"], [str(MEMCACHED)])
    async with running(w, reconcile, workers=4):
        await asyncio.sleep(120)

    sent = [one.verb for one in w.server.asked() if one.resource.startswith(str(MEMCACHED))]
    reviews = [one for one in w.server.asked() if one.resource.startswith("selfsubjectaccessreviews")]
    assert (sent.count("update"), sent.count("patch")) == (20, 20)
    assert len(reviews) <= 20 + 40  # one for each refusal; the rest confirm what is waited for


async def test_a_refused_status_is_not_reported_in_the_status(w):
    async def reconcile(request):
        await patch_status(w.client, w.cache.cluster.get(MEMCACHED, request.key), {"state": "done"})

    w.memcached("m")
    w.server.trouble(f"{MEMCACHED}/status", code=403)
    w.server.trouble("selfsubjectaccessreviews.authorization.k8s.io", code=503)
    async with running(w, reconcile):
        pass

    status_patches = [one for one in w.server.asked() if one.resource == f"{MEMCACHED}/status"]
    assert len(status_patches) <= 4


async def test_what_somebody_else_changes_under_a_report_is_heard(w):
    w.memcached("m")
    reconciler = Reconciler(DENIED)
    slow = w.server.trouble(f"{MEMCACHED}/status", latency=2)
    async with running(w, reconciler):
        w.memcached("m", size=2)  # the report of the first run is under way, and will meet a conflict
        await asyncio.sleep(10)
        slow.over()

    assert len(reconciler.runs) == 2


async def test_a_controller_that_watches_events_is_not_woken_by_those_about_denials(w):
    taken = {"type": "Permitted", "status": "False", "reason": "Ask", "message": "ask Ann"}  # so an Event tells of it
    w.server.write({**manifest(MEMCACHED, "m", "a"), "status": {"conditions": [taken]}})
    reconciler = Reconciler(DENIED)
    watch = Watch(EVENT, lambda event: [ObjectKey("a", "m")])
    async with running(w, reconciler, watches=[watch]):
        await asyncio.sleep(60)
        assert len(w.server.embedded.list("events.events.k8s.io", "a")) == 1
        assert len(reconciler.runs) == 1


# -- retries -------------------------------------------------------------------------------------------------------


async def test_keys_that_fail_together_are_tried_again_one_after_the_other(w):
    for number in range(50):
        w.memcached(f"m{number}")
    reconciler = Reconciler(ValueError("down"))
    async with running(w, reconciler, workers=50, retries_per_second=10):
        await asyncio.sleep(59)

    assert 50 + 10 + 500 <= len(reconciler.runs) <= 50 + 10 + 600
    assert len({time for time in reconciler.times if time > 10}) > 400


async def test_events_during_an_outage_do_not_make_the_pause_after_it_longer(w):
    w.memcached("m")
    reconciler = Reconciler(ValueError("down"))
    async with running(w, reconciler, backoff=FailureBackoff(jitter=0)):
        for size in range(2, 40):
            w.memcached("m", size=size)
            await asyncio.sleep(0.05)
        over = now()
        reconciler.answers = [None]
        await asyncio.sleep(60)

    assert reconciler.times[-1] - over < 3


def test_a_limit_that_makes_no_sense_is_told_at_once():
    with pytest.raises(ValueError, match="retries_per_second= is above zero"):
        Controller(for_=MEMCACHED.gvk, reconcile=Reconciler(), retries_per_second=0)


async def test_a_reconciler_that_says_of_each_failure_that_it_failed_serves_its_pauses(w):
    async def reconcile(request):
        runs.append(now())
        await asyncio.sleep(0.01)
        await patch_status(w.client, w.cache.cluster.get(MEMCACHED, request.key), {"failures": len(runs)})
        raise ValueError("down")

    runs: list[float] = []
    w.memcached("m")
    async with running(w, reconcile):
        await asyncio.sleep(59)

    assert len(runs) < 20


# -- what is said --------------------------------------------------------------------------------------------------


async def test_a_reconciler_that_wakes_itself_is_told_once(w, caplog):
    async def reconcile(request):
        runs.append(request)
        await asyncio.sleep(0.01)
        await patch_status(w.client, w.cache.cluster.get(MEMCACHED, request.key), {"runs": len(runs)})

    runs: list[object] = []
    w.memcached("m")
    async with running(w, reconcile):
        pass

    assert [vars(record)["key"] for record in said(caplog, "reconcile.wakes_itself")] == ["a/m"]


async def test_a_plain_def_that_wakes_itself_is_told_too(w, caplog):
    enough, runs = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def reconcile(request):
        runs.append(request)
        cache = scopedcache.sync.of(w.cache)
        if len(runs) < 30:
            patch = {"status": {"runs": len(runs)}}
            cache.client.patch(MEMCACHED, request.key, patch, subresource="status")
        else:
            loop.call_soon_threadsafe(enough.set)

    w.memcached("m")
    async with running(w, reconcile):
        await enough.wait()

    assert len(said(caplog, "reconcile.wakes_itself")) == 1


async def test_a_reconciler_that_writes_its_children_anew_is_told_too(w, caplog):
    async def reconcile(request):
        runs.append(request)
        await asyncio.sleep(0.01)
        scope = await w.cache.open(w.cache.cluster.get(MEMCACHED, request.key), CONFIG_MAP)
        child = scope.get(CONFIG_MAP, "child")
        await w.client.patch(CONFIG_MAP, child.key, {"data": {"run": str(len(runs))}})

    runs: list[object] = []
    owner = w.memcached("m")
    w.server.put(CONFIG_MAP, "child", "a", owner=owner)
    async with running(w, reconcile):
        pass

    assert len(said(caplog, "reconcile.wakes_itself")) == 1


async def test_a_reconciler_that_comes_to_rest_is_not_suspected(w, caplog):
    async def reconcile(request):
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        await patch_status(w.client, owner, {"size": owner.at("spec", "size")})

    async with running(w, reconcile):
        for size in range(1, 40):
            w.memcached("m", size=size)
            await asyncio.sleep(0.5)

    assert said(caplog, "reconcile.wakes_itself") == []


async def test_a_trouble_is_said_once_and_so_is_its_end(w, caplog):
    caplog.set_level(logging.INFO)
    w.memcached("m")
    reconciler = Reconciler(*[KeyError("replicas")] * 5, None)
    async with running(w, reconciler):
        pass

    told = [
        (record.levelname, event_of(record)) for record in caplog.records if event_of(record).startswith("reconcile.")
    ]
    assert told == [("ERROR", "reconcile.failed"), ("INFO", "reconcile.recovered")]


async def test_a_lost_race_is_not_said(w, caplog):
    caplog.set_level(logging.INFO)
    w.memcached("m")
    async with running(w, Reconciler(ConflictError("409"), None)):
        pass

    assert [event_of(record) for record in caplog.records if event_of(record).startswith("reconcile.")] == []


async def test_each_run_has_an_id_that_its_lines_carry(w, caplog):
    caplog.set_level(logging.DEBUG, "scopedcache.controller")
    ids = []

    async def reconcile(request):
        await asyncio.gather(note(), note())

    async def note():
        run = CURRENT_RUN.get()
        ids.append("none" if run is None else run.id)

    w.memcached("m")
    w.memcached("n")
    async with running(w, reconcile):
        pass

    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert ids[0] != ids[2]
    assert [vars(record)["reconcile"] for record in said(caplog, "reconcile.done")] == [ids[0], ids[2]]
    assert "none" not in ids


# -- by hand, and less often ---------------------------------------------------------------------------------------


async def test_a_key_may_be_enqueued_by_hand(w):
    w.memcached("m")
    reconciler = Reconciler()
    async with running(w, reconciler) as controller:
        controller.enqueue(ObjectKey("a", "m"))
        controller.enqueue(ObjectKey("a", "nobody"))
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m", "a/m"]
    with pytest.raises(RuntimeError, match="does not run"):
        controller.enqueue(ObjectKey("a", "m"))


@pytest.mark.parametrize("how", ["owns", "a need"])
async def test_changes_that_no_predicate_passes_are_nobodys_business(w, how):
    owner = w.memcached("m")
    wanted = Need(CONFIG_MAP, predicates=[by_name("important")])
    runs = []

    async def reconcile(request):
        runs.append(request)
        if how == "a need":
            scope = await w.cache.open(w.cache.cluster.get(MEMCACHED, request.key), wanted)
            runs.extend(sorted(child.name for child in scope.list(CONFIG_MAP)))

    async with running(w, reconcile, owns=[wanted] if how == "owns" else []):
        runs.clear()
        for number in range(10):
            w.server.put(CONFIG_MAP, "noise", "a", owner=owner, labels={"n": str(number)})
            await asyncio.sleep(0.1)
        assert runs == []
        w.server.put(CONFIG_MAP, "important", "a", owner=owner)
        await asyncio.sleep(1)

    shown = ["important", "noise"] if how == "a need" else []
    assert [str(run) for run in runs] == ["a/m", *shown]


async def test_a_predicate_that_fails_lets_the_change_through(w, caplog):
    owner = w.memcached("m")
    need = Need(CONFIG_MAP, predicates=[Predicate(lambda change: change.object["no such field"], "broken")])
    reconciler = Reconciler()
    async with running(w, reconciler):
        await w.cache.open(owner, need)
        reconciler.runs.clear()
        w.server.put(CONFIG_MAP, "x", "a", owner=owner)
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]
    assert [record.levelname for record in said(caplog, "predicate.failed")] == ["ERROR"]


async def test_opening_again_with_the_same_predicates_changes_nothing(w):
    owner = w.memcached("m")
    for _ in range(3):
        await w.cache.open(owner, Need(POD, predicates=[by_name("x") | by_name("y")]))

    assert w.cache.snapshot().routes == 1
    assert Need(POD, predicates=[by_name("x")]) == Need(POD, predicates=[by_name("x")])
    assert Need(POD, predicates=[by_name("x")]) != Need(POD, predicates=[by_name("y")])
