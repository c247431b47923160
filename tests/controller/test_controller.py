"""A controller from outside: what makes it run, what does not, and what it does about the outcome."""

import asyncio
import itertools
import logging
import threading
from contextlib import asynccontextmanager

import pytest

from scopedcache.controller.controller import Controller
from scopedcache.controller.mapping import Watch
from scopedcache.controller.outcome import FORBIDDEN_REQUEUE
from scopedcache.controller.predicates import by_name, generation_changed
from scopedcache.controller.request import Result
from scopedcache.errors import ForbiddenError, TerminalError
from scopedcache.instrumentation import RECONCILES, RECONCILES_OVERDUE, Counters
from scopedcache.objects import ObjectKey
from scopedcache.selectors import LabelSelector
from tests.controller.fake_cache import MEMCACHED, NAMESPACE, POD, FakeCache, memcached, pod

DENIED = ForbiddenError(verb="create", resource="deployments.apps", namespace="a", by="authorizer")


class Reconciler:
    """Notes each run as (second, key). `answers` are returned, or raised, in turn; the last one stays."""

    def __init__(self, *answers, takes=0.0):
        self.answers = list(answers) or [None]
        self.takes = takes
        self.runs = []
        self.running = 0
        self.most_at_once = 0

    async def reconcile(self, request):
        self.runs.append((asyncio.get_running_loop().time(), str(request)))
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.running -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def keys(self):
        return [key for _, key in self.runs]

    @property
    def times(self):
        return [time for time, _ in self.runs]

    @property
    def pauses(self):
        return [later - earlier for earlier, later in itertools.pairwise(self.times)]


@pytest.fixture
def cache():
    return FakeCache()


@pytest.fixture
def counters():
    return Counters()


@asynccontextmanager
async def running(cache, reconciler, *, counters=None, **options):
    controller = Controller(for_=MEMCACHED, reconcile=reconciler, **options)
    task = asyncio.create_task(controller.run(cache, instrumentation=counters or Counters()))
    await asyncio.sleep(1)
    yield controller
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


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
        cache.lease(POD).sync()
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
        assert sorted((lease.resource.gvk.kind, lease.namespace) for lease in cache.leases) == [
            ("Memcached", "a"),
            ("Memcached", "b"),
            ("Pod", "a"),
            ("Pod", "b"),
        ]

    assert sorted(reconciler.keys) == ["a/m", "b/m"]
    assert (cache.leases, cache.subscribers) == ([], [])


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
        assert sorted((lease.resource.gvk, lease.namespace) for lease in cache.leases if lease.namespace) == [
            (MEMCACHED, "b")
        ]
        assert cache.lease(NAMESPACE).synced

    assert sorted(reconciler.keys) == ["a/m", "b/m"]
    assert cache.closed == ["uid-m"]


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
    assert all(FORBIDDEN_REQUEUE <= pause <= 1.1 * FORBIDDEN_REQUEUE for pause in reconciler.pauses)


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


# -- while the kind itself may not be seen --------------------------------------------------------------------------


async def test_while_its_kind_is_denied_keys_wait_and_run_after_the_grant(cache):
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler) as controller:
        reconciler.runs.clear()
        cache.lease(MEMCACHED).deny()
        cache.publish("child")
        await asyncio.sleep(600)
        assert (reconciler.runs, controller.ready) == ([], False)
        assert "may not list" in controller.state()["informers"][0]["denied"]
        cache.lease(MEMCACHED).grant()
        await asyncio.sleep(1)
        assert controller.ready

    assert reconciler.keys == ["a/m"]


async def test_a_kind_denied_from_the_start_heals_too(cache):
    cache.withheld.add(("Memcached", None))
    cache.put(memcached("m"))
    reconciler = Reconciler()
    async with running(cache, reconciler):
        cache.lease(MEMCACHED).deny()
        await asyncio.sleep(600)
        assert reconciler.runs == []
        cache.lease(MEMCACHED).grant()
        await asyncio.sleep(1)

    assert reconciler.keys == ["a/m"]


async def test_a_namespace_that_is_denied_delays_no_other(cache):
    for namespace in "ab":
        cache.put(memcached("m", namespace))
    reconciler = Reconciler()
    async with running(cache, reconciler, namespaces=["a", "b"]):
        reconciler.runs.clear()
        cache.lease(MEMCACHED, "a").deny()
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


# -- its own life --------------------------------------------------------------------------------------------------


async def test_nothing_is_left_behind_when_it_ends(cache):
    before = asyncio.all_tasks()
    cache.put(memcached("m"))
    async with running(cache, Reconciler(takes=3600), namespaces=["a"], owns=[POD]):
        pass

    assert (cache.leases, cache.subscribers, asyncio.all_tasks()) == ([], [], before)


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
