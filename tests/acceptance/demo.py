"""`python -m tests.acceptance.demo`: the ten steps as a story, on the cluster of CLUSTER; 0 if all held."""

from __future__ import annotations

import signal
import sys
import time
from datetime import datetime
from typing import Any

from scopedcache.errors import ScopedCacheError

from .__main__ import interrupt
from .clock import now
from .denial import NAME, SECOND, absent
from .observations import DEPLOYMENTS, MEMCACHEDS, PODS, kinds_in
from .starting import check_cluster, started, wanted_cluster
from .steps import DENIED, ONE, SIZES, TWO, lease_problem, sample
from .story_printer import Voice
from .waiting import Failed, differs, eventually, never, require
from .world import BOUND, CONFIG, CONVERGED, ROLLED_OUT, START, World, set_up

CONFIG_PATH = "examples/memcached_operator/config"
NAMESPACES = (ONE, TWO, DENIED)
STARTING = {
    "embedded": "Starting the embedded cluster, an API server in this process; CLUSTER=real starts a real one.",
    "real": "Starting etcd, kube-apiserver and kube-controller-manager on loopback (a few seconds).",
}
RIGHTS = (
    ("list", PODS),
    ("list", DEPLOYMENTS),
    ("watch", DEPLOYMENTS),
    ("create", DEPLOYMENTS),
    ("update", DEPLOYMENTS),
)
SHOWN = ("cache.created", "watch.started", "cache.synced", "child.get", "child.create")


def set_up_step(world: World, voice: Voice) -> None:
    voice.admin(f"kubectl apply -f {CONFIG_PATH}/crd.yaml -f {CONFIG_PATH}/rbac/operator.yaml")
    voice.admin(f"kubectl apply -f {CONFIG_PATH}/rbac/scoped-operator-needs.yaml")
    set_up(world.plane)
    for namespace in NAMESPACES:
        world.namespace(namespace, allowed=namespace != DENIED)
        voice.admin(f"kubectl create namespace {namespace}")
    for namespace in (ONE, TWO):
        voice.admin(f"kubectl apply -n {namespace} -f {CONFIG_PATH}/rbac/rolebinding.yaml")
    show_matrix(world, voice)
    allowed = [world.plane.allowed(world.account, "create", DEPLOYMENTS, namespace) for namespace in NAMESPACES]
    require(differs("create deployments", allowed, [True, True, False]), "the rights")
    voice.held("the operator may work in two namespaces, and nowhere else")


def deploy_step(world: World, voice: Voice) -> None:
    voice.admin("python -m examples.memcached_operator --kubeconfig …   (its ServiceAccount's token)")
    operator = world.launch_operator("--leader-elect")
    took = eventually(
        "the operator answers", lambda: None if operator.health("/healthz").status else "no answer", within=START
    )
    voice.held("the operator runs, as a process: no cluster here runs Pods", took, START)


def start_step(world: World, voice: Voice) -> None:
    took = eventually("the operator is ready", world.operator_unready, within=START)
    eventually("the Lease is held", lambda: lease_problem(world), within=START)
    eventually("the CR kind is watched", world.unwatched, within=CONVERGED)
    world.baseline = len(world.watches())
    voice.held("ready; it leads by its Lease, health and metrics answer", took, START)
    require(differs("open watches", world.baseline, 1), "before any custom resource")
    voice.held("one watch is open, for Memcached; Deployments and Pods were not asked for")


def create_step(world: World, voice: Voice) -> None:
    world.memory["created"] = now()
    for namespace in SIZES:
        voice.admin(f"kubectl apply -f {CONFIG_PATH}/samples/{sample(namespace)}.yaml")
        world.plane.apply(CONFIG / "samples" / f"{sample(namespace)}.yaml")
    voice.held("two custom resources: 2 servers in allowed-one, 3 in allowed-two")


