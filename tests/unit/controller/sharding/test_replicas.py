"""Several replicas at work, in virtual time: each object is one replica's, whatever happens to the others."""

import asyncio

import pytest

from tests.unit.controller.sharding.replicas import fleet

NAMES = [f"ns-{number:02}" for number in range(24)]


@pytest.fixture
async def f():
    async with fleet() as running:
        running.primaries(NAMES)
        yield running


async def started(f, *names, **options):
    """Start replicas, and wait until they have shared out the work."""
    replicas = [await f.start(name, **options) for name in names]
    await asyncio.sleep(40)
    return replicas


def sizes(f):
    held = [owner for owners in f.owners().values() for owner in owners]
    return sorted(held.count(name) for name in f.replicas)


async def test_one_replica_alone_does_all_the_work(f):
    (a,) = await started(f, "a")

    assert set(a.runs) == {(name, "m0") for name in NAMES}


@pytest.mark.parametrize(("count", "most"), [(2, 13), (4, 7)])
async def test_replicas_that_start_together_share_the_objects(f, count, most):
    replicas = await started(f, *"abcd"[:count])

    assert [len(owners) for owners in f.owners().values()] == [1] * len(NAMES)
    assert max(sizes(f)) <= most
    assert max(one.objects for one in replicas) <= most


async def test_a_change_is_reconciled_by_the_one_that_holds_it(f):
    a, b = await started(f, "a", "b")
    before = len(a.runs) + len(b.runs)
    f.touch("ns-07", 2)
    await asyncio.sleep(1)

    assert len(a.runs) + len(b.runs) >= before + 1
    assert f.writers("ns-07")[-1:] == f.owners()["ns-07"]


async def test_one_replica_more_takes_its_share_with_its_cache_warm(f):
    await started(f, "a")
    await f.start("b", takes=1.0)
    await asyncio.sleep(40)

    assert sizes(f) == [12, 12]
    assert f.two_at_once() == []


async def test_a_part_changes_hands_when_no_run_is_under_way_in_it(f):
    (a,) = await started(f, "a", takes=12.0, workers=24)
    for name in NAMES:
        f.touch(name, 2)
    await asyncio.sleep(1)
    b = await f.start("b")
    await asyncio.sleep(60)

    assert (a.refused, b.refused, f.two_at_once()) == ([], [], [])
    assert sizes(f) == [12, 12]


async def test_one_that_stops_hands_its_part_over_and_nothing_is_left(f):
    a, _ = await started(f, "a", "b")
    await a.end()
    await asyncio.sleep(10)

    assert f.owners() == {name: ["b"] for name in NAMES}
    leases = {lease["metadata"]["name"] for lease in f.server.embedded.list("leases.coordination.k8s.io", "system")}
    assert len(leases) == 2


async def test_one_that_comes_back_under_the_same_name_has_its_share_again(f):
    (a,) = await started(f, "a")
    await a.end()
    await started(f, "a", "b")

    assert sizes(f) == [12, 12]


async def test_a_part_of_one_that_was_killed_is_taken_within_the_lease_and_worked_on(f):
    a, b = await started(f, "a", "b")
    theirs = [name for name, owners in f.owners().items() if owners == ["a"]]
    await a.kill()
    f.touch(theirs[0], 2)
    await asyncio.sleep(15 + 2 * 4.4 + 1)

    assert f.owners()[theirs[0]][-1] == "b"
    assert (theirs[0], "m0") in b.runs


async def test_one_that_is_frozen_past_its_lease_writes_nothing_when_it_wakes(f):
    a, _ = await started(f, "a", "b", takes=3.0, deadline=None)  # its late writes are for the fence to stop
    theirs = [name for name, owners in f.owners().items() if owners == ["a"]]
    for name in theirs:
        f.touch(name, 2)
    await asyncio.sleep(1)
    a.link.freeze()
    await asyncio.sleep(40)
    assert f.owners()[theirs[0]] == ["b"]
    for name in theirs:
        f.touch(name, 3)
    await asyncio.sleep(1)
    a.link.thaw()
    await asyncio.sleep(60)

    assert f.two_at_once() == []
    assert [len(owners) for owners in f.owners().values()] == [1] * len(NAMES)
    assert max(sizes(f)) <= 13


async def test_whatever_comes_and_goes_no_two_write_to_one_object_at_once(f):
    await started(f, "a", "b", takes=2.0)

    async def stir():
        size = 10
        while True:
            for name in NAMES:
                f.touch(name, size)
            size += 1
            await asyncio.sleep(3)

    stirring = asyncio.create_task(stir())
    await f.start("c", takes=2.0)
    await asyncio.sleep(30)
    await f.replicas["a"].kill()
    await asyncio.sleep(30)
    f.replicas["b"].link.freeze()
    await asyncio.sleep(25)
    f.replicas["b"].link.thaw()
    await f.start("d", takes=2.0)
    await asyncio.sleep(30)
    await f.replicas["c"].end()
    await asyncio.sleep(40)
    stirring.cancel()

    assert f.two_at_once() == []
    assert {owner for owners in f.owners().values() for owner in owners} == {"b", "d"}
    assert [len(owners) for owners in f.owners().values()] == [1] * len(NAMES)


async def test_a_freeze_shorter_than_the_deadline_changes_nothing(f):
    a, _ = await started(f, "a", "b")
    before = f.owners()
    a.link.freeze()
    await asyncio.sleep(5)
    a.link.thaw()
    await asyncio.sleep(20)

    assert f.owners() == before


async def test_a_replica_costs_two_requests_a_second_at_most_while_nothing_happens(f):
    await started(f, "a", "b")
    seen = len(f.server.embedded.audit.requests(user="a"))
    await asyncio.sleep(100)
    leases = [one for one in f.server.embedded.audit.requests(user="a")[seen:] if one.resource.startswith("leases")]

    assert len(leases) <= 200
