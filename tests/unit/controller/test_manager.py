"""The order in which an operator begins and ends."""

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from scopedcache import Need, ObjectKey, OwnerId
from scopedcache.controller.controller import Controller
from scopedcache.controller.manager.election_rules import LeaderElection
from scopedcache.controller.manager.health_server import plain
from scopedcache.controller.manager.manager import SHOWN_ENTRIES, Manager, Runnable
from scopedcache.controller.manager.stop_signals import stop_signals
from scopedcache.errors import ConfigurationError, ForbiddenError
from scopedcache.event_logger import event_of
from scopedcache.metrics import LEADING, Counters
from tests.unit.cluster import CONFIG_MAP, DEPLOYMENT, LEASE, MEMCACHED, NEVER_SECONDS, POD, manifest
from tests.unit.work import instructions

real = pytest.mark.asyncio(loop_factories=["real"])


class Diary:
    """Notes what happens, in order. `takes` is how long a reconcile lasts."""

    def __init__(self, takes=0.0):
        self.entries = []
        self.takes = takes

    async def reconcile(self, request):
        self.entries.append(f"begin {request.name}")
        try:
            await asyncio.sleep(self.takes)
        except asyncio.CancelledError:
            self.entries.append(f"cancel {request.name}")
            raise
        self.entries.append(f"end {request.name}")

    def runnable(self, name, *, leader_only=False, error=None):
        async def run():
            self.entries.append(f"start {name}")
            try:
                await asyncio.sleep(5 if error else 1e6)
                raise error
            finally:
                self.entries.append(f"stop {name}")

        return Runnable(run, leader_only=leader_only, name=name)


@pytest.fixture
def diary():
    return Diary()


def controller(diary, **options):
    return Controller(for_=MEMCACHED.gvk, reconcile=diary, **options)


def election(identity):
    return LeaderElection("lease", namespace="system", identity=identity)


@asynccontextmanager
async def running(manager, *, settle=1.0):
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    await asyncio.sleep(settle)
    yield stop
    stop.set()
    await task


async def test_it_reconciles_until_it_is_stopped_and_leaves_nothing_behind(w, diary):
    before = asyncio.all_tasks()
    w.memcached()
    async with running(Manager(w.cache, controllers=[controller(diary)])):
        pass

    assert diary.entries == ["begin m", "end m"]
    assert (w.watched, asyncio.all_tasks()) == ([], before)


async def test_a_run_under_way_may_end_and_nothing_new_begins(w):
    diary = Diary(takes=20)
    for name in "mn":
        w.memcached(name)
    async with running(Manager(w.cache, controllers=[controller(diary)])):
        pass

    assert diary.entries == ["begin m", "end m"]


async def test_a_run_that_outlasts_the_stop_timeout_is_cancelled(w):
    diary = Diary(takes=25)
    w.memcached()
    async with running(Manager(w.cache, controllers=[controller(diary)], stop_timeout=10)):
        pass

    assert diary.entries == ["begin m", "cancel m"]
    assert asyncio.get_running_loop().time() == pytest.approx(11, abs=0.1)


async def test_a_stop_says_what_it_waits_for(w, caplog):
    caplog.set_level("INFO")
    w.memcached()
    manager = Manager(
        w.cache, controllers=[controller(Diary(takes=5))], leader_election=election("me"), stop_timeout=10
    )
    async with running(manager):
        pass
    (said,) = [record for record in caplog.records if event_of(record) == "manager.stopping"]

    assert (said.reconciles, said.seconds_at_most, said.lease) == ({"memcached": 1}, 10, "lease")


async def test_by_default_it_ends_within_the_grace_period_of_a_pod(w):
    diary = Diary(takes=1e6)
    w.memcached()
    begun = asyncio.get_running_loop().time()
    async with running(Manager(w.cache, controllers=[controller(diary, deadline=1e9)], leader_election=election("me"))):
        w.server.trouble(LEASE, latency=NEVER_SECONDS)

    assert asyncio.get_running_loop().time() - begun - 1.0 < 30.0 - 5.0


