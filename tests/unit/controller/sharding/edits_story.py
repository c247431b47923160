"""What two replicas live through whose Leases somebody edits, on either server; they are of two releases' settings."""

from __future__ import annotations

from typing import Final

from scopedcache import Sharding
from scopedcache.clock import loop_time
from scopedcache.controller.sharding.coordinator import PARTITION_ANNOTATION
from scopedcache.hash_ranges import ring_hash
from tests.unit.cluster import LEASE
from tests.unit.controller.sharding.rings import SYSTEM, Ring, RunningShard

NAMES: Final = [f"share-{number:02}" for number in range(12)]
NAME: Final = "operator"
# Shorter than by default, for the story is told in real time too; and not the same for both.
TIMES: Final = {
    "a": {"lease_duration": 3.0, "renew_deadline": 2.0, "retry_period": 0.5},
    "b": {"lease_duration": 5.0, "renew_deadline": 3.0, "retry_period": 0.7},
}
EDITS: Final = (
    {"holderIdentity": ""},
    {"holderIdentity": "somebody"},
    {"leaseDurationSeconds": 1},
    {"renewTime": "2099-01-01T00:00:00.000000Z"},
    {"renewTime": "1999-01-01T00:00:00.000000Z"},
)


async def live(r: Ring) -> None:
    """Go through it, and hold each chapter to what is promised."""
    for name in NAMES:
        r.put(name)
    a, b = [
        await r.start(name, takes=0.2, ring=Sharding(NAME, namespace=SYSTEM, identity=name, **times))
        for name, times in TIMES.items()
    ]
    await r.until(lambda: _shared(a, b))

    for edit in EDITS:  # of the Lease that says that somebody is there
        r.cluster.patch(str(LEASE), f"{NAME}-{ring_hash('b'):016x}", {"spec": edit}, SYSTEM)
        await _all_reconciled(r, str(edit))
    await r.until(lambda: _shared(a, b))

    text = _partition(r)  # of the one that says who works on what
    _write_partition(r, text.replace('"b"', '"a"'))
    await r.until(lambda: all("edited it by hand" in (one.state["error"] or "") for one in (a, b)))
    assert not a.manager.ready
    _write_partition(r, text)
    await _all_reconciled(r, "as it was")

    r.cluster.delete(str(LEASE), NAME, SYSTEM)
    await _all_reconciled(r, "deleted")
    await r.until(lambda: _shared(a, b))

    await b.kill()
    await r.until(lambda: a.objects == len(NAMES))
    await _all_reconciled(r, "killed")
    assert r.two_at_once() == []


async def _all_reconciled(r: Ring, chapter: str) -> None:
    since = loop_time()
    for name in NAMES:
        r.touch(name, chapter=chapter)
    await r.until(lambda: all(r.runs_of(name, since) for name in NAMES))


def _shared(a: RunningShard, b: RunningShard) -> bool:
    return a.objects == b.objects == len(NAMES) // 2


def _partition(r: Ring) -> str:
    lease = r.cluster.get(str(LEASE), NAME, SYSTEM)
    assert lease is not None
    return str(lease["metadata"]["annotations"][PARTITION_ANNOTATION])


def _write_partition(r: Ring, text: str) -> None:
    r.cluster.patch(str(LEASE), NAME, {"metadata": {"annotations": {PARTITION_ANNOTATION: text}}}, SYSTEM)
