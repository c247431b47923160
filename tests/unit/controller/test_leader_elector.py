"""Taking part in the election, in virtual time, on one Lease."""

import asyncio

import pytest

from scopedcache.controller.manager.election_rules import LeaderElection
from scopedcache.controller.manager.leader_elector import LeaderElector
from scopedcache.event_logger import event_of
from scopedcache.metrics import LEASE_FAILURES
from tests.unit.clock import suspend
from tests.unit.cluster import LEASE, NEVER_SECONDS


def elector(w, identity, priority=None):
    election = LeaderElection("lease", namespace="system", identity=identity, priority=priority)
    return LeaderElector(w.client, election, chance=lambda: 0.5)


def now():
    return asyncio.get_running_loop().time()


async def test_the_first_candidate_leads_at_once(w):
    me = elector(w, "me")
    await me.acquire()

    assert (me.leading, now(), w.lease()["holderIdentity"]) == (True, 0.0, "me")


async def test_a_leader_renews_while_another_one_waits(w):
    me, other = elector(w, "me"), elector(w, "other")
    await me.acquire()
    holding, waiting = asyncio.create_task(me.hold()), asyncio.create_task(other.acquire())
    await asyncio.sleep(600)

    assert (me.leading, other.leading, holding.done(), waiting.done()) == (True, False, False, False)
    holding.cancel()
    waiting.cancel()
    await asyncio.wait([holding, waiting])


async def test_a_renewal_costs_one_request(w):
    me = elector(w, "me")
    await me.acquire()
    acquired = len(w.server.sent())
    holding = asyncio.create_task(me.hold())
    await asyncio.sleep(20.5)
    holding.cancel()
    await asyncio.wait([holding])

    assert w.server.sent()[acquired:] == ["update"] * 10


async def test_a_released_lease_is_taken_by_the_next_try(w):
    me, other = elector(w, "me"), elector(w, "other")
    await me.acquire()
    waiting = asyncio.create_task(other.acquire())
    await asyncio.sleep(10)
    await me.release()
    released = now()
    await waiting

    assert (me.leading, other.leading) == (False, True)
    assert now() - released < 4.5
    assert w.lease()["leaseTransitions"] == 1


async def test_who_stops_before_it_hears_that_it_leads_lets_go_too(w):
    me, other = elector(w, "me"), elector(w, "other")
    w.proxy.late = asyncio.Event()
    acquiring = asyncio.create_task(me.acquire())
    await asyncio.sleep(1)
    held = w.lease()["holderIdentity"]
    acquiring.cancel()
    await asyncio.wait([acquiring])
    w.proxy.late.set()
    await me.release()
    begun = now()
    await other.acquire()

    assert (held, me.leading, other.leading, now() - begun) == ("me", False, True, 0.0)


async def test_who_stops_while_somebody_else_leads_writes_nothing(w):
    me, other = elector(w, "me"), elector(w, "other")
    await other.acquire()
    acquiring = asyncio.create_task(me.acquire())
    await asyncio.sleep(5)
    acquiring.cancel()
    await asyncio.wait([acquiring])
    before = len(w.server.sent())
    await me.release()

    assert (len(w.server.sent()) - before, w.lease()["holderIdentity"]) == (0, "other")


async def test_a_leader_that_vanishes_is_replaced_after_the_lease_duration(w):
    await elector(w, "gone").acquire()
    other = elector(w, "other")
    await other.acquire()

    assert 15 <= now() < 15 + 4.5


@pytest.mark.parametrize("what", [{"code": 403}, {"code": 500}, {"refuse": True}, {"latency": NEVER_SECONDS}])
async def test_whatever_the_server_answers_leading_ends_at_the_renew_deadline_and_nothing_is_raised(w, what):
    me = elector(w, "me")
    await me.acquire()
    w.server.trouble(LEASE, **what)
    await me.hold()

    assert (me.leading, now()) == (False, 10.0)


async def test_a_short_outage_costs_nothing(w):
    me = elector(w, "me")
    await me.acquire()
    holding = asyncio.create_task(me.hold())
    lost = w.server.trouble(LEASE, refuse=True)
    await asyncio.sleep(7)  # the renewal at 10 s would be answered too late
    lost.over()
    await asyncio.sleep(60)

    assert me.leading
    holding.cancel()
    await asyncio.wait([holding])


