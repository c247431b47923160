"""Taking part in the election, in virtual time, on one Lease."""

import asyncio

import pytest

from scopedcache.controller.manager.election_rules import LeaderElection
from scopedcache.controller.manager.leader_elector import LeaderElector
from scopedcache.errors import ForbiddenError, ServerError, TransportError
from tests.unit.controller.dict_client import DictClient


@pytest.fixture
def client():
    return DictClient()


def elector(client, identity):
    election = LeaderElection("lease", namespace="system", identity=identity)
    return LeaderElector(client, election, chance=lambda: 0.5)


def now():
    return asyncio.get_running_loop().time()


def spec(client):
    return client.objects[("Lease", "system", "lease")]["spec"]


async def test_the_first_candidate_leads_at_once(client):
    me = elector(client, "me")
    await me.acquire()

    assert (me.leading, now(), spec(client)["holderIdentity"]) == (True, 0.0, "me")


async def test_a_leader_renews_while_another_one_waits(client):
    me, other = elector(client, "me"), elector(client, "other")
    await me.acquire()
    holding, waiting = asyncio.create_task(me.hold()), asyncio.create_task(other.acquire())
    await asyncio.sleep(600)

    assert (me.leading, other.leading, holding.done(), waiting.done()) == (True, False, False, False)
    holding.cancel()
    waiting.cancel()
    await asyncio.wait([holding, waiting])


async def test_a_renewal_costs_one_request(client):
    me = elector(client, "me")
    await me.acquire()
    client.log.clear()
    holding = asyncio.create_task(me.hold())
    await asyncio.sleep(20.5)
    holding.cancel()
    await asyncio.wait([holding])

    assert client.log == ["update"] * 10


async def test_a_released_lease_is_taken_by_the_next_try(client):
    me, other = elector(client, "me"), elector(client, "other")
    await me.acquire()
    waiting = asyncio.create_task(other.acquire())
    await asyncio.sleep(10)
    await me.release()
    released = now()
    await waiting

    assert (me.leading, other.leading) == (False, True)
    assert now() - released < 4.5
    assert spec(client)["leaseTransitions"] == 1


async def test_a_leader_that_vanishes_is_replaced_after_the_lease_duration(client):
    await elector(client, "gone").acquire()
    other = elector(client, "other")
    await other.acquire()

    assert 15 <= now() < 15 + 4.5


@pytest.mark.parametrize(
    "error",
    [ForbiddenError("no leases for you"), ServerError("down", status=500), TransportError("lost"), RuntimeError("bug")],
)
async def test_whatever_the_server_answers_leading_ends_at_the_renew_deadline_and_nothing_is_raised(client, error):
    me = elector(client, "me")
    await me.acquire()
    client.error = error
    await me.hold()

    assert (me.leading, now()) == (False, 10.0)


async def test_a_short_outage_costs_nothing(client):
    me = elector(client, "me")
    await me.acquire()
    holding = asyncio.create_task(me.hold())
    client.error = TransportError("lost")
    await asyncio.sleep(9)
    client.error = None
    await asyncio.sleep(60)

    assert me.leading
    holding.cancel()
    await asyncio.wait([holding])


async def test_a_request_that_hangs_does_not_prolong_leading(client):
    me = elector(client, "me")
    await me.acquire()

    async def hang(obj):
        await asyncio.sleep(3600)

    client.update = hang
    await me.hold()

    assert (me.leading, now()) == (False, 10.0)


async def test_a_leader_that_finds_somebody_else_stops_at_once(client):
    me = elector(client, "me")
    await me.acquire()
    lease = client.objects[("Lease", "system", "lease")]
    client.put({**lease, "spec": {**lease["spec"], "holderIdentity": "thief"}})
    await me.hold()

    assert (me.leading, now()) == (False, 2.0)


async def test_a_touched_or_deleted_lease_does_not_end_leading(client):
    me = elector(client, "me")
    await me.acquire()
    holding = asyncio.create_task(me.hold())
    client.put({**client.objects[("Lease", "system", "lease")]})
    await asyncio.sleep(30)
    client.objects.clear()
    await asyncio.sleep(30)

    assert (me.leading, spec(client)["holderIdentity"]) == (True, "me")
    holding.cancel()
    await asyncio.wait([holding])


async def test_who_lost_may_lead_again(client):
    me = elector(client, "me")
    await me.acquire()
    client.error = ForbiddenError("for a while")
    await me.hold()
    client.error = None
    await me.acquire()

    assert me.leading
