"""Rows 9a.2 to 9a.4: what must not be seen after a revocation, rights lost verb by verb, and flapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from scopedcache.metrics import BACKGROUND_TASKS, EVENT_HANDLERS, RECONCILES
from scopedcache.testing import Grant, Identity

from .clock import now, pause
from .denial import lost_badly
from .observations import DEPLOYMENTS, PODS, SECONDARY, Memcached, kinds_in, told
from .program import Program
from .rows import Outcome, Row
from .steps import at_rest, difference
from .waiting import Failed, differs, eventually, first, never, require, sleep_until
from .world import BOUND, CONVERGED, ROLLED_OUT, World

NAME = "memcached"
ALL_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")


@attrs.frozen
class Part:
    """A right that is taken away from Deployments alone.

    Attributes:
        closes: whether the cache is closed by the loss.
    """

    lost: tuple[str, ...]
    closes: bool

    @property
    def namespace(self) -> str:
        return f"lost-{self.lost[0]}"

    @property
    def left(self) -> list[str]:
        return [verb for verb in ALL_VERBS if verb not in self.lost]


# Whether an operator changes its child by update or by patch is its own choice: it loses both.
PARTS = (Part(("watch",), True), Part(("list",), True), Part(("create",), False), Part(("update", "patch"), False))


def nothing_delivered(world: World) -> Outcome:
    """Row 9a.2: a test operator reads at 1 kHz beside the real one."""
    namespace = "after-the-bound"
    world.settled(namespace)
    reader = world.plane.service_account(namespace, "reader")
    right = world.plane.bind(reader, "scoped-operator-needs", namespace=namespace)
    owner = world.memcached(namespace, NAME)
    with reading(world, reader, *owner_options(owner)) as program:
        eventually("the reader reads", lambda: missing(program, "reading"), within=CONVERGED)
        right.revoke()
        since = world.revoke(namespace)
        touch_pods(world, namespace)  # a watch that is open may still tell of this
        closed = world.await_unwatched(namespace, within=BOUND, since=since)
        sleep_until(since + BOUND + 1.0)
        metrics, log = world.operator.metrics(), world.operator.log.mark()
        touch_pods(world, namespace)
        never("a reconcile after the bound", lambda: reconciled(world, log, namespace), during=5.0)
        reconciles = difference(metrics, world.operator.metrics(), RECONCILES)
        require(differs("reconciles", reconciles, 0.0), "after a Pod changed behind the operator's back")
    read = final(program)
    last = read["last_object_at"] - since
    require(late_read(read, since), "the reader at 1 kHz")
    facts = {"reads": read["reads"], "rate in Hz": read["rate"], "first Forbidden": read["forbidden_at"] - since}
    return Outcome(max(last, closed), {**facts, "last event": read["handled_at"] - since, "last object": last})


def call_refused(world: World) -> Outcome:
    """Row 9a.call: a request of ours that meets the 403 raises at once, and settles the verdict sooner."""
    namespace = "own-call"
    world.settled(namespace)
    caller = world.plane.service_account(namespace, "caller")
    right = world.plane.bind(caller, "scoped-operator-needs", namespace=namespace)
    owner = world.memcached(namespace, NAME)
    with reading(world, caller, "--call-every=0.1", *owner_options(owner)) as program:
        eventually("the reader reads", lambda: missing(program, "reading"), within=CONVERGED)
        right.revoke()
        since = world.flipped("list", DEPLOYMENTS, namespace, expected=False, identity=caller)
        eventually("cached reads raise", lambda: missing(program, "forbidden"), within=BOUND, since=since)
    read = final(program)
    raised = read["call_refused_at"] - since
    require(f"it took {raised:.2f} s" if raised > 1.0 else None, "the call raises at once")
    require(None if read["call_error"] == "ForbiddenError" else f"it raised {read['call_error']}", "the call")
    return Outcome(read["forbidden_at"] - read["call_refused_at"], {"call raised after": raised})


def parts_lost(world: World) -> Outcome:
    """Row 9a.3: one verb at a time."""
    grants = {part: grant_parts(world, part) for part in PARTS}
    for part in PARTS:
        world.create(part.namespace, NAME, 1)
    before = {}
    for part in PARTS:
        world.await_success(part.namespace, NAME, 1, within=ROLLED_OUT)
        before[part] = world.memcached(part.namespace, NAME), watch_ids(world, part.namespace)
    lost = {part: lose(world, part, grants[part]) for part in PARTS}
    facts: dict[str, str | int | float] = {}
    for part in PARTS:
        took = world.await_failure(part.namespace, NAME, "PermissionRevoked", within=BOUND, since=lost[part])
        facts[f"{part.lost[0]} lost"] = took
        require(part_problem(world, part, *before[part]), f"after losing {' and '.join(part.lost)}")
    for part in PARTS:
        grants[part].change(verbs=ALL_VERBS, resources=[DEPLOYMENTS])
    since = max(world.flipped(part.lost[0], DEPLOYMENTS, part.namespace) for part in PARTS)
    facts["all healed"] = max(world.await_success(part.namespace, NAME, 1, within=BOUND, since=since) for part in PARTS)
    return Outcome(max(float(facts[f"{part.lost[0]} lost"]) for part in PARTS), facts)


def heal_and_flap(world: World) -> Outcome:
    """Row 9a.4."""
    good, bad = "flaps-to-good", "flaps-to-bad"
    world.settled(good, bad)
    pause(1.0)  # the last events of the rollout
    idle = at_rest(world)
    version = world.memcached(good, NAME).generation
    since = world.revoke(good)
    world.await_failure(good, NAME, "PermissionRevoked", within=BOUND, since=since)
    since = world.allow(good)
    healed = world.await_success(good, NAME, 1, within=BOUND, since=since)
    require(differs("metadata.generation", world.memcached(good, NAME).generation, version), "nobody touched the CR")

    flips = {good: 0.0, bad: 0.0}
    for toggle in range(10):
        for namespace in (good, bad):
            allowed = (toggle % 2 == 1) == (namespace == good)
            flips[namespace] = world.allow(namespace) if allowed else world.revoke(namespace)
        pause(1.0)
    right = world.await_success(good, NAME, 1, within=BOUND, since=flips[good])
    wrong = world.await_failure(bad, NAME, "PermissionRevoked", within=BOUND, since=flips[bad])
    world.await_watches(*held(world), within=BOUND, since=flips[bad])
    require(differs("owners cached", len(kinds_in(world.operator.snapshot, good)), 1), "at most one live cache per CR")
    world.allow(bad)
    world.await_success(bad, NAME, 1, within=BOUND)
    eventually("handlers and tasks as before", lambda: grown(idle, world.operator.metrics()), within=CONVERGED)
    return Outcome(healed, {"granted after flapping": right, "revoked after flapping": wrong})


# -- helpers of 9a.3 and 9a.4 ------------------------------------------------------------------------------------------


def grant_parts(world: World, part: Part) -> Grant:
    """Give the usual rights by two roles, and return the one for Deployments."""
    world.namespace(part.namespace)
    world.plane.grant(world.account, ["get", "list", "watch"], [PODS], namespace=part.namespace)
    return world.plane.grant(world.account, ALL_VERBS, [DEPLOYMENTS], namespace=part.namespace)


def lose(world: World, part: Part, grant: Grant) -> float:
    """Take the verbs away; return the time at which the server's own answer flipped."""
    grant.change(verbs=part.left, resources=[DEPLOYMENTS])
    return world.flipped(part.lost[0], DEPLOYMENTS, part.namespace, expected=False)