@pytest.mark.parametrize("begins", [1.9, 0.5])
async def test_a_server_that_hangs_for_nine_seconds_costs_no_leadership(w, begins):
    me = elector(w, "me")
    await me.acquire()
    holding = asyncio.create_task(me.hold())
    await asyncio.sleep(20 + begins)
    hung = w.server.trouble(LEASE, latency=NEVER_SECONDS)
    await asyncio.sleep(9 - begins)  # the last renewal was up to two seconds before
    hung.over()
    await asyncio.sleep(60)

    assert me.leading
    holding.cancel()
    await asyncio.wait([holding])


async def test_one_request_that_hangs_is_given_up_and_sent_again(w):
    me = elector(w, "me")
    await me.acquire()
    hung = w.server.trouble(LEASE, latency=NEVER_SECONDS, times=1)
    holding = asyncio.create_task(me.hold())
    await asyncio.sleep(60)

    assert (me.leading, hung.struck) == (True, 1)
    holding.cancel()
    await asyncio.wait([holding])


async def test_a_renewal_that_takes_four_seconds_each_time_keeps_leading(w):
    me = elector(w, "me")
    await me.acquire()
    w.server.trouble(LEASE, latency=3.9)
    holding = asyncio.create_task(me.hold())
    await asyncio.sleep(120)

    assert me.leading
    holding.cancel()
    await asyncio.wait([holding])


async def test_a_process_that_was_suspended_past_its_deadline_does_not_lead(w):
    me = elector(w, "me")
    await me.acquire()
    suspend(11)
    assert not me.leading
    await me.hold()

    assert (me.leading, now() <= 2.0) == (False, True)


# -- what is told --------------------------------------------------------------------------------------------------


def said(caplog):
    """Return how loud what was said of attempts that failed."""
    found = (record for record in caplog.records if event_of(record) == "leader.attempt_failed")
    return [(record.levelname, vars(record)["lease"], vars(record)["namespace"]) for record in found]


@pytest.mark.parametrize("why", ["no right", "no namespace"])
async def test_a_lease_that_cannot_be_had_is_said_once_and_is_a_reason_not_to_be_ready(w, caplog, counters, why):
    place = "nowhere" if why == "no namespace" else "system"
    if why == "no right":
        w.rights[LEASE].revoke()
    me = LeaderElector(w.client, LeaderElection("lease", namespace=place), instrumentation=counters)
    competing = asyncio.create_task(me.acquire())
    await asyncio.sleep(600)

    assert said(caplog) == [("WARNING", "lease", place)]
    assert me.reason is not None
    assert f"{place}/lease" in me.reason
    assert me.state()["error"] is not None
    assert counters.value(LEASE_FAILURES, name="lease") > 100
    if why == "no right":
        w.rights[LEASE].restore()
    else:
        w.server.embedded.create_namespace(place)
    await asyncio.wait_for(competing, 10)
    assert {"reason": me.reason, "error": me.state()["error"]} == {"reason": None, "error": None}


async def test_one_answer_that_is_missing_is_no_reason_and_more_of_them_are(w):
    me = elector(w, "me")
    lost = w.server.trouble(LEASE, refuse=True)
    competing = asyncio.create_task(me.acquire())
    await asyncio.sleep(1)
    assert me.reason is None
    await asyncio.sleep(10)
    assert me.reason is not None
    lost.over()
    await competing
    assert me.reason is None


# -- a Lease that somebody deletes ---------------------------------------------------------------------------------


async def test_who_has_seen_a_lease_does_not_take_it_for_gone_while_it_counts(w):
    me, other = elector(w, "me"), elector(w, "other")
    await me.acquire()
    waiting = asyncio.create_task(other.acquire())
    await asyncio.sleep(1)
    w.server.remove(LEASE, "lease", "system")  # and its leader never comes back
    await waiting

    assert now() >= 15.0


async def test_a_leader_writes_a_deleted_lease_anew_before_anybody_else_does(w):
    me, other = elector(w, "me"), elector(w, "other")
    await me.acquire()
    holding, waiting = asyncio.create_task(me.hold()), asyncio.create_task(other.acquire())
    for _ in range(20):
        await asyncio.sleep(7.3)
        w.server.remove(LEASE, "lease", "system")
        assert (me.leading, other.leading) == (True, False)
    await asyncio.sleep(10)

    assert (me.leading, other.leading, w.lease()["holderIdentity"]) == (True, False, "me")
    holding.cancel()
    waiting.cancel()
    await asyncio.wait([holding, waiting])


