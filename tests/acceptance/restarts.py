"""Rows B.restart and B.ha: API servers restart under the operator. Nothing was revoked: nothing may be torn down.

A server that has just restarted answers false 403s for about a second, to reviews as well (semantics, §7).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from scopedcache.testing import ControlPlane
from scopedcache.testing.identities import kubeconfig, write_private

from .balancer import balanced
from .clock import now, pause
from .extras import replicas
from .observations import kinds_in
from .program import period
from .rows import Outcome, Row
from .starting import started, wanted_cluster
from .waiting import differs, eventually, first, require
from .world import BOUND, CONVERGED, ROLLED_OUT, World

NAME = "memcached"
NAMESPACES = ("steady-one", "steady-two")
RECOVERY = 30.0
DOWN = 2.0
LAG = 0.01  # how far the second embedded server is behind the first: as much as was measured on a real pair
TORN_DOWN = ("cache.removed", "access.denied", "watch.denied")


@contextmanager
def pair_world(logs: Path | None) -> Iterator[World]:
    """Run a world with two API servers on one etcd, where they are processes."""
    pair = {"ha": True} if wanted_cluster() == "real" else {}
    with started(logs, "restarts", **pair) as world:
        world.start_operator("--no-leader-elect")
        world.settled(*NAMESPACES)
        yield world


def kill(world: World, number: int) -> float:
    """Kill an API server, start it again two seconds later, and return when it was back."""
    if isinstance(world.plane, ControlPlane):
        server = world.plane.apiservers[number]
        server.kill()
        pause(DOWN)
        server.start(timeout=60.0)
    else:
        world.plane.front_ends[number].restart(down=DOWN)
        pause(DOWN)
    return now()


def phases(world: World, few: int) -> Iterator[int]:
    """Count restarts, each at another moment of the period of reviews: few, or many where time costs nothing."""
    many = few if world.inside is None else 16
    for number in range(many):
        pause(number * period(world.operator) / many)
        yield number


def server_restarts(world: World) -> Outcome:
    """Row B.restart: the only server that the operator knows is killed and comes back, twice."""
    rolled_out(world)
    before = remember(world)
    for _ in phases(world, 2):
        back = kill(world, 0)
        eventually("all watches are open again", lambda: world.watches_differ(*NAMESPACES), within=RECOVERY, since=back)
        pause(BOUND)  # long enough for a false denial to be confirmed
        require(torn_down(world, before), "the server was only restarted")
    refused = [r for r in world.requests(code=403) if r.namespace in NAMESPACES or r.resource.startswith("self")]
    took = follows_edits(world)
    return Outcome(took, {"false 403s": len(refused)})


def pair_restarts(world: World) -> Outcome:
    """Row B.ha: behind a load balancer one server after the other restarts."""
    with behind_balancer(world) as config:
        world.stop_operator()
        world.start_operator("--no-leader-elect", kubeconfig=config)
        for namespace in NAMESPACES:
            eventually("its cache", partial(uncached, world, namespace), within=CONVERGED)
        rolled_out(world)
        before = remember(world)
        for turn in phases(world, 2):
            number = turn % 2
            back = kill(world, number)
            eventually("all watches are open", lambda: kinds_watched(world), within=RECOVERY, since=back)
            pause(BOUND)
            require(torn_down(world, before), f"API server {number} was only restarted")
        used = {request.server for request in world.requests()}
        require(differs("the servers asked", used, {0, 1}), "both take part")
        took = follows_edits(world)
        world.stop_operator()
    return Outcome(took, {"servers": len(used)})


@contextmanager
def behind_balancer(world: World) -> Iterator[Path | None]:
    """Put both API servers behind one address; yield the kubeconfig that names it, None where nobody needs one."""
    if world.inside is not None:
        cluster = world.inside.cluster
        cluster.front_end(lag=LAG)
        world.inside.servers = cluster.front_ends
        try:
            yield None
        finally:
            world.inside.servers = ()
    else:
        plane, account = world.plane, world.account
        assert isinstance(plane, ControlPlane)
        with balanced(plane.urls) as url:
            config = world.logs / "balanced.kubeconfig"
            write_private(config, kubeconfig(url, plane.ca_file, account.username, account.token))
            yield config


@attrs.frozen
class Before:
    """What must not change."""

    versions: dict[str, str]
    statuses: dict[str, dict[str, Any]]
    owners: dict[str, list[str]]
    log: int


def remember(world: World) -> Before:
    """Note what is to stay as it is."""
    found = {namespace: world.memcached(namespace, NAME) for namespace in NAMESPACES}
    return Before(
        {namespace: one.version for namespace, one in found.items()},
        {namespace: one.status for namespace, one in found.items()},
        {namespace: list(kinds_in(world.operator.snapshot, namespace)) for namespace in NAMESPACES},
        world.operator.log.mark(),
    )


def rolled_out(world: World) -> None:
    """Wait until nothing of an earlier edit is under way: the controller manager, too, backs off after a restart."""
    since = now()
    for namespace in NAMESPACES:
        world.await_rollout(namespace, NAME, 1, within=2 * ROLLED_OUT, since=since)
        eventually("its Pods are those wanted", partial(world.moving, namespace, 1), within=2 * ROLLED_OUT, since=since)
        world.await_success(namespace, NAME, 1, within=2 * ROLLED_OUT, since=since)


def torn_down(world: World, before: Before) -> str | None:
    """Tell that something was taken for a revocation."""
    now = remember(world)
    lines = world.operator.log.events(*TORN_DOWN, since=before.log)
    return first(
        world.operator.unexpected_end(),
        f"the log says {lines[0]}" if lines else None,
        differs("the owners cached", now.owners, before.owners),
        differs("the statuses of the CRs", now.statuses, before.statuses),
        differs("the versions of the CRs", now.versions, before.versions),
    )


def follows_edits(world: World) -> float:
    """Edit each CR and return the seconds until the Deployments follow; Pods are the controller manager's affair."""
    since = now()
    for size in (2, 1):
        for namespace in NAMESPACES:
            world.resize(namespace, NAME, size)
        for namespace in NAMESPACES:
            eventually("the child follows", partial(replicas, world, namespace, NAME, size), within=RECOVERY)
    return now() - since


def kinds_watched(world: World) -> str | None:
    """Tell that the watches of a namespace are not all open; the other server may still count some as open."""
    return first(*(differs(n, len({w.resource for w in world.watches(namespace=n)}), 2) for n in NAMESPACES))


def uncached(world: World, namespace: str) -> str | None:
    """Tell that a namespace is not in the snapshot."""
    return None if kinds_in(world.operator.snapshot, namespace) else "it is not in the snapshot"


ROWS = (
    Row("B.restart", "API server killed and restarted, twice: nothing is torn down", RECOVERY, server_restarts),
    Row("B.ha", "two API servers behind a balancer, each restarted: nothing is torn down", RECOVERY, pair_restarts),
)
