"""Rows O.* and N.*: an operator that declares its kinds, with rights in the whole cluster, and in single namespaces.

It opens nothing for its custom resources, so none of them waits for a right by itself: the controller's own informers
must tell all of them of a loss and of a gain. The rows are those of the table (7, 8, 9a.1 ...) as they look there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs

from scopedcache.metrics import BACKGROUND_TASKS, CACHED_OBJECTS, EVENT_HANDLERS, OPEN_WATCHES, RECONCILES
from scopedcache.testing import Grant

from .clock import now, pause
from .commands import DECLARING
from .denial import PERIOD, child_writes, lost_badly, too_many
from .extras import CLUSTER_BINDINGS, replicas
from .modes import BASIC_USER, SOON, restorable
from .observations import DEPLOYMENTS, MEMCACHEDS, PODS, SECONDARY, told
from .restarts import TORN_DOWN, kill, phases
from .rows import Outcome, Row
from .seed import looks_fine
from .starting import started
from .steps import at_rest, difference
from .waiting import Failed, differs, eventually, first, require
from .world import BOUND, CLUSTER_BINDING, CONFIG, CONVERGED, ROLLED_OUT, World

NAME = "memcached"
ONE, TWO = "declared-one", "declared-two"
AT_ONCE = 2.0
QUIET = 8.0
# Seconds between toggles: some are noticed, some come too fast for that.
PAUSES = (8.0, 8.0, 1.0, 1.0, 1.0, 0.0)
RECOVERY = 30.0
HEALTHY, UNREADY = 200, 503
RESTING_LOOKS = 20


@attrs.frozen
class Scene:
    """Who is hit when the rights to Deployments and Pods go, and who is not.

    Attributes:
        place: where those rights are given; None: in the whole cluster.
        own: gives the rights to the custom resources of the same place.
    """

    place: str | None
    hit: tuple[str, ...]
    spared: tuple[str, ...]
    needs: Grant
    own: Grant

    @property
    def words(self) -> str:
        return f"in namespace {self.place}" if self.place else "at the cluster scope"


@contextmanager
def in_the_whole_cluster(logs: Path | None) -> Iterator[World]:
    """Run a world whose operator has rights in the whole cluster, or nowhere."""
    with started(logs, "declared") as world:
        world.command = DECLARING
        world.plane.delete(CLUSTER_BINDINGS, CLUSTER_BINDING)
        own = world.plane.bind(world.account, "scoped-operator-cluster")
        needs = world.plane.bind(world.account, "scoped-operator-needs")
        needs.revoke()
        for namespace in (ONE, TWO):
            world.namespace(namespace)
        world.memory["scene"] = Scene(None, (ONE, TWO), (), needs, own)
        world.start_operator()
        yield world


@contextmanager
def in_single_namespaces(logs: Path | None) -> Iterator[World]:
    """Run a world whose operator has rights in single namespaces alone, those on its own kind too."""
    with started(logs, "declared-in-namespaces") as world:
        world.command = DECLARING
        world.plane.delete(CLUSTER_BINDINGS, CLUSTER_BINDING)
        grants = {}
        for namespace in (ONE, TWO):
            world.namespace(namespace)
            own = world.plane.bind(world.account, "scoped-operator-cluster", namespace=namespace)
            grants[namespace] = world.plane.bind(world.account, "scoped-operator-needs", namespace=namespace), own
        needs, own = grants[TWO]
        needs.revoke()
        world.memory["scene"] = Scene(TWO, (TWO,), (ONE,), needs, own)
        world.start_operator(f"--namespaces={ONE},{TWO}")
        yield world


def refuse(world: World) -> Outcome:
    """Row 7: the kinds were never allowed."""
    scene = scene_of(world)
    mark, since = world.plane.audit.mark(), now()
    for namespace in (ONE, TWO):
        world.create(namespace, NAME, 1)
    took = all_failed(world, scene, "NotPermitted", CONVERGED, since)
    for namespace in scene.spared:
        world.await_success(namespace, NAME, 1, within=ROLLED_OUT, since=since)
    for namespace in scene.hit:
        found = world.memcached(namespace, NAME)
        require(first(found.unnamed("deployments.apps", "Forbidden"), found.names_no_verb()), "status.state")
    require(degraded(world, HEALTHY, "deployments.apps", "pods"), "readiness")
    require(said(world, "watch.denied", 2), "the log since the start")
    require(idle(world, mark, QUIET), "while it may not work")
    return Outcome(took)


def grant(world: World) -> Outcome:
    """Row 8: healed without an edit, and then nothing runs hot."""
    scene = scene_of(world)
    log, since = world.operator.log.mark(), give(world, scene)
    took = max(
        eventually(f"a Deployment in {name}", partial(child_missing, world, name), within=BOUND, since=since)
        for name in scene.hit
    )
    done = all_succeeded(world, scene, 1, ROLLED_OUT, since)
    eventually("readiness", lambda: None if looks_fine(world) else "it is still degraded", within=BOUND, since=since)
    require(said(world, "watch.granted", 2, log), "the log since the grant")
    require(differs("generation", {world.memcached(n, NAME).generation for n in scene.hit}, {1}), "nobody touched a CR")
    pause(2.0)  # the last events of the rollout
    require(quiet(world, QUIET), "after the grant")
    return Outcome(took, {"Succeeded after": done})


def revoke_idle(world: World) -> Outcome:
    """Row 9a.1: nobody touches anything but the right; every custom resource says so."""
    scene = scene_of(world)
    before = {name: world.memcached(name, NAME) for name in scene.hit}
    log, mark = world.operator.log.mark(), world.plane.audit.mark()
    since = take(world, scene)
    took = all_failed(world, scene, "PermissionRevoked", BOUND, since)
    closed = eventually("its watches are closed", partial(watched, world, scene), within=BOUND, since=since)
    for name, one in before.items():
        found = world.memcached(name, NAME)
        require(first(lost_badly(found, one), found.unnamed("deployments.apps")), f"the status in {name}")
    require(degraded(world, HEALTHY, "deployments.apps", "pods"), "readiness")
    require(said(world, "watch.denied", 2, log), "the log since the loss")
    require(kept(world, scene), "the cache")
    require(idle(world, mark, QUIET), "after the loss")
    for name in scene.spared:
        require(world.memcached(name, NAME).not_succeeded(1), f"the CR in {name}")
    return Outcome(max(took, closed), {"watches closed after": closed, "statuses after": took})


def edit_revoked(world: World) -> Outcome:
    """Row 9b."""
    scene = scene_of(world)
    mark, since = world.plane.audit.mark(), now()
    for namespace in (ONE, TWO):
        world.resize(namespace, NAME, 2)
    took = all_failed(world, scene, "PermissionRevoked", AT_ONCE, since)
    for namespace in scene.spared:
        world.await_rollout(namespace, NAME, 2, since=since)
    for namespace in scene.hit:
        require(child_writes(world, mark, namespace), f"writes in {namespace}")
    return Outcome(took)


def heal(world: World) -> Outcome:
    """Row 9a.4: granted again, it takes up what was edited meanwhile."""
    scene = scene_of(world)
    since = give(world, scene)
    took = max(
        eventually("the child follows", partial(replicas, world, name, NAME, 2), within=BOUND, since=since)
        for name in scene.hit
    )
    all_succeeded(world, scene, 2, ROLLED_OUT, since)
    return Outcome(took)


def flap(world: World) -> Outcome:
    """Row 9a.4: toggles end in the right state, and leave nothing behind."""
    scene = scene_of(world)
    pause(2.0)
    before = at_rest(world)
    for number, seconds in enumerate(PAUSES):
        since = take(world, scene) if number % 2 == 0 else give(world, scene)
        pause(seconds)
    eventually("nothing is degraded", lambda: None if looks_fine(world) else "it is", within=BOUND, since=since)
    took = all_succeeded(world, scene, 2, BOUND, since)
    names = (EVENT_HANDLERS, BACKGROUND_TASKS, OPEN_WATCHES)

    def grown() -> str | None:
        after = world.operator.metrics()
        return first(*(differs(name, after.get(name), before.get(name)) for name in names))

    eventually("handlers, tasks and watches as before", grown, within=CONVERGED)
    return Outcome(took)


def create_lost(world: World) -> Outcome:
    """Row 9a.3: a verb that nobody declared is refused, named, and healed by its grant alone."""
    scene = scene_of(world)
    scene.needs.revoke()
    readable = world.plane.grant(world.account, ["get", "list", "watch"], [DEPLOYMENTS, PODS], namespace=scene.place)
    world.flipped("create", DEPLOYMENTS, scene.place, expected=False)
    since = now()
    for name in scene.hit:
        world.plane.delete(DEPLOYMENTS, NAME, name)
    took = all_failed(world, scene, "PermissionRevoked", BOUND, since)
    for name in scene.hit:
        require(world.memcached(name, NAME).unnamed("create", "deployments.apps"), "the message")
    since = give(world, scene)
    readable.revoke()
    healed = max(
        eventually(f"a Deployment in {name}", partial(child_missing, world, name), within=BOUND, since=since)
        for name in scene.hit
    )
    all_succeeded(world, scene, 2, ROLLED_OUT, since)
    return Outcome(took, {"healed after": healed})


def own_kind_lost(world: World) -> Outcome:
    """Rows S1.22 and X1: the custom resources themselves may not be seen, where they are hit."""
    scene = scene_of(world)
    pid = world.operator.process.pid
    scene.own.revoke()
    since = world.flipped("list", MEMCACHEDS, scene.place, expected=False)
    status = HEALTHY if scene.spared else UNREADY
    took = eventually("readiness", partial(degraded, world, status, "memcacheds"), within=BOUND, since=since)
    for name in scene.spared:
        world.scale(name, NAME, 4)
        eventually("the other place is worked on", partial(replicas, world, name, NAME, 2), within=AT_ONCE)
    for name in scene.hit:
        world.scale(name, NAME, 4)
    pause(1.0)
    scene.own.restore()
    since = world.flipped("list", MEMCACHEDS, scene.place)
    healed = max(
        eventually("the child is scaled back", partial(replicas, world, name, NAME, 2), within=BOUND, since=since)
        for name in scene.hit
    )
    require(differs("pid", world.operator.process.pid, pid), "no restart")
    all_succeeded(world, scene, 2, ROLLED_OUT, since)
    return Outcome(max(took, healed), {"degraded after": took, "healed after": healed})


def resting_versions(world: World) -> dict[str, str]:
    """Return the versions of both once they have stayed for a second: what a row before this healed is written down."""
    versions: dict[str, str] = {}
    for _ in range(RESTING_LOOKS):
        before, versions = versions, {name: world.memcached(name, NAME).version for name in (ONE, TWO)}
        if versions == before:
            break
        pause(1.0)
    return versions


def restart(world: World) -> Outcome:
    """Row B.restart: nothing was revoked, so nobody is told of a loss."""
    log = world.operator.log.mark()
    versions = resting_versions(world)
    took = 0.0
    for _ in phases(world, 1):
        back = kill(world, 0)
        fine = eventually("it is fine", lambda: None if looks_fine(world) else "it is not", within=RECOVERY, since=back)
        took = max(took, fine)
        pause(BOUND)  # long enough for a false denial to be confirmed
        lines = world.operator.log.events(*TORN_DOWN, since=log)
        require(f"the log says {lines[0]}" if lines else None, "the server was only restarted")
    now_there = {name: world.memcached(name, NAME).version for name in versions}
    require(differs("versions", now_there, versions), "the CRs")
    since = now()
    world.scale(ONE, NAME, 4)
    followed = eventually("it works on", partial(replicas, world, ONE, NAME, 2), within=RECOVERY, since=since)
    return Outcome(max(took, followed))


def told_by_events(world: World) -> Outcome:
    """Row 9a.6: with RBAC objects watched, in two seconds."""
    scene = scene_of(world)
    world.plane.apply(CONFIG / "rbac" / "watch" / "rbac-watch.yaml")
    eventually("RBAC objects are watched", lambda: rbac_unwatched(world), within=2 * BOUND)
    pause(2.0)
    since = take(world, scene)
    lost = all_failed(world, scene, "PermissionRevoked", SOON, since)
    since = give(world, scene)
    healed = all_succeeded(world, scene, 2, SOON, since)
    world.plane.delete(CLUSTER_BINDINGS, "op-rolebinding-rbac-watch")
    eventually("RBAC objects are not watched", lambda: rbac_watched(world), within=2 * BOUND)
    return Outcome(max(lost, healed))


def learned_by_trying(world: World) -> Outcome:
    """Row 9a.7: nobody may ask for his own rights."""
    scene = scene_of(world)
    basic = world.plane.get(CLUSTER_BINDINGS, BASIC_USER)
    if basic is None:
        raise Failed(f"there is no {BASIC_USER}")
    world.plane.delete(CLUSTER_BINDINGS, BASIC_USER)
    eventually("it learns by trying", lambda: asks_still(world), within=3 * BOUND)
    limit = world.operator.effective_bound
    since = take(world, scene)
    lost = all_failed(world, scene, "PermissionRevoked", limit, since)
    since = give(world, scene)
    healed = all_succeeded(world, scene, 2, limit, since)
    world.plane.create(restorable(basic))
    return Outcome(max(lost, healed), {"effective bound": limit})


# -- what an admin does ------------------------------------------------------------------------------------------------


def scene_of(world: World) -> Scene:
    scene = world.memory["scene"]
    assert isinstance(scene, Scene)
    return scene


def give(world: World, scene: Scene) -> float:
    """Grant; return the time at which the server's own answer flipped."""
    scene.needs.restore()
    return world.flipped("list", DEPLOYMENTS, scene.place)


