"""Taking part in the election, in virtual time, on one Lease."""

import asyncio

import pytest

from scopedcache.controller.manager.election_rules import LeaderElection
from scopedcache.controller.manager.leader_elector import LeaderElector
from tests.unit.cluster import LEASE, NEVER_SECONDS


def elector(w, identity):
    election = LeaderElection("lease", namespace="system", identity=identity)
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
