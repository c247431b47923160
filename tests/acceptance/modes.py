"""Rows 9a.6 and 9a.7: an operator that may watch RBAC objects, and one that may not even ask for its own rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scopedcache.access.detection_bound import PERIOD_SECONDS

from .clock import pause
from .denial import too_many
from .observations import DEPLOYMENTS, PODS, is_review, timeout_of, told
from .revocation import ALL_VERBS
from .rows import Outcome, Row
from .starting import started
from .waiting import differs, eventually, first, never, require
from .world import BOUND, CONFIG, ROLLED_OUT, World

NAME = "memcached"
SOON = 2.0
BASIC_USER = "system:basic-user"
RBAC_KINDS = 4


@contextmanager
def with_rbac_watch(logs: Path | None) -> Iterator[World]:
    """Run a world whose operator may watch RBAC objects."""
    with started(logs, "rbac-watch") as world:
        world.plane.apply(CONFIG / "rbac" / "watch" / "rbac-watch.yaml")
        world.start_operator("--no-leader-elect")
        yield world


@contextmanager
def without_reviews(logs: Path | None) -> Iterator[World]:
    """Run a world where nobody but the admin may ask for his own rights."""
    with started(logs, "no-reviews") as world:
        world.memory["basic user"] = world.plane.get(CLUSTER_BINDINGS, BASIC_USER)
        world.plane.delete(CLUSTER_BINDINGS, BASIC_USER)
        reviews = "selfsubjectrulesreviews.authorization.k8s.io"
        world.flipped("create", reviews, expected=False)
        yield world


CLUSTER_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"


def told_by_events(world: World) -> Outcome:
    """Row 9a.6."""
    bound, edited = "bound-by-admin", "role-of-its-own"
    require(differs("W0", world.baseline, 1 + RBAC_KINDS), "one watch for each RBAC kind")
    world.namespace(edited)
    world.plane.grant(world.account, ["get", "list", "watch"], [PODS], namespace=edited)
    role = world.plane.grant(world.account, ALL_VERBS, [DEPLOYMENTS], namespace=edited)
    world.settled(bound)
    world.create(edited, NAME, 1)
    world.await_success(edited, NAME, 1, within=ROLLED_OUT)

    since = world.revoke(bound)
    closed = world.await_unwatched(bound, within=SOON, since=since)
    lost = world.await_failure(bound, NAME, "PermissionRevoked", within=SOON, since=since)
    since = world.allow(bound)
    healed = world.await_success(bound, NAME, 1, within=SOON, since=since)

    role.change(verbs=["get", "list"], resources=[DEPLOYMENTS])
    since = world.flipped("watch", DEPLOYMENTS, edited, expected=False)
    by_role = world.await_failure(edited, NAME, "PermissionRevoked", within=SOON, since=since)
    role.change(verbs=ALL_VERBS, resources=[DEPLOYMENTS])
    since = world.flipped("watch", DEPLOYMENTS, edited)
    healed = max(healed, world.await_success(edited, NAME, 1, within=SOON, since=since))

    pause(3.0)  # reviews that follow an event are over
    mark, window = world.plane.audit.mark(), 6 * PERIOD_SECONDS
    pause(window)
    reviews = [r for r in world.requests(mark) if is_review(r)]
    most = 0.7 * 3 * window / PERIOD_SECONDS  # two namespaces in use, and the cluster; probes jitter by a tenth
    require(too_many(told(reviews), len(reviews), most), f"reviews in {window:.0f} s, the period stretched")
    facts: dict[str, Any] = {
        "healed": healed,
        "by an edited role": by_role,
        "reviews": len(reviews),
        "without the events": 3 * window / PERIOD_SECONDS,
    }
    return Outcome(max(closed, lost, healed, by_role), facts)


def learned_by_trying(world: World) -> Outcome:
    """Row 9a.7."""
    world.start_operator("--no-leader-elect")
    lost, kept, refused = "lost", "kept", "never-allowed"
    world.settled(lost, kept)
    world.namespace(refused)
    world.create(refused, NAME, 1)
    world.await_failure(refused, NAME, "NotPermitted", within=2 * BOUND)
    limit = world.operator.effective_bound
    require(None if 0 < limit <= 2 * BOUND else f"it is {limit}", "the effective bound in the health answer")
    eventually("watches end within the bound", lambda: too_long(world), within=2 * BOUND)

    since = world.revoke(lost)
    said = world.await_failure(lost, NAME, "PermissionRevoked", within=limit, since=since)
    closed = world.await_unwatched(lost, within=limit, since=since)
    since = world.allow(lost)
    healed = world.await_success(lost, NAME, 1, within=limit, since=since)
    since = world.allow(refused)
    granted = world.await_success(refused, NAME, 1, within=limit + ROLLED_OUT, since=since)

    def torn_down() -> str | None:
        return first(world.operator.unexpected_end(), world.memcached(kept, NAME).not_succeeded(1))

    never("the other namespace is disturbed", torn_down, during=BOUND)
    world.plane.create(restorable(world.memory["basic user"]))
    ended = eventually("the mode ends with the first answered review", lambda: still_short(world), within=3 * BOUND)
    return Outcome(
        max(said, closed), {"effective bound": limit, "healed": healed, "first grant": granted, "mode ended": ended}
    )


def too_long(world: World) -> str | None:
    """Tell which open watches of secondary kinds would outlive the bound."""
    watches = [w for w in world.watches() if w.namespace]
    found = [w for w in watches if (timeout_of(w) or 1e9) > BOUND]
    if not watches:
        return "no watch is open"
    return f"{told(found)} ask for {sorted({timeout_of(w) for w in found}, key=str)} s" if found else None


def still_short(world: World) -> str | None:
    """Tell that the operator still renews its watches to learn."""
    short = [w for w in world.watches() if w.namespace and (timeout_of(w) or 1e9) <= BOUND]
    return f"{told(short)} are still short" if short or not world.watches() else None


def restorable(body: dict[str, Any]) -> dict[str, Any]:
    """Return an object as it can be created again."""
    metadata = {key: value for key, value in body["metadata"].items() if key in ("name", "labels", "annotations")}
    return {**body, "metadata": metadata}


EVENT_ROWS = (Row("9a.6", "RBAC objects watched: loss and grant noticed, fewer reviews", SOON, told_by_events),)
TRYING_ROWS = (
    Row("9a.7", "self-reviews forbidden: learns by trying, and says its bound", 2 * BOUND, learned_by_trying),
)
