"""No write of a leader's work is sent once this process does not lead, for certain."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

import scopedcache.sync
from scopedcache import Controller, LeaderElection, Manager
from scopedcache.api.request_info import RequestInfo
from scopedcache.clock import boot_time
from scopedcache.controller import Runnable
from scopedcache.controller.manager.leader_elector import LeaderElector
from scopedcache.controller.manager.leader_fence import LeaderFence, is_fenced
from scopedcache.controller.manager.write_fence import WriteFence, unfenced
from scopedcache.errors import NotLeaderError
from tests.unit.clock import suspend
from tests.unit.cluster import CONFIG_MAP, LEASE, MEMCACHED, NEVER_SECONDS, POD, manifest, served

ACCOUNT = served("", "serviceaccounts", "ServiceAccount")
TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}


def election(identity="me"):
    return LeaderElection("lease", namespace="system", identity=identity)


def now():
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def elected(w):
    """Lead with a fence in front of the client; yields the elector."""
    fence = WriteFence()
    w.client.add_write_fence(fence)
    me = LeaderElector(w.client, election(), chance=lambda: 0.5, fence=fence)
    await me.acquire()
    yield me
    w.client.remove_write_fence(fence)


async def write(w, name="x"):
    await w.client.create(manifest(CONFIG_MAP, name, "a"))


@pytest.fixture(autouse=True)
def namespace(w):
    w.server.embedded.create_namespace("a")


# -- decisions -----------------------------------------------------------------------------------------------------


def test_a_fence_is_closed_until_a_leadership_opens_it_and_for_no_longer():
    fence = LeaderFence()
    assert fence.seconds_left(0.0) < 0
    fence.open_until(10.0)
    assert [fence.seconds_left(moment) > 0 for moment in (9.9, 10.0)] == [True, False]
    fence.close()
    assert fence.seconds_left(9.0) < 0


@pytest.mark.parametrize(
    ("kind", "subresource", "fenced"),
    [
        (POD, None, True),
        (POD, "eviction", True),
        (LEASE, None, True),
        (ACCOUNT, None, True),
        (ACCOUNT, "token", False),
        (served("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"), None, False),
        (served("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"), None, True),
    ],
)
def test_questions_about_ourselves_and_tokens_are_no_leaders_work(kind, subresource, fenced):
    assert is_fenced(RequestInfo("create", kind, "a", "x", subresource)) is fenced


# -- leadership ----------------------------------------------------------------------------------------------------


async def test_a_leader_writes_and_nobody_else_does(w):
    async with elected(w) as me:
        await write(w)
        await me.release()
        with pytest.raises(NotLeaderError, match="may not create configmaps"):
            await write(w, "late")

    assert w.server.names(CONFIG_MAP, "a") == {"x"}


@pytest.mark.parametrize("what", [{"code": 403}, {"refuse": True}, {"latency": NEVER_SECONDS}])
async def test_no_write_is_sent_after_the_deadline_of_a_leadership_that_cannot_be_renewed(w, what):
    async with elected(w) as me:
        w.server.trouble(LEASE, **what)
        holding = asyncio.create_task(me.hold())
        written = 0
        while now() < 20:
            try:
                await write(w, f"x{written}")
                written += 1
            except NotLeaderError:
                break
            await asyncio.sleep(0.1)
        await holding

    assert now() == pytest.approx(10.0, abs=0.1)


async def test_a_process_that_wakes_after_a_suspension_sends_nothing(w):
    async with elected(w) as me:
        suspend(60)
        assert not me.leading
        with pytest.raises(NotLeaderError):
            await write(w)

    assert w.server.names(CONFIG_MAP, "a") == set()


async def test_a_suspension_shorter_than_the_leadership_costs_nothing(w):
    async with elected(w):
        suspend(5)
        await write(w)

    assert w.server.names(CONFIG_MAP, "a") == {"x"}


async def test_a_write_under_way_is_given_up_at_the_deadline_and_its_server_does_not_see_it(w):
    async with elected(w) as me:
        w.server.trouble(LEASE, code=403)
        w.server.trouble(CONFIG_MAP, latency=25)
        holding = asyncio.create_task(me.hold())
        with pytest.raises(NotLeaderError, match="leadership ended"):
            await write(w)
        assert now() == pytest.approx(10.0)
        await holding

    assert w.server.names(CONFIG_MAP, "a") == set()


async def test_a_slow_write_lasts_as_long_as_the_leadership_is_renewed(w):
    async with elected(w) as me:
        w.server.trouble(CONFIG_MAP, latency=25)
        holding = asyncio.create_task(me.hold())
        await write(w)
        holding.cancel()

    assert w.server.names(CONFIG_MAP, "a") == {"x"}


async def test_a_time_out_of_the_caller_stays_its_own(w):
    async with elected(w):
        w.server.trouble(CONFIG_MAP, latency=25)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await write(w)


async def test_reads_reviews_and_tokens_need_no_leadership(w):
    w.server.grant(None, ACCOUNT, verbs=["create"])
    w.server.embedded.grant(w.server.operator, ["create"], ["serviceaccounts/token"])
    w.server.embedded.create(manifest(ACCOUNT, "robot", "a"))
    w.client.add_write_fence(WriteFence())

    await w.client.list(POD, namespace="a")
    await w.client.review_rules("a")


async def test_who_is_no_leader_by_trade_writes_all_the_same(w):
    w.client.add_write_fence(WriteFence())
    with unfenced():
        await asyncio.create_task(write(w))

    assert w.server.names(CONFIG_MAP, "a") == {"x"}


# -- a manager -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(manager):
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    await asyncio.sleep(1)
    yield
    stop.set()
    await task


async def test_what_runs_on_every_replica_may_write_while_another_one_leads(w):
    async def beat():
        await write(w, "heartbeat")

    async def lead():
        await write(w, "led")

    await LeaderElector(w.client, election("other")).acquire()
    runnables = [Runnable(beat), Runnable(lead, leader_only=True)]
    async with running(Manager(w.cache, runnables=runnables, leader_election=election())):
        with pytest.raises(NotLeaderError):
            await write(w, "beside")

    assert w.server.names(CONFIG_MAP, "a") == {"heartbeat"}


async def test_a_client_that_no_manager_with_an_election_has_is_not_fenced(w):
    await LeaderElector(w.client, election("other")).acquire()
    async with w.server.client() as another:
        async with running(Manager(w.cache, leader_election=election())):
            await another.create(manifest(CONFIG_MAP, "x", "a"))
        async with running(Manager(w.cache)):
            await write(w, "y")

    assert w.server.names(CONFIG_MAP, "a") == {"x", "y"}


async def test_a_thread_that_outlives_the_leadership_writes_nothing_more(w):
    loop, lost, told = asyncio.get_running_loop(), threading.Event(), asyncio.Event()
    began, outcomes = asyncio.Event(), []

    def reconcile(request):
        client = scopedcache.sync.of(w.cache).client
        client.create(manifest(CONFIG_MAP, "early", "a"))
        loop.call_soon_threadsafe(began.set)
        lost.wait(10)
        try:
            client.create(manifest(CONFIG_MAP, "late", "a"))
        except NotLeaderError as error:
            outcomes.append(str(error))
        loop.call_soon_threadsafe(told.set)

    w.memcached()
    manager = Manager(
        w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)], leader_election=election()
    )
    async with running(manager):
        await began.wait()
        thief = {"holderIdentity": "thief", "leaseDurationSeconds": 1_000_000}
        w.server.embedded.patch(str(LEASE), "lease", {"spec": thief}, "system")
        await asyncio.sleep(5)
        assert not manager.leading
        lost.set()
        await told.wait()

    assert (w.server.names(CONFIG_MAP, "a"), len(outcomes)) == ({"early"}, 1)


# -- the clock -----------------------------------------------------------------------------------------------------


def test_where_no_loop_runs_the_clock_of_leadership_is_that_of_the_machine():
    earlier, later = boot_time(), boot_time()

    assert 0 < earlier <= later


@pytest.mark.asyncio(loop_factories=["real"])
async def test_on_an_ordinary_loop_it_is_so_too():
    earlier, later = boot_time(), boot_time()

    assert 0 < earlier <= later
