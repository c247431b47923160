"""Rows S1.20 and S1.22 to S1.25 with X1: the second demo of the seed, as one story.

The cache's state is printed and shrinks; a namespace comes at run time; the right on the custom resources is lost.
"""

from __future__ import annotations

from .clock import now
from .denial import PERIOD, too_many
from .extras import CLUSTER_BINDINGS, NAME, still_printed
from .observations import MEMCACHEDS, kinds_in, rollout, told
from .rows import Outcome, Row
from .waiting import differs, eventually, first, never, require
from .world import BOUND, CLUSTER_BINDING, CONFIG, CONVERGED, ROLLED_OUT, World

ONE, TWO, LATER, FRESH = "printed-one", "printed-two", "made-at-run-time", "fresh"
KINDS = ["deployment", "pod"]


def state_printed(world: World) -> Outcome:
    """S1.20."""
    began = now()
    for namespace, owner in zip((ONE, TWO), world.settled(ONE, TWO), strict=True):
        kinds = kinds_in(world.operator.snapshot, namespace)
        require(differs("its owners", list(kinds), [owner.uid]), f"the printed state of {namespace}")
        require(differs("its kinds", singular(kinds[owner.uid]), KINDS), f"the printed state of {namespace}")
    require(differs("namespaces", sorted(world.operator.snapshot["namespaces"]), [ONE, TWO]), "the printed state")
    return Outcome(now() - began)


def made_at_run_time(world: World) -> Outcome:
    """S1.25."""
    world.namespace(LATER)
    world.create(LATER, NAME, 1)
    denied = world.await_failure(LATER, NAME, "NotPermitted", within=CONVERGED)
    require("it is" if kinds_in(world.operator.snapshot, LATER) else None, "a denied namespace is not cached")
    since = world.allow(LATER)
    took = eventually("its kinds are cached", lambda: uncached(world, LATER), within=BOUND, since=since)
    done = world.await_success(LATER, NAME, 1, within=ROLLED_OUT, since=since)
    return Outcome(took, {"denied after": denied, "Succeeded after": done})


def state_shrinks(world: World) -> Outcome:
    """S1.24."""
    since = now()
    world.delete(ONE, NAME)
    took = eventually("it leaves the printed state", lambda: still_printed(world, ONE), within=CONVERGED, since=since)
    world.await_watches(TWO, LATER, within=CONVERGED, since=since)
    require(differs("namespaces", sorted(world.operator.snapshot["namespaces"]), [LATER, TWO]), "the printed state")
    return Outcome(took)


def own_kind_lost(world: World) -> Outcome:
    """S1.22."""
    world.namespace(FRESH, allowed=True)
    world.memory |= {"pid": world.operator.process.pid, "version": world.memcached(TWO, NAME).version}
    world.plane.delete(CLUSTER_BINDINGS, CLUSTER_BINDING)
    since = world.flipped("list", MEMCACHEDS, expected=False)
    world.create(FRESH, NAME, 6)
    degraded = eventually("readiness says so", lambda: looks_fine(world), within=BOUND, since=since)
    closed = eventually("the CR kind's watch is closed", lambda: cr_watches(world, 0), within=BOUND, since=since)
    mark = world.plane.audit.mark()
    never("the process ends, or the new CR gets a status", lambda: disturbed(world), during=BOUND)
    refused = world.requests(mark, code=403)
    require(too_many(told(refused), len(refused), BOUND / PERIOD + 1), "refused requests in 10 s")
    version = world.memcached(TWO, NAME).version
    require(differs("its version", version, world.memory["version"]), "an older CR is left as it is")
    return Outcome(max(degraded, closed), {"degraded after": degraded, "watch closed after": closed})


def own_kind_back(world: World) -> Outcome:
    """X1."""
    world.plane.apply(CONFIG / "rbac" / "operator.yaml")
    since = world.flipped("list", MEMCACHEDS)
    took = eventually("the new CR is taken up", lambda: child_missing(world), within=BOUND, since=since)
    fine = eventually("readiness is back", lambda: looks_troubled(world), within=BOUND, since=since)
    eventually("the CR kind is watched", lambda: cr_watches(world, 1), within=BOUND, since=since)
    return Outcome(max(took, fine), {"new CR after": took, "ready after": fine})


def new_one_done(world: World) -> Outcome:
    """S1.23."""
    began = now()
    eventually("6/6", lambda: rollout(world.deployment(FRESH, NAME), 6), within=ROLLED_OUT)
    took = world.await_success(FRESH, NAME, 6, within=ROLLED_OUT, since=began)
    require(differs("pid", world.operator.process.pid, world.memory["pid"]), "no restart")
    require(differs("the old CR's child", rollout(world.deployment(TWO, NAME), 1), None), "the others")
    return Outcome(took)


def singular(kinds: list[str]) -> list[str]:
    """Return kinds as plain words, sorted: a snapshot may say `Deployment` or `deployments.apps`."""
    return sorted(kind.lower().partition(".")[0].removesuffix("s") for kind in kinds)


def uncached(world: World, namespace: str) -> str | None:
    """Tell that a namespace is not in the snapshot."""
    return None if kinds_in(world.operator.snapshot, namespace) else "it is not in the snapshot"


def cr_watches(world: World, count: int) -> str | None:
    """Tell that not so many watches of the CR kind are open."""
    return differs("open watches", len(world.watches(resource=MEMCACHEDS)), count)


def looks_fine(world: World) -> str | None:
    """Tell that the health answer shows no trouble: neither its status nor a field `degraded`."""
    health = world.operator.health()
    fine = health.status == 200 and not health.body.get("degraded")
    return f"/readyz says {health.status} {health.body.get('status', '')}" if fine else None


def looks_troubled(world: World) -> str | None:
    """Tell that the health answer shows trouble."""
    return None if looks_fine(world) else f"/readyz says {world.operator.health().status}"


def disturbed(world: World) -> str | None:
    """Tell that the operator ended, or wrote a status it may not write."""
    status = world.memcached(FRESH, NAME).status
    return first(world.operator.unexpected_end(), differs("the status", status, {}))


def child_missing(world: World) -> str | None:
    """Tell that there is no Deployment of the new CR."""
    return None if world.deployment(FRESH, NAME) else "there is no Deployment"


ROWS = (
    Row("S1.20", "the cache's state is printed by namespace, owner and kind", ROLLED_OUT, state_printed),
    Row("S1.25", "a namespace made at run time: denied, then granted, then cached", BOUND, made_at_run_time),
    Row("S1.24", "the printed state shrinks with the CRs", CONVERGED, state_shrinks),
    Row("S1.22", "the CR kind itself revoked: stays up, says so, the new CR gets no status", BOUND, own_kind_lost),
    Row("X1", "the CR kind granted again: recovers without a restart", BOUND, own_kind_back),
    Row("S1.23", "the CR made meanwhile reaches 6/6", ROLLED_OUT, new_one_done),
)