def part_problem(world: World, part: Part, before: Memcached, watches: list[str]) -> str | None:
    """Tell what is wrong some time after a part was lost."""
    found = world.memcached(part.namespace, NAME)
    named = [found.unnamed(verb, "deployments.apps", part.namespace) for verb in part.lost]
    kinds = kinds_in(world.operator.snapshot, part.namespace)
    open_now = watch_ids(world, part.namespace)
    kept = [differs("its watches", open_now, watches), None if kinds else "its cache is gone"]
    gone = [lost_badly(found, before), differs("its open watches", open_now, []), differs("its cache", kinds, {})]
    return first(named[0] if all(named) else None, *(gone if part.closes else kept))


def watch_ids(world: World, namespace: str) -> list[str]:
    """Return the ids of the watches that are open in a namespace."""
    return sorted(watch.id for watch in world.watches(namespace=namespace))


def held(world: World) -> list[str]:
    """Return the namespaces whose custom resources succeeded."""
    found = [Memcached(body) for body in world.plane.list("memcacheds.cache.example.com")]
    return [str(one.body["metadata"]["namespace"]) for one in found if one.state == "Succeeded"]


def grown(before: dict[str, float], now: dict[str, float]) -> str | None:
    """Tell that handlers or tasks are not as many as before."""
    names = (EVENT_HANDLERS, BACKGROUND_TASKS)
    return first(*(differs(name, now.get(name), before.get(name)) for name in names))


