"""Rows X2, X3, X4, X7: a namespace that goes, owners that share and come again, a child that is meddled with."""

from __future__ import annotations

from .clock import now, pause
from .denial import too_many
from .observations import DEPLOYMENTS, MEMCACHEDS, is_review, is_waiting, kinds_in, told
from .program import period
from .revocation import watch_ids
from .rows import Outcome, Row
from .waiting import differs, eventually, first, never, require
from .world import BOUND, CONVERGED, ROLLED_OUT, World

NAME = "memcached"
SWEEP = 30.0  # the namespace controller begins 5 s after the DELETE, and repeats
CLUSTER_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"


def namespace_deleted(world: World) -> Outcome:
    """X2."""
    namespace = "to-be-deleted"
    world.settled(namespace)
    since = now()
    world.plane.delete("namespaces", namespace)
    took = eventually("the namespace is gone", lambda: remains(world, namespace), within=SWEEP, since=since)
    world.await_unwatched(namespace, within=BOUND)
    eventually("the state forgot it", lambda: still_printed(world, namespace), within=BOUND)
    pause(2.0)
    mark, window = world.plane.audit.mark(), 5 * period(world.operator)

    def asks() -> str | None:
        found = world.requests(mark, namespace=namespace)
        return first(told(found) if found else None, world.operator.unexpected_end())

    never("a request for a namespace that is gone", asks, during=window)
    reviews = [r for r in world.requests(mark) if is_review(r)]
    in_use = len(world.operator.snapshot["namespaces"]) + 1
    require(too_many(told(reviews), len(reviews), 7 * in_use), "reviews in five periods, its own among them")
    return Outcome(took, {"quiet for": window, "reviews": len(reviews), "places in use": in_use})


def two_owners(world: World) -> Outcome:
    """X3."""
    namespace = world.namespace("shared", allowed=True)
    names = ("first", "second")
    for name in names:
        world.create(namespace, name, 1)
    for name in names:
        world.await_success(namespace, name, 1, within=ROLLED_OUT)
    watches = watch_ids(world, namespace)
    require(differs("open watches", len(watches), 2), "one for each kind, shared")
    require(differs("owners", len(kinds_in(world.operator.snapshot, namespace)), 2), "the snapshot")
    world.delete(namespace, "first")
    eventually("the first owner is forgotten", lambda: owners(world, namespace, 1), within=CONVERGED)
    pause(1.0)
    require(differs("open watches", watch_ids(world, namespace), watches), "the same two serve the other owner")
    since = now()
    world.scale(namespace, "second", 4)
    took = eventually(
        "the other owner still hears", lambda: replicas(world, namespace, "second", 1), within=2.0, since=since
    )
    world.delete(namespace, "second")
    world.await_unwatched(namespace, within=CONVERGED)
    return Outcome(took)


def recreated(world: World) -> Outcome:
    """X4."""
    namespace = "recreated"
    [before] = world.settled(namespace)
    world.delete(namespace, NAME)
    eventually("the old CR is gone", lambda: memcached_left(world, namespace), within=CONVERGED)
    since = now()
    after = world.create(namespace, NAME, 2)
    cached = eventually("only the new UID is cached", lambda: owned_by(world, namespace, after.uid), within=CONVERGED)
    took = eventually(
        "its own Deployment", lambda: child_of(world, namespace, after.uid), within=ROLLED_OUT, since=since
    )
    world.await_success(namespace, NAME, 2, within=ROLLED_OUT, since=since)
    require("it is the same" if before.uid == after.uid else None, "the new UID")
    require(differs("open watches", len(watch_ids(world, namespace)), 2), "one for each kind")
    return Outcome(took, {"cached after": cached})


def label_removed(world: World) -> Outcome:
    """X7."""
    namespace = "meddled-with"
    world.settled(namespace)
    labels = (world.deployment(namespace, NAME) or {})["metadata"]["labels"]
    mark, since = world.plane.audit.mark(), now()
    world.plane.patch(DEPLOYMENTS, NAME, {"metadata": {"labels": dict.fromkeys(labels)}}, namespace)
    took = eventually(
        "the labels are back", lambda: labels_lost(world, namespace, labels), within=CONVERGED, since=since
    )

    def creates() -> str | None:
        found = world.requests(mark, verb="create", namespace=namespace)
        return told(found) if found else None

    never("a second creation of a child that is there", creates, during=3.0)
    require(world.memcached(namespace, NAME).not_succeeded(1), "the CR")
    return Outcome(took, {"labels": len(labels)})


# -- problems ----------------------------------------------------------------------------------------------------------


def still_printed(world: World, namespace: str) -> str | None:
    """Tell that a namespace is in the snapshot."""
    snapshot = world.operator.snapshot
    there = kinds_in(snapshot, namespace) or is_waiting(snapshot, namespace)
    return f"the snapshot is {snapshot}" if there or not snapshot else None


def owners(world: World, namespace: str, count: int) -> str | None:
    """Tell that a namespace has not so many owners in the snapshot."""
    return differs("owners", len(kinds_in(world.operator.snapshot, namespace)), count)


def owned_by(world: World, namespace: str, uid: str) -> str | None:
    """Tell that a namespace is not cached for exactly this owner."""
    return differs("the UIDs cached", list(kinds_in(world.operator.snapshot, namespace)), [uid])


def child_of(world: World, namespace: str, uid: str) -> str | None:
    """Tell that the Deployment is not controlled by this UID."""
    found = world.deployment(namespace, NAME)
    references = (found or {"metadata": {}})["metadata"].get("ownerReferences", [])
    return differs("its owners", [ref["uid"] for ref in references if ref.get("controller")], [uid])


def replicas(world: World, namespace: str, name: str, count: int) -> str | None:
    """Tell that a Deployment does not ask for so many."""
    found = world.deployment(namespace, name)
    return differs("replicas", found and found["spec"]["replicas"], count)


def labels_lost(world: World, namespace: str, labels: dict[str, str]) -> str | None:
    """Tell which labels are not there."""
    found = world.deployment(namespace, NAME)
    return differs("labels", found and found["metadata"].get("labels"), labels)


def memcached_left(world: World, namespace: str) -> str | None:
    """Tell that the CR is there."""
    return None if world.plane.get(MEMCACHEDS, NAME, namespace) is None else "it is there"


def remains(world: World, namespace: str) -> str | None:
    """Tell that a namespace is there."""
    found = world.plane.get("namespaces", namespace)
    return None if found is None else f"it is {found['status']}"


ROWS = (
    Row("X2", "namespace deleted with a CR inside: cache gone, no loop", SWEEP, namespace_deleted),
    Row("X3", "two CRs in a namespace share two watches; one goes, the other stays", 2.0, two_owners),
    Row("X4", "CR deleted and made again under its name: the old owner's cache is gone", ROLLED_OUT, recreated),
    Row("X7", "labels of the child removed by hand: restored, nothing created twice", CONVERGED, label_removed),
)