def take(world: World, scene: Scene) -> float:
    """Revoke; return the time at which the server's own answer flipped."""
    scene.needs.revoke()
    return world.flipped("list", DEPLOYMENTS, scene.place, expected=False)


def all_failed(world: World, scene: Scene, reason: str, within: float, since: float) -> float:
    return max(world.await_failure(name, NAME, reason, within=within, since=since) for name in scene.hit)


def all_succeeded(world: World, scene: Scene, size: int, within: float, since: float) -> float:
    return max(world.await_success(name, NAME, size, within=within, since=since) for name in scene.hit)


# -- problems ----------------------------------------------------------------------------------------------------------


def degraded(world: World, status: int, *words: str) -> str | None:
    """Tell that the health answer is not this one, degraded, with reasons that name these words and the place."""
    health = world.operator.health()
    reasons = health.body.get("reasons", [])
    place = scene_of(world).words
    unnamed = [word for word in words if not any(word in reason and place in reason for reason in reasons)]
    return first(
        differs("its status", health.status, status),
        differs("degraded", health.body.get("degraded"), True),
        f"no reason names {', '.join(unnamed)} {place}: {reasons}" if unnamed else None,
    )


def said(world: World, event: str, times: int, since: int = 0) -> str | None:
    """Tell that an event was not logged so many times, or not for the place that is hit."""
    lines = world.operator.log.events(event, since=since)
    places = {line.get("namespace") for line in lines}
    return first(differs(event, len(lines), times), differs("its places", places, {scene_of(world).place}))


