"""What a controller does about outcomes: failures, denials, deletions, runs that take too long."""

import asyncio
import logging
import threading

import pytest

from scopedcache.controller.outcome import FORBIDDEN_REQUEUE_SECONDS
from scopedcache.controller.request import Result
from scopedcache.controller.retry_limits import FailureBackoff
from scopedcache.errors import ForbiddenError, TerminalError
from scopedcache.event_logger import event_of
from scopedcache.metrics import RECONCILE_TIMEOUTS, RECONCILES
from scopedcache.predicates import generation_changed
from tests.unit.cluster import CONFIG_MAP, DEPLOYMENT, MEMCACHED
from tests.unit.controller.reconciling import DENIED, Reconciler, running

# -- outcomes ------------------------------------------------------------------------------------------------------


async def test_a_failure_is_retried_with_growing_pauses_and_logged_once_each(w, caplog, counters):
    w.memcached("m")
    reconciler = Reconciler(ValueError("one"), ValueError("two"), None)
    async with running(w, reconciler, counters=counters, backoff=FailureBackoff(jitter=0)):
        pass

    assert [round(b - a, 4) for (a, _), (b, _) in zip(reconciler.runs, reconciler.runs[1:], strict=False)] == [
        0.005,
        0.01,
    ]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(event_of(record), record.__dict__["key"], record.__dict__["error"]) for record in errors] == [
        ("reconcile.failed", "a/m", "one"),
        ("reconcile.failed", "a/m", "two"),
    ]
    assert counters.value(RECONCILES, controller="memcached", result="error") == 2
    assert counters.value(RECONCILES, controller="memcached", result="success") == 1


async def test_requeue_after_runs_again_at_that_time(w):
    w.memcached("m")
    reconciler = Reconciler(Result(requeue_after=60), None)
    async with running(w, reconciler):
        await asyncio.sleep(600)

    assert reconciler.pauses == pytest.approx([60])


async def test_a_terminal_error_is_not_retried_until_something_changes(w):
    w.memcached("m")
    reconciler = Reconciler(TerminalError("hopeless"), None)
    async with running(w, reconciler):
        await asyncio.sleep(3600)
        assert len(reconciler.runs) == 1
        w.memcached("m", size=2)
        await asyncio.sleep(1)

    assert len(reconciler.runs) == 2


async def test_a_run_past_its_deadline_is_ended_counted_and_retried(w, counters, caplog):
    w.memcached("m")
    reconciler = Reconciler(takes=45)
    async with running(w, reconciler, counters=counters, deadline=30, backoff=FailureBackoff(jitter=0)):
        await asyncio.sleep(35)

    assert reconciler.pauses == pytest.approx([30.005])
    assert counters.value(RECONCILES, result="timeout") == counters.value(RECONCILE_TIMEOUTS) == 1
    assert [event_of(record) for record in caplog.records if record.levelno == logging.ERROR] == ["reconcile.timeout"]


async def test_a_denied_owner_is_told_and_waits_for_the_grant(w, counters):
    w.memcached("m")
    reconciler = Reconciler(DENIED, None)
    async with running(w, reconciler, counters=counters, predicates=[generation_changed()]):
        await asyncio.sleep(300)
        assert len(reconciler.runs) == 1
        (condition,) = w.conditions()
        assert (condition["status"], condition["message"]) == (
            "False",
            "may not create deployments.apps in namespace a",
        )
        w.server.grant("a", CONFIG_MAP, DEPLOYMENT, verbs=["delete"])  # another right is no reason to try again
        await asyncio.sleep(w.cache.bound)
        assert len(reconciler.runs) == 1
        w.server.grant("a", DEPLOYMENT, verbs=["create"])
        await asyncio.sleep(w.cache.bound)

    (condition,) = w.conditions()
    assert (len(reconciler.runs), condition["status"]) == (2, "True")
    assert counters.value(RECONCILES, controller="memcached", result="forbidden") == 1


async def test_a_denied_owner_is_tried_again_after_ten_minutes_as_a_net(w):
    w.memcached("m")
    reconciler = Reconciler(DENIED)
    async with running(w, reconciler, predicates=[generation_changed()]):
        await asyncio.sleep(3600)

    assert 4 <= len(reconciler.pauses) <= 6
    assert all(FORBIDDEN_REQUEUE_SECONDS <= pause <= 1.1 * FORBIDDEN_REQUEUE_SECONDS for pause in reconciler.pauses)


async def test_an_admission_refusal_is_retried_like_any_failure(w):
    w.memcached("m")
    reconciler = Reconciler(ForbiddenError("exceeded quota", by="admission"), None)
    async with running(w, reconciler):
        pass

    assert len(reconciler.runs) == 2
    assert w.conditions() == []


async def test_an_author_may_handle_denials(w):
    w.memcached("m")
    told = []
    async with running(w, Reconciler(DENIED), on_forbidden=lambda owner, error: told.append((owner.name, error))):
        pass

    assert told == [("m", DENIED)]


# -- while the kind itself may not be seen --------------------------------------------------------------------------