def events_step(world: World, voice: Voice) -> None:
    since = world.memory["created"]
    took = max(world.await_rollout(n, sample(n), size, since=since) for n, size in SIZES.items())
    world.memory["rolled out"] = took
    world.await_watches(ONE, TWO, within=CONVERGED)
    lines = world.operator.log.events(*SHOWN, namespace=ONE)
    moments = [datetime.fromisoformat(line["time"]) for line in lines]
    for moment, line in list(zip(moments, lines, strict=True))[: len(SHOWN) + 1]:
        took_so_far = (moment - moments[0]).total_seconds()
        voice.quote(f"{took_so_far:.3f} s  {line['event']:<14} {line.get('kind', '')}".rstrip())
    require(
        differs(
            "the first events",
            [line["event"] for line in lines[:3]],
            ["cache.created", "watch.started", "watch.started"],
        ),
        ONE,
    )
    voice.held("a cache, two watches, a look-up in the synced cache, only then a Deployment")
    voice.held(f"{len(world.watches())} watches are open: 2 kinds in 2 namespaces, and Memcached")


def result_step(world: World, voice: Voice) -> None:
    since = world.memory["created"]
    took = max(world.await_success(n, sample(n), size, within=ROLLED_OUT, since=since) for n, size in SIZES.items())
    show_resources(world, voice, *SIZES)
    voice.held("2/2 and 3/3 servers available", world.memory["rolled out"], ROLLED_OUT)
    voice.held("both custom resources say so", took, ROLLED_OUT)


def denied_step(world: World, voice: Voice) -> None:
    voice.admin(f"kubectl apply -f {CONFIG_PATH}/samples/{NAME}.yaml")
    mark, since = world.plane.audit.mark(), now()
    world.plane.apply(CONFIG / "samples" / f"{NAME}.yaml")
    voice.admin(f'kubectl -n {ONE} patch memcached {sample(ONE)} --type merge -p \'{{"spec": {{"size": 3}}}}\'')
    world.resize(ONE, sample(ONE), 3)
    took = world.await_failure(DENIED, NAME, "NotPermitted", within=CONVERGED, since=since)
    neighbour = world.await_rollout(ONE, sample(ONE), 3, within=CONVERGED, since=since)
    voice.held("the custom resource in `denied` says which right is missing", took, CONVERGED)
    voice.quote(world.memcached(DENIED, NAME).message)
    voice.held("nobody waited for it: allowed-one has 3/3", neighbour, CONVERGED)
    world.await_watches(ONE, TWO, within=CONVERGED)
    never("a request for the denied namespace", lambda: asked(world, mark), during=3.0)
    voice.held("no list, no watch, no write was sent to `denied`, no 403 came back")


def grant_step(world: World, voice: Voice) -> None:
    voice.admin(f"kubectl apply -n {DENIED} -f {CONFIG_PATH}/rbac/rolebinding.yaml")
    since = world.allow(DENIED)
    voice.quote("Nobody tells the operator. It asks the server what it may do, every few seconds …")
    took = eventually("a Deployment in denied", lambda: absent(world, NAME), within=BOUND, since=since)
    rolled = world.await_rollout(DENIED, NAME, 1, since=since)
    world.await_success(DENIED, NAME, 1, within=ROLLED_OUT, since=since)
    show_matrix(world, voice)
    voice.held("the Deployment is there; nobody edited anything, nothing was restarted", took, BOUND)
    voice.held("1/1 servers available", rolled, ROLLED_OUT)
    show_resources(world, voice, DENIED)


def revoke_step(world: World, voice: Voice) -> None:
    voice.admin(f"kubectl delete -n {DENIED} rolebinding op-rolebinding-default   (nothing else happens)")
    since = world.revoke(DENIED)
    voice.quote("Its watches go on delivering: the server checks rights only when a watch is opened …")
    said = world.await_failure(DENIED, NAME, "PermissionRevoked", within=BOUND, since=since)
    closed = world.await_watches(ONE, TWO, within=BOUND, since=since)
    show_matrix(world, voice)
    voice.held("both watches were closed by the operator, its copies dropped", closed, BOUND)
    voice.held("the custom resource says what was lost", said, BOUND)
    found = world.memcached(DENIED, NAME)
    voice.quote(found.message)
    require(None if found.stale and found.nodes else f"the status is {found.status}", "nodes kept and marked")
    voice.held(f"status.nodes is kept, and marked: Stale={found.condition('Stale')['status']}")

    voice.admin(f'kubectl -n {DENIED} patch memcached {NAME} --type merge -p \'{{"spec": {{"size": 2}}}}\'')
    since = now()
    world.resize(DENIED, NAME, 2)
    voice.held(
        "an edit is refused at once",
        world.await_failure(DENIED, NAME, "PermissionRevoked", within=2.0, since=since),
        2.0,
    )
    voice.admin(f"kubectl apply -n {DENIED} -f second.yaml   (a second Memcached, size 6)")
    since = now()
    world.create(DENIED, SECOND, 6)
    voice.held(
        "a second one never had the right",
        world.await_failure(DENIED, SECOND, "NotPermitted", within=CONVERGED, since=since),
        CONVERGED,
    )
    show_resources(world, voice, DENIED)


