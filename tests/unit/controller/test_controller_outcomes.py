"""What a controller does about outcomes: failures, denials, deletions, runs that take too long."""

import asyncio
import logging
import threading

import pytest

from scopedcache.controller.outcome import FORBIDDEN_REQUEUE_SECONDS
from scopedcache.controller.predicates import generation_changed
from scopedcache.controller.request import Result
from scopedcache.errors import ForbiddenError, TerminalError
from scopedcache.metrics import RECONCILES, RECONCILES_OVERDUE
from tests.unit.controller.fake_cache import MEMCACHED, memcached
from tests.unit.controller.reconciling import DENIED, Reconciler, running

# -- outcomes ------------------------------------------------------------------------------------------------------


async def test_a_failure_is_retried_with_growing_pauses_and_logged_once_each(cache, caplog, counters):
    cache.put(memcached("m"))
    reconciler = Reconciler(ValueError("one"), ValueError("two"), None)
    async with running(cache, reconciler, counters=counters):
        pass

    assert [round(b - a, 4) for (a, _), (b, _) in zip(reconciler.runs, reconciler.runs[1:], strict=False)] == [
        0.005,
        0.01,
    ]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(record.message, record.__dict__["key"], record.__dict__["error"]) for record in errors] == [
        ("reconcile.failed", "a/m", "one"),
        ("reconcile.failed", "a/m", "two"),
    ]
    assert counters.value(RECONCILES, controller="memcached", result="error") == 2
    assert counters.value(RECONCILES, controller="memcached", result="success") == 1