def idle(world: World, mark: object, seconds: float) -> str | None:
    """Tell that an operator that is refused runs hot, or asks or writes what it may not."""
    before, quiet_mark = world.operator.metrics(), world.plane.audit.mark()
    scene = scene_of(world)
    pause(seconds)
    reconciles = difference(before, world.operator.metrics(), RECONCILES)
    refused = [r for r in world.requests(quiet_mark, code=403) if r.resource in SECONDARY]
    return first(
        f"{reconciles:g} reconciles in {seconds:g} s" if reconciles > len(scene.hit) else None,
        too_many(told(refused), len(refused), seconds / PERIOD + 1),
        *(child_writes(world, mark, name) for name in scene.hit),
    )


def quiet(world: World, seconds: float) -> str | None:
    """Tell that something is reconciled though nothing happens."""
    before = world.operator.metrics()
    pause(seconds)
    return differs("reconciles", difference(before, world.operator.metrics(), RECONCILES), 0.0)


def watched(world: World, scene: Scene) -> str | None:
    """Tell that the kinds are still watched where they may not be."""
    found = [w for kind in SECONDARY for w in world.watches(resource=kind) if w.namespace == (scene.place or "")]
    return told(found) if found else None


def kept(world: World, scene: Scene) -> str | None:
    """Tell that more is held than the custom resources, and what the places that are not hit have."""
    own = len(world.plane.list(MEMCACHEDS))
    others = sum(len(world.plane.list(kind, name)) for kind in SECONDARY for name in scene.spared)
    return differs("objects held", world.operator.metrics().get(CACHED_OBJECTS), float(own + others))


