"""Steps 7 to 10: a namespace where the operator may not work, then may, then may no longer, and the end of its CR."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from scopedcache.metrics import BACKGROUND_TASKS, EVENT_HANDLERS, OPEN_WATCHES, RECONCILES

from .clock import now, pause
from .observations import DEPLOYMENTS, SECONDARY, Memcached, is_child_write, is_waiting, kinds_in, told
from .rows import Outcome, Row
from .steps import DENIED, ONE, QUIET, TWO, difference, sample
from .waiting import differs, eventually, first, never, require
from .world import BOUND, CONFIG, CONVERGED, ROLLED_OUT, World

NAME = sample(DENIED)
SECOND = "memcached-second"
PERIOD = (BOUND - 2.0) / 1.1  # P, the probe period behind the bound: B = 1.1 P + hold-off + 1 s
AT_ONCE = 2.0
# The cache says the first as a scope is refused, the controller the second as a reconcile ends by a refusal.
DENIALS = ("access.denied", "reconcile.forbidden")


def refuse(world: World) -> Outcome:
    """Step 7."""
    mark, began, since = world.plane.audit.mark(), world.today(), now()
    world.plane.apply(CONFIG / "samples" / f"{NAME}.yaml")
    world.resize(ONE, sample(ONE), 3)
    took = world.await_failure(DENIED, NAME, "NotPermitted", within=CONVERGED, since=since)
    neighbour = world.await_rollout(ONE, sample(ONE), 3, within=CONVERGED, since=since)
    found = world.memcached(DENIED, NAME)
    require(first(found.unnamed("deployments.apps", DENIED, NAME, "Forbidden"), found.names_no_verb()), "status.state")
    world.await_watches(ONE, TWO, within=CONVERGED, since=since)
    require(differs("the snapshot of denied", kinds_in(world.operator.snapshot, DENIED), {}), "nothing is cached")
    require(None if is_waiting(world.operator.snapshot, DENIED) else "it does not wait", "the refused owner")
    require(unsaid(world, 0, *DENIALS), "the log")

    before, quiet_mark = world.operator.metrics(), world.plane.audit.mark()
    never("a write to a denied namespace", lambda: child_writes(world, mark, DENIED), during=QUIET, interval=1.0)
    refusals = world.requests(quiet_mark, code=403)
    require(too_many(told(refusals), len(refusals), QUIET / PERIOD), "refused requests in 30 s")
    asked = [r for r in secondary(world, mark, DENIED) if r.received - began < timedelta(seconds=10)]
    require(too_many(told(asked), len(asked), 3), "lists and watches in the first 10 s of a forbidden scope")
    handlers = difference(before, world.operator.metrics(), EVENT_HANDLERS)
    require(differs("growth of event handlers", handlers, 0.0), "after 30 s")
    require(same_process(world), "the operator")
    return Outcome(took, {"neighbour 3/3 after": neighbour, "403s in 30 s": len(refusals), "asked": len(asked)})


def grant(world: World) -> Outcome:
    """Step 8."""
    generation = world.memcached(DENIED, NAME).generation
    since = world.allow(DENIED)
    took = eventually("a Deployment in denied", lambda: absent(world, NAME), within=BOUND, since=since)
    rolled = world.await_rollout(DENIED, NAME, 1, since=since)
    done = world.await_success(DENIED, NAME, 1, within=ROLLED_OUT, since=since)
    found = world.memcached(DENIED, NAME)
    require(found.unnamed(NAME), "the message names the Deployment")
    require(differs("metadata.generation", found.generation, generation), "nobody touched the CR")
    require(differs("owners cached", list(kinds_in(world.operator.snapshot, DENIED)), [found.uid]), "the snapshot")
    world.await_watches(ONE, TWO, DENIED, within=CONVERGED)
    require(same_process(world), "the operator")
    return Outcome(took, {"1/1 after": rolled, "Succeeded after": done})


def revoke_idle(world: World) -> Outcome:
    """Step 9a.1: nobody touches anything but the right."""
    before = world.memcached(DENIED, NAME)
    log, mark = world.operator.log.mark(), world.plane.audit.mark()
    since = world.revoke(DENIED)
    said = world.await_failure(DENIED, NAME, "PermissionRevoked", within=BOUND, since=since)
    closed = world.await_watches(ONE, TWO, within=BOUND, since=since)
    found = world.memcached(DENIED, NAME)
    require(lost_badly(found, before), "the status after the loss")
    require(first(found.unnamed("deployments.apps", DENIED), found.names_no_verb()), "the message")
    require(differs("the snapshot of denied", kinds_in(world.operator.snapshot, DENIED), {}), "nothing is cached")
    require(unsaid(world, log, *DENIALS), "the log after the loss")
    require(unsaid(world, log, "cache.removed"), "the log after the loss")
    never("a list or watch while a review says no", lambda: asked_again(world, mark), during=3.0)
    world.memory["stale since"] = found.condition("Stale").get("lastTransitionTime")
    return Outcome(max(said, closed), {"watches closed after": closed, "status after": said})


def edit_revoked(world: World) -> Outcome:
    """Step 9b."""
    before, deployment = world.memcached(DENIED, NAME), world.deployment(DENIED, NAME)
    log, mark, since = world.operator.log.mark(), world.plane.audit.mark(), now()
    edited = world.resize(DENIED, NAME, 2)
    world.resize(ONE, sample(ONE), 2)
    took = world.await_failure(DENIED, NAME, "PermissionRevoked", within=AT_ONCE, since=since)
    eventually("the log after the edit", lambda: unsaid(world, log, *DENIALS), within=AT_ONCE, since=since)
    found = world.memcached(DENIED, NAME)
    require(differs("metadata.generation", found.generation, edited.generation), "the edited CR")
    require(lost_badly(found, before), "the status after the edit")
    lost_at = found.condition("Stale").get("lastTransitionTime")
    require(differs("the time of Stale", lost_at, world.memory.get("stale since")), "written once, at the loss")
    neighbour = world.await_rollout(ONE, sample(ONE), 2, within=CONVERGED, since=since)
    never("a write to a revoked namespace", lambda: child_writes(world, mark, DENIED), during=2.0)
    untouched = world.deployment(DENIED, NAME)
    require(differs("its generation", _generation(untouched), _generation(deployment)), "the Deployment is untouched")
    return Outcome(took, {"neighbour 2/2 after": neighbour})


def second_refused(world: World) -> Outcome:
    """Step 9c."""
    since = now()
    world.create(DENIED, SECOND, 6)
    took = world.await_failure(DENIED, SECOND, "NotPermitted", within=CONVERGED, since=since)
    require(world.memcached(DENIED, SECOND).unnamed("deployments.apps", DENIED), "the message")
    never("a Deployment of the second CR", lambda: None if absent(world, SECOND) else "it is there", during=3.0)
    return Outcome(took)


def scaled_outside(world: World) -> Outcome:
    """S1.21: nobody watches any more."""
    mark = world.plane.audit.mark()
    world.scale(DENIED, NAME, 5)
    world.await_rollout(DENIED, NAME, 5)

    def scaled_back() -> str | None:
        deployment = world.deployment(DENIED, NAME)
        return differs("replicas", deployment and deployment["spec"]["replicas"], 5)

    never("somebody scales back", scaled_back, during=BOUND)
    require(child_writes(world, mark, DENIED), "writes of the operator")
    return Outcome(None, {"5 replicas for": BOUND})


def delete_revoked(world: World) -> Outcome:
    """Step 10."""
    world.delete(DENIED, SECOND)
    log, since = world.operator.log.mark(), now()
    world.delete(DENIED, NAME)
    took = eventually("the CR is gone", lambda: still_there(world), within=AT_ONCE, since=since)
    eventually("cr.deleting, then cr.gone", lambda: farewell_problem(world, log), within=AT_ONCE, since=since)
    gone = now()
    collected = eventually(
        "the Deployment is collected",
        lambda: None if absent(world, NAME) else "it is there",
        within=ROLLED_OUT,
        since=since,
    )
    world.await_watches(ONE, TWO, within=CONVERGED, since=since)
    eventually("handlers and tasks as in step 6", lambda: left_behind(world), within=CONVERGED, since=since)
    snapshot = world.operator.snapshot
    still = kinds_in(snapshot, DENIED) or is_waiting(snapshot, DENIED)
    require(f"it is {snapshot}" if still else None, "the snapshot forgot the namespace")
    pause(max(0.0, gone + 5.0 - now()))
    late, mark, metrics = world.operator.log.mark(), world.plane.audit.mark(), world.operator.metrics()

    def revived() -> str | None:
        requests = world.requests(mark, namespace=DENIED)
        reconciles = difference(metrics, world.operator.metrics(), RECONCILES)
        return first(
            told(requests) if requests else None,
            differs("reconciles of anything", reconciles, 0.0),
            *(f"the log says {line}" for line in world.operator.log.events(since=late, namespace=DENIED)),
        )

    never("a late reconcile of the gone CR", revived, during=7.0)
    require(same_process(world), "the operator")
    return Outcome(took, {"Deployment collected after": collected})


def lost_badly(found: Memcached, before: Memcached) -> str | None:
    """Tell that the nodes were not kept and marked when the right was lost."""
    return first(
        differs("status.nodes", found.nodes, before.nodes),
        None if found.stale else f"condition Stale is {found.condition('Stale') or 'not there'}",
    )


def unsaid(world: World, log: int, *events: str) -> str | None:
    """Tell that the operator logged none of these events about the denied namespace."""
    lines = world.operator.log.events(*events, since=log, namespace=DENIED)
    return None if lines else f"no line {' or '.join(events)}"


def child_writes(world: World, mark: Any, namespace: str) -> str | None:
    """Tell which writes there were in a namespace, apart from those to the custom resource."""
    found = [request for request in world.requests(mark, namespace=namespace) if is_child_write(request)]
    return told(found) if found else None


def secondary(world: World, mark: Any, namespace: str) -> list[Any]:
    """Return the lists and watches of secondary kinds in a namespace."""
    requests = world.requests(mark, namespace=namespace)
    return [r for r in requests if r.resource in SECONDARY and r.verb in ("list", "watch")]


def asked_again(world: World, mark: Any) -> str | None:
    """Tell which lists and watches were sent to the denied namespace."""
    found = secondary(world, mark, DENIED)
    return told(found) if found else None


def too_many(what: str, seen: float, most: float) -> str | None:
    """Tell that there are more than allowed."""
    return f"{seen:g}, at most {most:g} are allowed: {what}" if seen > most else None


def absent(world: World, name: str) -> str | None:
    """Tell that there is no such Deployment in the denied namespace."""
    return None if world.deployment(DENIED, name) else f"no {DEPLOYMENTS} {name}"


def still_there(world: World) -> str | None:
    """Tell that the CR is not gone."""
    found = world.plane.get("memcacheds.cache.example.com", NAME, DENIED)
    return None if found is None else f"finalizers {found['metadata'].get('finalizers')}"


def farewell_problem(world: World, log: int) -> str | None:
    """Tell that the log does not show the deletion, and then the end."""
    lines = world.operator.log.events("cr.deleting", "cr.gone", since=log, namespace=DENIED, name=NAME)
    return differs("the lines", list(dict.fromkeys(line["event"] for line in lines)), ["cr.deleting", "cr.gone"])


def left_behind(world: World) -> str | None:
    """Tell that there are more, or fewer, handlers or tasks than when the operator was idle in step 6."""
    now, idle = world.operator.metrics(), world.memory["idle"]
    names = (EVENT_HANDLERS, BACKGROUND_TASKS, OPEN_WATCHES)
    return first(*(differs(name, now.get(name), idle.get(name)) for name in names))


def same_process(world: World) -> str | None:
    """Tell that the operator is not the process that was started."""
    return first(world.operator.unexpected_end(), differs("pid", world.operator.process.pid, world.memory["pid"]))


def _generation(deployment: dict[str, Any] | None) -> int | None:
    return None if deployment is None else int(deployment["metadata"]["generation"])


ROWS = (
    Row("7", "denied: says which right is missing, asks next to nothing, blocks nobody", CONVERGED, refuse),
    Row("8", "grant: the Deployment appears without an edit or a restart", BOUND, grant),
    Row("9a.1", "revoke, idle: watches closed, cache dropped, PermissionRevoked", BOUND, revoke_idle),
    Row("9b", "revoke, edit: refused at once, nodes kept and marked, child untouched", AT_ONCE, edit_revoked),
    Row("9c", "revoke, second CR: NotPermitted, no Deployment", CONVERGED, second_refused),
    Row("S1.21", "revoked: scaled to 5 by somebody else, it stays 5", None, scaled_outside),
    Row("10", "delete while revoked: gone at once, nothing left behind", AT_ONCE, delete_revoked),
)