async def test_a_lease_that_was_given_up_and_then_deleted_is_free(w):
    me, other = elector(w, "me"), elector(w, "other")
    await me.acquire()
    await me.release()
    w.server.remove(LEASE, "lease", "system")
    await other.acquire()

    assert now() == 0.0


async def test_a_defect_on_the_way_ends_leading_at_the_renew_deadline_too(w):
    me = elector(w, "me")
    await me.acquire()
    w.proxy.defect = RuntimeError("bug")
    await me.hold()

    assert (me.leading, now()) == (False, 10.0)


async def test_a_leader_that_finds_somebody_else_stops_at_once(w):
    me = elector(w, "me")
    await me.acquire()
    w.server.embedded.patch(str(LEASE), "lease", {"spec": {"holderIdentity": "thief"}}, "system")
    await me.hold()

    assert (me.leading, now()) == (False, 2.0)


async def test_a_touched_or_deleted_lease_does_not_end_leading(w):
    me = elector(w, "me")
    await me.acquire()
    holding = asyncio.create_task(me.hold())
    w.server.put(LEASE, "lease", "system", labels={"touched": "yes"})
    await asyncio.sleep(30)
    w.server.remove(LEASE, "lease", "system")
    await asyncio.sleep(30)

    assert (me.leading, w.lease()["holderIdentity"]) == (True, "me")
    holding.cancel()
    await asyncio.wait([holding])


async def test_who_lost_may_lead_again(w):
    me = elector(w, "me")
    await me.acquire()
    refused = w.server.trouble(LEASE, code=403)
    await me.hold()
    refused.over()
    await me.acquire()

    assert me.leading


# -- priorities ------------------------------------------------------------------------------------------------------


class Replica:
    """One manager's part in an election: works while it leads, and needs a second to stop."""

    def __init__(self, w, priority, work):
        election = LeaderElection("lease", namespace="system", priority=priority)
        self.elector = LeaderElector(w.client, election, chance=lambda: 0.5)
        self.priority, self.work = priority, work
        self.task = asyncio.create_task(self.run())

    async def run(self):
        while True:
            await self.elector.acquire()
            self.work.append((now(), self.priority, "begins"))
            await self.elector.hold()
            await asyncio.sleep(1)
            self.work.append((now(), self.priority, "ends"))
            await self.elector.release()

    async def kill(self):
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_the_best_of_three_leads_the_next_one_when_it_is_gone_and_the_best_again_when_it_is_back(w):
    work: list[tuple[float, int, str]] = []
    replicas = {priority: Replica(w, priority, work) for priority in (2, 1, 0)}
    await asyncio.sleep(60)
    first = [priority for _, priority, what in work if what == "begins"][-1]
    await replicas[0].kill()
    work.append((now(), 0, "ends"))
    killed = now()
    await asyncio.sleep(60)
    second = [(at - killed, priority) for at, priority, what in work if what == "begins" and at > killed][-1]
    replicas[0] = Replica(w, 0, work)
    back = now()
    await asyncio.sleep(60)
    third = [(at - back, priority) for at, priority, what in work if what == "begins" and at > back][-1]
    for replica in replicas.values():
        await replica.kill()

    assert (first, second[1], third[1]) == (0, 1, 0)
    assert second[0] < 15 + 2 * 4.5 + 2
    assert third[0] < 4.5 + 2
    # Who begins begins after everybody else has ended.
    assert [what for _, _, what in work][:-1] == ["begins", "ends"] * (len(work) // 2)


async def test_a_challenge_leaves_the_lease_its_holders(w):
    work: list[object] = []
    leader = elector(w, "leader", 1)
    await leader.acquire()
    before = w.lease()
    better = Replica(w, 0, work)
    await asyncio.sleep(0.1)

    assert w.lease() == before
    assert leader.leading
    await better.kill()


async def test_among_equals_who_leads_stays(w):
    work: list[object] = []
    replicas = [Replica(w, 1, work), Replica(w, 1, work)]
    await asyncio.sleep(100)
    for replica in replicas:
        await replica.kill()

    assert len(work) == 1