async def test_while_its_kind_is_denied_keys_wait_and_run_after_the_grant(w):
    owner = w.memcached("m")
    reconciler = Reconciler()
    async with running(w, reconciler) as controller:
        await w.cache.open(owner, CONFIG_MAP)
        w.rights[MEMCACHED].revoke()
        await asyncio.sleep(w.cache.bound)
        reconciler.runs.clear()
        await w.tell(owner)
        await asyncio.sleep(600)
        assert (reconciler.runs, controller.ready) == ([], False)
        assert "may not list" in controller.state()["informers"][0]["denied"]
        w.rights[MEMCACHED].restore()
        await asyncio.sleep(w.cache.bound)
        assert controller.ready

    assert reconciler.keys == ["a/m"]


async def test_a_kind_denied_from_the_start_heals_too(w):
    w.memcached("m")
    w.rights[MEMCACHED].revoke()
    reconciler = Reconciler()
    async with running(w, reconciler):
        await asyncio.sleep(600)
        assert reconciler.runs == []
        w.rights[MEMCACHED].restore()
        await asyncio.sleep(w.cache.bound)

    assert reconciler.keys == ["a/m"]


async def test_a_namespace_that_is_denied_delays_no_other(w):
    owners = [w.memcached("m", namespace) for namespace in "ab"]
    w.rights[MEMCACHED].revoke()
    lost, _ = (w.server.grant(namespace, MEMCACHED) for namespace in "ab")
    reconciler = Reconciler()
    async with running(w, reconciler, namespaces=["a", "b"]):
        for owner in owners:
            await w.cache.open(owner, CONFIG_MAP)
        lost.revoke()
        await asyncio.sleep(w.cache.bound)
        reconciler.runs.clear()
        await w.tell(*owners)
        await asyncio.sleep(1)

    assert reconciler.keys == ["b/m"]


# -- deletion ------------------------------------------------------------------------------------------------------


async def test_a_deleted_object_is_reconciled_once_as_gone_then_closed_and_never_again(w):
    owner = w.memcached("m")
    reconciler = Reconciler(Result(requeue_after=5))
    async with running(w, reconciler):
        await w.cache.open(owner, CONFIG_MAP)
        reconciler.runs.clear()
        w.server.remove(MEMCACHED, "m", "a")
        await asyncio.sleep(1)
        await w.tell(owner)
        await asyncio.sleep(3600)

    assert (reconciler.keys, w.open_scopes) == (["a/m"], set())


async def test_a_deletion_during_a_run_gets_a_run_of_its_own(w):
    owner = w.memcached("m")
    reconciler = Reconciler(takes=10)
    async with running(w, reconciler):
        await w.cache.open(owner, CONFIG_MAP)
        w.server.remove(MEMCACHED, "m", "a")
        await asyncio.sleep(60)

    assert (len(reconciler.runs), w.open_scopes) == (2, set())


async def test_a_clean_up_that_fails_is_retried_although_the_object_is_gone(w):
    owner = w.memcached("m")
    reconciler = Reconciler(None, ValueError("cleaning up"), None)
    async with running(w, reconciler):
        await w.cache.open(owner, CONFIG_MAP)
        w.server.remove(MEMCACHED, "m", "a")
        await asyncio.sleep(60)

    assert (len(reconciler.runs), w.open_scopes) == (3, set())


async def test_of_an_object_recreated_at_once_the_old_ones_scopes_are_closed(w):
    old = w.memcached("m")
    reconciler = Reconciler()
    async with running(w, reconciler):
        await w.cache.open(old, CONFIG_MAP)
        w.server.remove(MEMCACHED, "m", "a")
        new = w.memcached("m")
        await w.cache.open(new, CONFIG_MAP)
        await asyncio.sleep(60)

        assert list(w.cache.namespaces["a"]) == [new.uid]
    assert (reconciler.keys, old.uid != new.uid) == (["a/m", "a/m"], True)


async def test_the_back_off_of_a_deleted_object_is_forgotten(w):
    w.memcached("m")
    reconciler = Reconciler(*[ValueError("no")] * 12, None)
    async with running(w, reconciler) as controller:
        w.server.remove(MEMCACHED, "m", "a")
        await asyncio.sleep(300)
        assert controller.state()["queue"] == {"ready": 0, "delayed": 0, "running": 0}


# -- threads -------------------------------------------------------------------------------------------------------


async def test_a_plain_function_past_its_deadline_keeps_its_key_until_it_returns(w, caplog):
    w.memcached("m")
    release, second, runs = threading.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def reconcile(request):
        runs.append(request.name)
        release.wait(10)
        if len(runs) == 2:
            loop.call_soon_threadsafe(second.set)

    async with running(w, reconcile, deadline=5, workers=2) as controller:
        w.memcached("m", size=2)
        await asyncio.sleep(60)
        assert (runs, controller.state()["workers"]["busy"]) == (["m"], 1)
        release.set()
        await second.wait()

    errors = [event_of(record) for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0] == "reconcile.overdue"