async def test_its_own_cancellation_ends_it_at_once(w):
    diary = Diary(takes=25)
    w.memcached()
    task = asyncio.create_task(Manager(w.cache, controllers=[controller(diary)]).run())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])

    assert (task.cancelled(), diary.entries) == (True, ["begin m", "cancel m"])


async def test_failing_reconciles_do_not_end_it(w):
    async def reconcile(request):
        raise SystemExit(1)

    w.memcached()
    manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)])
    async with running(manager):
        await asyncio.sleep(3600)


@pytest.mark.parametrize("leader_only", [True, False])
@pytest.mark.parametrize("elected", [True, False])
async def test_a_runnable_that_fails_ends_everything_and_is_raised(w, diary, leader_only, elected):
    manager = Manager(
        w.cache,
        controllers=[controller(diary)],
        runnables=[diary.runnable("broken", leader_only=leader_only, error=KeyError("x")), diary.runnable("other")],
        leader_election=election("me") if elected else None,
    )
    with pytest.raises(KeyError):
        await manager.run()

    assert sorted(diary.entries) == ["start broken", "start other", "stop broken", "stop other"]
    assert w.watched == []


async def test_a_runnable_that_ends_well_ends_nothing_else(w, diary):
    async def once():
        diary.entries.append("once")

    async with running(Manager(w.cache, runnables=[once], controllers=[controller(diary)])):
        w.memcached()
        await asyncio.sleep(1)

    assert diary.entries == ["once", "begin m", "end m"]


async def test_one_controllers_trouble_delays_no_other(w, diary):
    w.memcached()
    w.rights[POD].revoke()
    w.server.trouble(POD, latency=NEVER_SECONDS)
    stuck = Controller(for_=POD.gvk, reconcile=diary)
    manager = Manager(w.cache, controllers=[stuck, controller(diary)], leader_election=election("me"))
    async with running(manager):
        assert diary.entries == ["begin m", "end m"]


async def test_two_controllers_of_one_kind_need_two_names(w, diary):
    with pytest.raises(ValueError, match="two controllers are called 'memcached'"):
        Manager(w.cache, controllers=[controller(diary), controller(diary)])

    Manager(w.cache, controllers=[controller(diary), controller(diary, name="other")])


class Stubborn:
    """Swallows its cancellation, until it is released."""

    def __init__(self):
        self.released = asyncio.Event()

    async def __call__(self, request=None):
        while not self.released.is_set():
            with suppress(asyncio.CancelledError):
                await self.released.wait()


@pytest.mark.parametrize("who", ["a reconcile", "a runnable", "a runnable of the leader"])
@pytest.mark.parametrize("elected", [True, False])
async def test_it_stops_within_its_limit_whoever_swallows_a_cancellation(w, diary, caplog, who, elected):
    stubborn = Stubborn()
    w.memcached()
    manager = Manager(
        w.cache,
        controllers=[Controller(for_=MEMCACHED.gvk, reconcile=stubborn if who == "a reconcile" else diary)],
        runnables=[] if who == "a reconcile" else [Runnable(stubborn, leader_only="leader" in who, name="stubborn")],
        leader_election=election("me") if elected else None,
        stop_timeout=10,
    )
    async with running(manager):
        pass

    assert asyncio.get_running_loop().time() <= 1 + 10 + 2
    assert any(event_of(record).endswith(".left_behind") for record in caplog.records)
    stubborn.released.set()
    await asyncio.sleep(1)


async def test_its_own_cancellation_is_not_held_up_by_who_swallows_it(w):
    stubborn = Stubborn()
    task = asyncio.create_task(Manager(w.cache, runnables=[stubborn]).run())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert asyncio.get_running_loop().time() <= 1 + 2
    stubborn.released.set()
    await asyncio.sleep(1)