async def test_requeue_after_runs_again_at_that_time(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(Result(requeue_after=60), None)
    async with running(cache, reconciler):
        await asyncio.sleep(600)

    assert reconciler.pauses == pytest.approx([60])


async def test_a_terminal_error_is_not_retried_until_something_changes(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(TerminalError("hopeless"), None)
    async with running(cache, reconciler):
        await asyncio.sleep(3600)
        assert len(reconciler.runs) == 1
        cache.put(memcached("m", generation=2))
        await asyncio.sleep(1)

    assert len(reconciler.runs) == 2


async def test_a_run_past_its_deadline_is_ended_counted_and_retried(cache, counters, caplog):
    cache.put(memcached("m"))
    reconciler = Reconciler(takes=45)
    async with running(cache, reconciler, counters=counters, deadline=30):
        await asyncio.sleep(35)

    assert reconciler.pauses == pytest.approx([30.005])
    assert counters.value(RECONCILES, result="timeout") == counters.value(RECONCILES_OVERDUE) == 1
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["reconcile.timeout"]


async def test_a_denied_owner_is_told_and_waits_for_the_grant(cache, counters):
    cache.put(memcached("m"))
    reconciler = Reconciler(DENIED, None)
    async with running(cache, reconciler, counters=counters, predicates=[generation_changed()]):
        await asyncio.sleep(300)
        assert len(reconciler.runs) == 1
        (condition,) = cache.client.objects[("Memcached", "a", "m")]["status"]["conditions"]
        assert (condition["status"], condition["message"]) == (
            "False",
            "may not create deployments.apps in namespace a",
        )
        cache.publish("granted")
        await asyncio.sleep(1)

    (condition,) = cache.client.objects[("Memcached", "a", "m")]["status"]["conditions"]
    assert [awaited[1:] for awaited in cache.awaited] == [("create", "deployments.apps", "a")]
    assert (len(reconciler.runs), condition["status"]) == (2, "True")
    assert counters.value(RECONCILES, controller="memcached", result="forbidden") == 1


async def test_a_denied_owner_is_tried_again_after_ten_minutes_as_a_net(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(DENIED)
    async with running(cache, reconciler, predicates=[generation_changed()]):
        await asyncio.sleep(3600)

    assert 4 <= len(reconciler.pauses) <= 6
    assert all(FORBIDDEN_REQUEUE_SECONDS <= pause <= 1.1 * FORBIDDEN_REQUEUE_SECONDS for pause in reconciler.pauses)


async def test_an_admission_refusal_is_retried_like_any_failure(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(ForbiddenError("exceeded quota", by="admission"), None)
    async with running(cache, reconciler):
        pass

    assert len(reconciler.runs) == 2
    assert "status" not in cache.client.objects[("Memcached", "a", "m")]


async def test_an_author_may_handle_denials(cache):
    cache.put(memcached("m"))
    told = []
    async with running(cache, Reconciler(DENIED), on_forbidden=lambda owner, error: told.append((owner.name, error))):
        pass

    assert told == [("m", DENIED)]


# -- while the kind itself may not be seen --------------------------------------------------------------------------


async def test_while_its_kind_is_denied_keys_wait_and_run_after_the_grant(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler) as controller:
        reconciler.runs.clear()
        cache.handle(MEMCACHED).deny()
        cache.publish("child")
        await asyncio.sleep(600)
        assert (reconciler.runs, controller.ready) == ([], False)
        assert "may not list" in controller.state()["informers"][0]["denied"]
        cache.handle(MEMCACHED).grant()
        await asyncio.sleep(1)
        assert controller.ready

    assert reconciler.keys == ["a/m"]


async def test_a_kind_denied_from_the_start_heals_too(cache):
    cache.withheld.add(("Memcached", None))
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler):
        cache.handle(MEMCACHED).deny()
        await asyncio.sleep(600)
        assert reconciler.runs == []
        cache.handle(MEMCACHED).grant()
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


async def test_a_namespace_that_is_denied_delays_no_other(cache):
    for namespace in "ab":
        cache.put(memcached("m", namespace))
    reconciler = Reconciler()
    async with running(cache, reconciler, namespaces=["a", "b"]):
        reconciler.runs.clear()
        cache.handle(MEMCACHED, "a").deny()
        for namespace in "ab":
            cache.publish("child", namespace=namespace)
        await asyncio.sleep(1)

    assert reconciler.keys == ["b/m"]


# -- deletion ------------------------------------------------------------------------------------------------------


async def test_a_deleted_object_is_reconciled_once_as_gone_then_closed_and_never_again(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(Result(requeue_after=5))
    async with running(cache, reconciler):
        reconciler.runs.clear()
        cache.remove(memcached("m"))
        await asyncio.sleep(0)
        assert cache.closed == []
        await asyncio.sleep(1)
        cache.publish("child")
        await asyncio.sleep(3600)

    assert (reconciler.keys, cache.closed) == (["a/m"], ["uid-m"])


async def test_a_deletion_during_a_run_gets_a_run_of_its_own(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(takes=10)
    async with running(cache, reconciler):
        cache.remove(memcached("m"))
        await asyncio.sleep(60)

    assert (len(reconciler.runs), cache.closed) == (2, ["uid-m"])


async def test_a_clean_up_that_fails_is_retried_although_the_object_is_gone(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(None, ValueError("cleaning up"), None)
    async with running(cache, reconciler):
        cache.remove(memcached("m"))
        await asyncio.sleep(60)

    assert (len(reconciler.runs), cache.closed) == (3, ["uid-m"])


async def test_of_an_object_recreated_at_once_the_old_ones_scopes_are_closed(cache):
    cache.put(memcached("m", uid="old"))
    reconciler = Reconciler()
    async with running(cache, reconciler):
        cache.remove(memcached("m", uid="old"))
        cache.put(memcached("m", uid="new"))
        await asyncio.sleep(60)

    assert (reconciler.keys, cache.closed) == (["a/m", "a/m"], ["old"])


async def test_the_back_off_of_a_deleted_object_is_forgotten(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler(*[ValueError("no")] * 12, None)
    async with running(cache, reconciler) as controller:
        cache.remove(memcached("m"))
        await asyncio.sleep(300)
        assert controller.state()["queue"] == {"ready": 0, "delayed": 0, "running": 0}


# -- threads -------------------------------------------------------------------------------------------------------


async def test_a_plain_function_past_its_deadline_keeps_its_key_until_it_returns(cache, caplog):
    cache.put(memcached("m"))
    release, second, runs = threading.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def reconcile(request):
        runs.append(request.name)
        release.wait(10)
        if len(runs) == 2:
            loop.call_soon_threadsafe(second.set)

    async with running(cache, reconcile, deadline=5, workers=2) as controller:
        cache.publish("child")
        await asyncio.sleep(60)
        assert (runs, controller.state()["workers"]["busy"]) == (["m"], 1)
        release.set()
        await second.wait()

    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[0] == "reconcile.overdue"