def child_missing(world: World, namespace: str) -> str | None:
    """Tell that there is no Deployment."""
    return None if world.deployment(namespace, NAME) else "there is none"


def rbac_unwatched(world: World) -> str | None:
    """Tell that not all RBAC kinds are watched."""
    count = sum("rbac.authorization.k8s.io" in w.resource for w in world.watches())
    return f"{count} kinds are watched" if count < 4 else None


def rbac_watched(world: World) -> str | None:
    """Tell that an RBAC kind is watched."""
    found = [w for w in world.watches() if "rbac.authorization.k8s.io" in w.resource]
    return told(found) if found else None


def asks_still(world: World) -> str | None:
    """Tell that the operator does not learn by trying yet."""
    return None if world.operator.snapshot.get("attempting") else "it still asks"


Check = Callable[[World], Outcome]
CHECKS: Sequence[tuple[str, str, float | None, Check]] = (
    ("7", "denied from the start: said once, by status, log and readiness; nothing runs hot", CONVERGED, refuse),
    ("8", "grant: healed without an edit or a restart, and then quiet", BOUND, grant),
    ("9a.1", "revoke, idle: every custom resource hears of it; nothing is kept", BOUND, revoke_idle),
    ("9b", "revoke, edit: refused at once, children untouched", AT_ONCE, edit_revoked),
    ("9a.4", "granted again: what was edited meanwhile is taken up", BOUND, heal),
    ("9a.4.flap", "six toggles end in the right state, nothing is left behind", BOUND, flap),
    ("9a.3", "create lost: the verb is named, its grant heals", BOUND, create_lost),
    ("X1", "its own kind lost and granted: says so, recovers", BOUND, own_kind_lost),
)
IN_THE_WHOLE_CLUSTER: Sequence[tuple[str, str, float | None, Check]] = (
    ("9a.6", "RBAC objects watched: loss and grant noticed", SOON, told_by_events),
    ("9a.7", "self-reviews forbidden: learns by trying", 2 * BOUND, learned_by_trying),
)
# Last: for half a minute after a restart what is refused is doubted for longer.
AT_THE_END: Sequence[tuple[str, str, float | None, Check]] = (
    ("B.restart", "API server restarted: nobody is told of a loss", RECOVERY, restart),
)


def rows(prefix: str, checks: Sequence[tuple[str, str, float | None, Check]], where: str) -> tuple[Row, ...]:
    """Return the rows of one of the two operators."""
    return tuple(Row(f"{prefix}.{id_}", f"{where}: {title}", limit, check) for id_, title, limit, check in checks)


CLUSTER_ROWS = rows("O", (*CHECKS, *IN_THE_WHOLE_CLUSTER, *AT_THE_END), "owns=")
NAMESPACE_ROWS = rows("N", (*CHECKS, *AT_THE_END), "single namespaces")
