"""What replicas do when somebody edits their Leases, or their clocks are wrong: nothing is written twice or lost."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from scopedcache.controller.manager.election_rules import LeaseRecord
from scopedcache.controller.sharding.members import Member, Members
from scopedcache.controller.sharding.settings import Sharding
from scopedcache.hash_ranges import ring_hash
from tests.unit.cluster import ALL_VERBS, LEASE, MEMCACHED, Cluster
from tests.unit.controller.sharding.edits_story import live
from tests.unit.controller.sharding.replicas import SYSTEM, fleet
from tests.unit.controller.sharding.rings import ring_on

NAMES = [f"ns-{number:02}" for number in range(8)]


@pytest.fixture
async def f():
    async with fleet() as running:
        running.primaries(NAMES)
        yield running


async def started(f, *names, **options):
    for name in names:
        await f.start(name, takes=2.0, **options)
    await asyncio.sleep(40)


def lease_of(name):
    return f"operator-{ring_hash(name):016x}"


def edit(f, name, spec):
    f.server.embedded.patch(str(LEASE), lease_of(name), {"spec": spec}, SYSTEM)


async def changing(f, seconds):
    """Change every object every two seconds, for a while."""
    for size in range(10, 10 + round(seconds / 2)):
        for name in NAMES:
            f.touch(name, size)
        await asyncio.sleep(2)


def one_each(f):
    return [len(owners) for owners in f.owners().values()] == [1] * len(NAMES)


def member(version, holder="b", duration=15.0):
    return Member(LeaseRecord(holder, duration, None, None, 0, version))


def test_a_released_lease_whose_replica_still_has_a_part_counts_but_gets_no_work():
    members = Members(15.0)
    members.observe({"b": member("1", holder="")}, {"b"}, 100.0)

    assert [members.alive(now) for now in (114.9, 115.0)] == [{"b"}, set()]
    assert members.there(100.0) == set()


def test_a_released_lease_whose_replica_has_given_up_its_parts_counts_no_more():
    members = Members(15.0)
    members.observe({"b": member("1", holder="")}, (), 100.0)

    assert members.alive(100.0) == set()


@pytest.mark.parametrize(("theirs", "until"), [(1.0, 115.0), (15.0, 115.0), (40.0, 140.0)])
def test_a_lease_counts_for_its_own_duration_and_for_ours_at_least(theirs, until):
    members = Members(15.0)
    members.observe({"b": member("1", duration=theirs)}, {"b"}, 100.0)

    assert [members.alive(now) for now in (until - 0.1, until)] == [{"b"}, set()]


def test_any_change_of_a_lease_is_a_sign_of_life_whatever_it_says():
    members = Members(15.0)
    members.observe({"b": member("1")}, {"b"}, 100.0)
    members.observe({"b": member("2")}, {"b"}, 110.0)

    assert members.alive(124.9) == {"b"}


EDITS = {
    "released": {"holderIdentity": ""},
    "another's": {"holderIdentity": "somebody"},
    "short": {"leaseDurationSeconds": 1},
    "of the future": {"renewTime": "2099-01-01T00:00:00.000000Z"},
    "of the past": {"renewTime": "1999-01-01T00:00:00.000000Z"},
}


@pytest.mark.parametrize("spec", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("moment", [0.1, 1.3])
async def test_a_lease_that_somebody_has_edited_gives_no_object_to_two(f, spec, moment):
    await started(f, "a", "b")
    stirring = asyncio.create_task(changing(f, 40))
    await asyncio.sleep(4 + moment)
    edit(f, "b", spec)
    await stirring
    await asyncio.sleep(60)

    assert f.two_at_once() == []
    assert one_each(f)
    assert {write.key[0] for write in f.writes if write.done > f.writes[-1].done - 60} == set(NAMES)


@pytest.mark.parametrize("spec", EDITS.values(), ids=EDITS)
async def test_a_lease_that_somebody_edits_all_the_time_gives_no_object_to_two(f, spec):
    await started(f, "a", "b")
    stirring = asyncio.create_task(changing(f, 60))
    for _ in range(60):
        edit(f, "b", spec)
        await asyncio.sleep(0.7)
    await stirring
    await asyncio.sleep(60)

    assert f.two_at_once() == []
    assert one_each(f)


async def test_a_deleted_lease_of_a_replica_is_written_anew_and_gives_no_object_to_two(f):
    await started(f, "a", "b")
    before = f.owners()
    stirring = asyncio.create_task(changing(f, 40))
    f.server.remove(LEASE, lease_of("b"), SYSTEM)
    await stirring

    assert (f.two_at_once(), f.owners()) == ([], before)


class Skewed:
    """A way to the server of a process whose clock is wrong by so many seconds: Leases get its stamps."""

    def __init__(self, way):
        self._way = way
        self.seconds = 0.0

    async def request(self, method, path, query=(), **about):
        if "/leases" in path and about.get("body"):
            lease = json.loads(about["body"])
            for name in ("renewTime", "acquireTime"):
                stamp = lease.get("spec", {}).get(name)
                if stamp:
                    later = datetime.fromisoformat(stamp) + timedelta(seconds=self.seconds)
                    lease["spec"][name] = later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            about["body"] = json.dumps(lease).encode()
        return await self._way.request(method, path, query, **about)

    def stream(self, path, query=(), **about):
        return self._way.stream(path, query, **about)

    async def close(self):
        await self._way.close()


async def test_a_replica_whose_clock_jumps_keeps_its_part_and_loses_it_when_it_is_killed(f):
    ways = []

    def through(way):
        ways.append(Skewed(way))
        return ways[-1]

    await started(f, "a", "b", through=through)
    before = f.owners()
    stirring = asyncio.create_task(changing(f, 60))
    for seconds in (3_600.0, -86_400.0, 0.5, 10.0**9):
        ways[1].seconds = seconds
        await asyncio.sleep(15)
    await stirring
    jumped = f.owners()
    await f.replicas["b"].kill()
    await asyncio.sleep(15 + 2 * 4.4 + 1)

    assert (f.two_at_once(), jumped) == ([], before)
    assert {owners[0] for owners in f.owners().values()} == {"a"}


async def test_a_frozen_replica_whose_lease_lasts_longer_than_ours_is_waited_for(f):
    await f.start("a", takes=2.0)
    slow = Sharding("operator", namespace=SYSTEM, identity="b", lease_duration=40.0, renew_deadline=30.0)
    b = await f.start("b", takes=2.0, sharding=slow)
    await asyncio.sleep(40)
    theirs = [name for name, owners in f.owners().items() if owners == ["b"]]
    stirring = asyncio.create_task(changing(f, 80))
    b.link.freeze()
    await asyncio.sleep(25)  # longer than a Lease of ours lasts
    during = f.owners()
    b.link.thaw()
    await stirring
    await asyncio.sleep(60)

    assert {tuple(during[name]) for name in theirs} == {("b",)}
    assert (f.two_at_once(), one_each(f)) == ([], True)


async def test_the_story_that_is_told_on_a_real_server_too():
    with Cluster.running() as server:
        embedded = server.embedded

        def client_of(name):
            user = embedded.user(name)
            embedded.grant(user, ALL_VERBS, [str(LEASE), str(MEMCACHED), "events.events.k8s.io"])
            return embedded.client(user)

        async with ring_on(embedded, client_of) as ring:
            await live(ring)