def delete_step(world: World, voice: Voice) -> None:
    voice.admin(f"kubectl delete -n {DENIED} memcached --all   (the right is still revoked)")
    since = now()
    for name in (NAME, SECOND):
        world.delete(DENIED, name)
    took = eventually("both are gone", lambda: left(world), within=2.0, since=since)
    voice.held("both custom resources are gone, no finalizer held them", took, 2.0)
    collected = eventually(
        "no Deployment", lambda: None if absent(world, NAME) else "it is there", within=ROLLED_OUT, since=since
    )
    voice.held("the garbage collector took the Deployment the operator may not delete", collected, ROLLED_OUT)
    world.await_watches(ONE, TWO, within=CONVERGED)
    require(
        f"{kinds_in(world.operator.snapshot, DENIED)}" if kinds_in(world.operator.snapshot, DENIED) else None,
        "the cache",
    )
    voice.held(f"{len(world.watches())} watches are open, as in step 5; nothing is left of `denied`")


STEPS = (
    ("an admin sets the stage", set_up_step),
    ("the operator is deployed", deploy_step),
    ("it starts, and asks for nothing it does not need", start_step),
    ("two custom resources", create_step),
    ("what the operator does", events_step),
    ("what comes of it", result_step),
    ("a custom resource where the operator may not work", denied_step),
    ("the right is granted", grant_step),
    ("the right is revoked", revoke_step),
    ("the custom resource is deleted while the right is revoked", delete_step),
)


def show_matrix(world: World, voice: Voice) -> None:
    """Show what the server says the operator may do."""
    rows = [
        {
            "namespace": namespace,
            **{f"{verb} {kind.partition('.')[0]}": mark(world, verb, kind, namespace) for verb, kind in RIGHTS},
        }
        for namespace in NAMESPACES
    ]
    voice.quote("What the server lets the operator do now:")
    voice.table(rows)


def mark(world: World, verb: str, kind: str, namespace: str) -> str:
    """Return the server's answer as a word."""
    return "yes" if world.plane.allowed(world.account, verb, kind, namespace) else "no"


def show_resources(world: World, voice: Voice, *namespaces: str) -> None:
    """Show what `kubectl get memcacheds` prints."""
    voice.table([{"namespace": n, **row} for n in namespaces for row in world.table(MEMCACHEDS, n)])


def asked(world: World, since: Any) -> str | None:
    """Tell what the operator asked for in the denied namespace, apart from its own custom resource."""
    found = [r for r in world.requests(since, namespace=DENIED) if r.resource != MEMCACHEDS or r.code == 403]
    return f"{found[0].verb} {found[0].resource} {found[0].code}" if found else None


def left(world: World) -> str | None:
    """Tell which custom resources are left in the denied namespace."""
    names = [body["metadata"]["name"] for body in world.plane.list(MEMCACHEDS, DENIED)]
    return f"{', '.join(names)} left" if names else None


def main() -> int:
    """Tell the story. Return 0 when every step held, 1 when one did not, 2 when nothing could be started."""
    signal.signal(signal.SIGTERM, interrupt)
    voice, began = Voice(), time.monotonic()
    try:
        check_cluster()
        voice.line(STARTING[wanted_cluster()])
        with started(None, "demo", applied=False, apart=True) as world:
            voice.line(f"Kubernetes {world.plane.request('GET', '/version')['gitVersion']} is ready.")
            for number, (title, tell) in enumerate(STEPS, 1):
                voice.step(number, title)
                tell(world, voice)
    except Failed as error:
        voice.failed(str(error))
        return 1
    except ScopedCacheError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    voice.line("\n" + voice.paint(f"All ten steps held, in {time.monotonic() - began:.0f} s.", "1"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