# -- helpers of 9a.2 ---------------------------------------------------------------------------------------------------


@contextmanager
def reading(world: World, identity: Identity, *options: str) -> Iterator[Program]:
    """Run the reader beside the operator; at the end it is asked to stop, and has time to say its last line."""
    log = world.logs / f"{identity.username.rpartition(':')[2]}.log"
    if world.inside is not None:
        program = world.inside.reader(identity, options, log)
    else:
        arguments = ["tests.acceptance.reader", f"--kubeconfig={identity.kubeconfig}", *options]
        program = Program.prepare(log.stem, arguments, log)
    with running(program):
        yield program


@contextmanager
def running(program: Program) -> Iterator[None]:
    """Run a test program; at the end it gets SIGTERM and time to say its last line."""
    program.process.launch()
    try:
        yield
    finally:
        program.process.stop(grace=5.0)


def owner_options(owner: Memcached) -> Iterable[str]:
    """Return the options that name an owner."""
    metadata = owner.body["metadata"]
    return f"--namespace={metadata['namespace']}", f"--name={metadata['name']}", f"--uid={metadata['uid']}"


def missing(program: Program, event: str) -> str | None:
    """Tell that a program has not said something yet."""
    require(program.unexpected_end(), "the test program runs")
    return None if program.log.events(event) else f"it never said {event}"


def final(program: Program) -> dict[str, Any]:
    """Return the last line of the reader."""
    lines = program.log.events("done")
    if not lines:
        raise Failed(f"{program.process.name} said no last word:\n{program.process.tail()}")
    return lines[-1]


def late_read(read: dict[str, Any], since: float) -> str | None:
    """Tell that a read returned an object after the bound, or after a Forbidden."""
    last, forbidden, handled = (read[name] - since for name in ("last_object_at", "forbidden_at", "handled_at"))
    return first(
        f"an object was read {last:.2f} s after the revocation" if last > BOUND else None,
        f"a handler was called {handled:.2f} s after the revocation" if handled > BOUND else None,
        "no handler was ever called" if not read["handled"] else None,
        f"an object was read after the first Forbidden, {last - forbidden:.3f} s later" if last > forbidden else None,
        f"only {read['rate']:.0f} reads a second" if read["rate"] < 500 else None,
        differs("other errors", read["other_errors"], 0),
    )


def touch_pods(world: World, namespace: str) -> None:
    """Change each Pod of a namespace."""
    for pod in world.pods(namespace):
        world.plane.patch(PODS, pod, {"metadata": {"annotations": {"touched": str(now())}}}, namespace)


def reconciled(world: World, log: int, namespace: str) -> str | None:
    """Tell that something in a namespace was heard of, or asked for, since a mark in the log."""
    lines = world.operator.log.events(since=log, namespace=namespace)
    watches = [w for kind in SECONDARY for w in world.watches(namespace=namespace, resource=kind)]
    return f"the log says {lines[0]}" if lines else told(watches) if watches else None


ROWS = (
    Row("9a.2", "revoked: after the bound nothing is delivered, no read returns an object", BOUND, nothing_delivered),
    Row("9a.call", "revoked: a call that meets the 403 raises at once, cached reads follow", 2.0, call_refused),
    Row("9a.3", "revoked in part: names the verb; create and update lost keep the cache", BOUND, parts_lost),
    Row("9a.4", "granted again: heals by itself; ten toggles end in the right state", BOUND, heal_and_flap),
)
