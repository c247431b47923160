"""What replicas do with a partition that somebody else has touched: a clear line, and nothing written twice."""

import asyncio
import json

import pytest

from scopedcache.controller.manager.manager import Manager, Runnable
from scopedcache.controller.sharding.coordinator import PARTITION_ANNOTATION, PARTITION_LABEL
from scopedcache.controller.sharding.settings import Sharding
from scopedcache.event_logger import event_of
from tests.unit.cluster import LEASE
from tests.unit.controller.sharding.replicas import SYSTEM, fleet

NAMES = [f"ns-{number:02}" for number in range(8)]


@pytest.fixture
async def f():
    async with fleet() as running:
        running.primaries(NAMES)
        for name in ("a", "b"):
            await running.start(name)
        await asyncio.sleep(40)
        yield running


def text(f):
    return f.server.find(LEASE, "operator", SYSTEM)["metadata"]["annotations"][PARTITION_ANNOTATION]


def rewrite(f, text):
    annotations = {PARTITION_ANNOTATION: text}
    f.server.embedded.patch(str(LEASE), "operator", {"metadata": {"annotations": annotations}}, SYSTEM)


def one_each(f):
    return [len(owners) for owners in f.owners().values()] == [1] * len(NAMES)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: json.dumps({"version": 2, "content": {"slots": 64}}), "another release has cut it"),
        (lambda text: text.replace('"b"', '"a"', 1), "edited it by hand"),
        (lambda text: None, "no partition"),
    ],
)
async def test_one_that_cannot_be_read_stops_everybody_and_is_told(f, spoil, why, caplog):
    rewrite(f, spoil(text(f)))
    await asyncio.sleep(6)

    assert f.owners() == {name: [] for name in NAMES}
    assert all(why in (one.manager.summary()["sharding"]["error"] or "") for one in f.replicas.values())
    assert not any(one.manager.ready for one in f.replicas.values())
    assert [event_of(record) for record in caplog.records].count("shard.refused") == 2


async def test_one_that_is_as_it_was_again_is_worked_on_again(f):
    before = text(f)
    rewrite(f, "{}")
    await asyncio.sleep(6)
    rewrite(f, before)
    await asyncio.sleep(40)

    assert one_each(f)
    assert all(one.manager.ready for one in f.replicas.values())


async def test_a_deleted_one_is_written_anew_and_nothing_changes_hands(f):
    before = f.owners()
    f.server.remove(LEASE, "operator", SYSTEM)
    await asyncio.sleep(10)

    assert f.owners() == before


async def test_an_older_one_that_was_restored_gives_nothing_to_two(f):
    older = text(f)
    await f.start("c")
    await asyncio.sleep(40)
    rewrite(f, older)
    for size in range(20):
        for name in NAMES:
            f.touch(name, size + 2)
        await asyncio.sleep(3)

    assert f.two_at_once() == []
    assert one_each(f)


async def test_a_new_replica_waits_for_the_leader_of_a_release_without_sharding():
    async with fleet() as f:
        f.primaries(NAMES)
        spec = {"holderIdentity": "old", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
        metadata = {"name": "operator", "namespace": SYSTEM}
        f.server.embedded.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
                                  "spec": spec})  # fmt: skip
        a = await f.start("a")
        await asyncio.sleep(10)
        waiting = a.manager.summary()["sharding"]["error"]
        assert (a.runs, "held by old" in waiting) == ([], True)
        await asyncio.sleep(25)

        assert set(a.runs) == {(name, "m0") for name in NAMES}
        lease = f.server.find(LEASE, "operator", SYSTEM) or {}
        assert lease["metadata"]["labels"][PARTITION_LABEL] == "operator"
        assert lease["spec"]["leaseDurationSeconds"] > 10**9  # who elects a leader by it waits for ever


async def test_two_releases_with_other_times_share_the_work_as_well(f):
    f.replicas["b"].stop.set()
    await asyncio.wait({f.replicas["b"].task})
    del f.replicas["b"]
    await f.start("c", sharding=Sharding("operator", namespace=SYSTEM, identity="c", lease_duration=30.0))
    await asyncio.sleep(60)

    assert one_each(f)


@pytest.mark.parametrize("options", [{"name": ""}, {"name": "x" * 300}, {"name": "x", "lease_duration": 5.0}])
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"name|lease_duration"):
        Sharding(namespace=SYSTEM, **options)


async def test_what_one_alone_is_to_do_does_not_go_with_sharding(f):
    with pytest.raises(ValueError, match="nobody leads"):
        Manager(
            f.replicas["a"].cache,
            sharding=Sharding("x", namespace=SYSTEM),
            runnables=[Runnable(asyncio.Event().wait, leader_only=True)],  # type: ignore[arg-type]
        )
