"""What two shards of a ring live through, on either server: one more comes, one is cut off, one is killed."""

from __future__ import annotations

from scopedcache import ControllerRing
from scopedcache.clock import loop_time
from tests.unit.controller.sharding.rings import RING, SYSTEM, Ring, RunningShard

NAMES = [f"ring-{number:02}" for number in range(12)]
# Shorter than by default: the story is told in real time too.
TIMES = {"lease_duration": 3.0, "renew_deadline": 2.0, "retry_period": 0.5}


async def live(r: Ring) -> None:
    """Go through it, and hold each chapter to what is promised."""
    for name in NAMES:
        r.put(name)
    a = await _start(r, "a")
    r.share_out()
    await r.until(lambda: _reconciled(r) and set(r.owners().values()) == {"a"})

    b = await _start(r, "b")  # objects are handed over to it, one by one
    await r.until(lambda: _settled(r, "a", "b") and b.objects == _count(r, "b") and a.objects == _count(r, "a"))
    assert all(run.found for run in r.runs), "what was handed over was taken for deleted"

    a.link.freeze()  # it cannot renew its Lease, and its objects go to the other one
    await r.until(lambda: _settled(r, "b"))
    since = loop_time()
    for name in NAMES:
        r.touch(name, chapter="3")
    await r.until(lambda: all(r.runs_of(name, since) == ["b"] for name in NAMES))
    a.link.thaw()
    await r.until(lambda: _settled(r, "a", "b") and a.objects == _count(r, "a"))

    await b.kill()
    await r.until(lambda: _settled(r, "a") and a.objects == len(NAMES))
    since = loop_time()
    for name in NAMES:
        r.touch(name, chapter="4")
    await r.until(lambda: all(r.runs_of(name, since) == ["a"] for name in NAMES))

    assert all(run.found for run in r.runs), "what was another's was taken for deleted"
    assert (r.two_at_once(), a.refused) == ([], [])


async def _start(r: Ring, name: str) -> RunningShard:
    return await r.start(name, takes=0.2, ring=ControllerRing(RING, namespace=SYSTEM, shard=name, **TIMES))


def _reconciled(r: Ring) -> bool:
    return all(r.runs_of(name) for name in NAMES)


def _settled(r: Ring, *shards: str) -> bool:
    """Tell whether each object is one of these shards', all of which have some, and nothing is on its way."""
    moving = any(r.sharder.drain_label in labels for labels in r.labels().values())
    return not moving and set(r.owners().values()) == set(shards) and _is_quiet(r)


def _is_quiet(r: Ring) -> bool:
    return all(r.runs_of(name)[-1] == owner for name, owner in r.owners().items() if owner in r.shards)


def _count(r: Ring, shard: str) -> int:
    return list(r.owners().values()).count(shard)