async def test_where_nobody_can_lead_it_is_not_ready_and_says_why(w, diary):
    refused = w.server.trouble(LEASE, code=403)
    manager = Manager(w.cache, controllers=[controller(diary)], leader_election=election("me"))
    async with running(manager):
        assert not manager.ready
        assert manager.state()["degraded"]
        assert any("Lease system/lease" in reason for reason in manager.state()["reasons"])
        refused.over()
        await asyncio.sleep(10)
        assert (manager.ready, manager.state()["reasons"]) == (True, [])


# -- leadership ----------------------------------------------------------------------------------------------------


async def test_caches_are_warm_before_leadership_is_sought(w, diary):
    w.server.trouble(MEMCACHED, latency=5)
    w.memcached()
    async with running(Manager(w.cache, controllers=[controller(diary)], leader_election=election("me"))):
        await asyncio.sleep(3.9)
        assert w.lease() is None
        await asyncio.sleep(1)
        assert w.lease() is not None

    assert diary.entries == ["begin m", "end m"]


async def test_without_leadership_nothing_is_reconciled_but_the_caches_are_warm(w, diary):
    w.memcached()
    other = Diary()
    leader = Manager(w.cache, controllers=[controller(other)], leader_election=election("leader"))
    waiting = Manager(
        w.cache,
        controllers=[controller(diary)],
        leader_election=election("waiting"),
        runnables=[diary.runnable("everywhere"), diary.runnable("leader", leader_only=True)],
    )
    async with running(leader), running(waiting):
        await asyncio.sleep(600)
        assert (leader.leading, waiting.leading, waiting.ready) == (True, False, True)
        assert waiting.state()["controllers"]["memcached"]["informers"][0]["synced"]

    assert other.entries == ["begin m", "end m"]
    assert diary.entries == ["start everywhere", "stop everywhere"]


async def test_the_lease_is_given_up_after_the_last_run_has_ended(w):
    diary = Diary(takes=20)
    w.memcached()
    async with running(Manager(w.cache, controllers=[controller(diary)], leader_election=election("me"))) as stop:
        stop.set()
        await asyncio.sleep(10)
        assert w.lease()["holderIdentity"] == "me"

    assert diary.entries == ["begin m", "end m"]
    assert w.lease()["holderIdentity"] == ""


async def test_lost_leadership_ends_the_workers_keeps_the_caches_and_competes_again(w):
    diary = Diary(takes=20)
    counters = Counters()
    w.memcached()
    manager = Manager(
        w.cache,
        instrumentation=counters,
        controllers=[controller(diary)],
        leader_election=election("me"),
        runnables=[diary.runnable("leader", leader_only=True)],
    )
    async with running(manager):
        refused = w.server.trouble(LEASE, code=403)
        await asyncio.sleep(15)
        assert (manager.leading, w.watched, counters.value(LEADING)) == (False, [(str(MEMCACHED), None)], 0)
        assert sorted(diary.entries) == ["begin m", "cancel m", "start leader", "stop leader"]
        diary.entries.clear()
        refused.over()
        await asyncio.sleep(60)
        assert manager.leading

    assert diary.entries[:2] == ["start leader", "begin m"]
    assert "end m" in diary.entries


# -- what it says of itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lack", ["undeclared verb", "optional kind", "nothing"])
async def test_whatever_somebody_waits_for_is_named_and_degrades(w, lack):
    async def reconcile(request):
        if lack == "undeclared verb":
            await w.client.create(manifest(DEPLOYMENT, "x", "a"))
        elif lack == "optional kind":
            await w.cache.open(w.cache.cluster.get(MEMCACHED, request.key), Need(DEPLOYMENT, optional=True))

    w.memcached()
    manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)])
    async with running(manager, settle=20.0):
        state = manager.state()

    missing = {
        "undeclared verb": ["may not create deployments.apps in namespace a"],
        "optional kind": [f"may not {verb} deployments.apps in namespace a" for verb in ("list", "watch")],
        "nothing": [],
    }[lack]
    assert (state["degraded"], state["reasons"]) == (bool(missing), missing)


async def test_what_a_probe_is_told_does_not_grow_with_the_number_of_owners(w, diary):
    w.server.grant("a", CONFIG_MAP)
    owners = [OwnerId(MEMCACHED.gvk, ObjectKey("a", f"m{n}"), f"uid-{n}") for n in range(3 * SHOWN_ENTRIES)]
    for owner in owners:
        await w.cache.open(owner, CONFIG_MAP)
    shown = Manager(w.cache).state()["snapshot"]

    assert (len(shown["scopes"]), shown["totals"]["scopes"]) == (SHOWN_ENTRIES, 3 * SHOWN_ENTRIES)


async def opened(w, count):
    """Let so many owners open what they may not see, and what they may."""
    for number in range(count):
        owner = OwnerId(MEMCACHED.gvk, ObjectKey("a", f"m{number}"), f"uid-{number}")
        with suppress(ForbiddenError):
            await w.cache.open(owner, CONFIG_MAP, DEPLOYMENT if number % 2 else POD)


async def test_what_a_probe_is_shown_costs_the_same_however_many_owners_there_are(w):
    manager = Manager(w.cache)
    await opened(w, 100)
    few = instructions(lambda: json.dumps(plain(manager.summary())))
    for number in range(100, 1000):
        with suppress(ForbiddenError):
            await w.cache.open(OwnerId(MEMCACHED.gvk, ObjectKey("a", f"m{number}"), f"uid-{number}"), DEPLOYMENT)

    assert instructions(lambda: json.dumps(plain(manager.summary()))) < 1.2 * few
    assert len(json.dumps(plain(manager.summary()))) < 8_192


async def test_what_somebody_waits_for_is_in_the_summary(w):
    manager = Manager(w.cache)
    await opened(w, 2)
    summary = manager.summary()

    assert (summary["degraded"], summary["totals"].waiting) == (True, 1)
    assert [wait["namespace"] for wait in summary["waiting"]] == ["a"]
    assert any("deployments.apps" in reason for reason in summary["reasons"])


# -- outside -------------------------------------------------------------------------------------------------------


@real
async def test_probes_and_metrics_are_served_while_it_runs(w, diary):
    w.memcached()
    manager = Manager(w.cache, controllers=[controller(diary)], health_address=0, metrics_address=0)
    async with running(manager, settle=0.2), aiohttp.ClientSession() as session:
        (served,) = manager.addresses
        async with session.get(f"http://127.0.0.1:{served.port}/readyz") as answer:
            ready = await answer.json()
        async with session.get(f"http://127.0.0.1:{served.port}/metrics") as answer:
            metrics = await answer.text()

    assert (ready["ready"], ready["controllers"]["memcached"]["running"]) == (True, True)
    assert 'controller_runtime_reconcile_total{controller="memcached",result="success"} 1.0' in metrics


@real
async def test_a_port_in_use_is_told_before_anything_runs(w, diary):
    async with running(Manager(w.cache, health_address=0), settle=0.1):
        pass
    taken = Manager(w.cache, health_address=0)
    async with running(taken, settle=0.1):
        again = Manager(w.cache, health_address=str(taken.addresses[0]), runnables=[diary.runnable("never")])
        with pytest.raises(ConfigurationError, match="another process listens there"):
            await again.run()

    assert diary.entries == []


@real
async def test_a_signal_stops_it_in_order(w, diary):
    w.memcached()
    with stop_signals() as stop:
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
        await Manager(w.cache, controllers=[controller(diary)]).run(stop)

    assert diary.entries == ["begin m", "end m"]


class WithoutSignals(asyncio.SelectorEventLoop):
    """A loop as it is on Windows."""

    def add_signal_handler(self, sig: int, callback: object, *args: object) -> None:
        raise NotImplementedError


def test_a_loop_without_signals_is_told_that_Windows_is_not_supported() -> None:
    async def program() -> None:
        with stop_signals():
            pass

    with asyncio.Runner(loop_factory=WithoutSignals) as runner, pytest.raises(ConfigurationError, match="Windows"):
        runner.run(program())
