"""Steps 1 to 6: set-up, start, two custom resources in namespaces where the operator may work."""

from __future__ import annotations

import functools
import statistics
from typing import Any

from scopedcache.errors import InvalidError
from scopedcache.metrics import BACKGROUND_TASKS, EVENT_HANDLERS, RECONCILES
from scopedcache.testing import ControlPlane

from .clock import now, pause
from .in_pod import OperatorPod, image_on
from .observations import DEPLOYMENTS, FINALIZER, MEMCACHEDS, SECONDARY, is_work, kinds_in, told
from .rows import Outcome, Row
from .waiting import Failed, NotRun, differs, eventually, first, never, require
from .world import CONFIG, CONVERGED, LEASE, ROLLED_OUT, START, SYSTEM, World, set_up

ONE, TWO, DENIED = "allowed-one", "allowed-two", "denied"
SIZES = {ONE: 2, TWO: 3}
QUIET = 30.0
WORKERS = 3
LOOKS = 17


def sample(namespace: str) -> str:
    """Return the name of the sample custom resource of a namespace."""
    return f"memcached-sample-{namespace}"


def set_up_rights(world: World) -> Outcome:
    """Step 1."""
    began = now()
    set_up(world.plane)
    for namespace in (ONE, TWO, DENIED):
        world.namespace(namespace, allowed=namespace != DENIED)
    answers = {
        "create deployments in allowed-one": (world.plane.allowed(world.account, "create", DEPLOYMENTS, ONE), True),
        "create deployments in allowed-two": (world.plane.allowed(world.account, "create", DEPLOYMENTS, TWO), True),
        "create deployments in denied": (world.plane.allowed(world.account, "create", DEPLOYMENTS, DENIED), False),
        "list memcacheds everywhere": (world.plane.allowed(world.account, "list", MEMCACHEDS), True),
        "list deployments everywhere": (world.plane.allowed(world.account, "list", DEPLOYMENTS), False),
    }
    for asked, (seen, expected) in answers.items():
        require(differs("the answer", seen, expected), f"may the operator {asked}?")
    return Outcome(now() - began, {"reviews": len(answers)})


def run_as_process(world: World) -> Outcome:
    """Step 2: the operator runs as a process under the ServiceAccount's token."""
    began = now()
    operator = world.launch_operator("--leader-elect", f"--workers={WORKERS}")
    world.memory["pid"] = operator.process.pid
    eventually(
        "the operator answers", lambda: None if operator.health("/healthz").status else "no answer", within=START
    )
    require(operator.unexpected_end(), "the operator runs")
    if world.inside is not None:
        raise NotRun("the operator is a task of this process, in virtual time: a process of its own is real only")
    return Outcome(now() - began, {"account": world.account.username.rpartition(":")[2]})


def run_in_pod(world: World) -> Outcome:
    """Step 2, the part that needs a node: the rows that follow see the operator in its Pod."""
    plane = world.plane
    if not isinstance(plane, ControlPlane) or plane.node is None:
        raise NotRun("this cluster runs no containers: CLUSTER=node does")
    world.stop_operator()
    image_on(plane.node)
    began = now()
    world.in_pod = True
    pod = world.launch_operator("--leader-elect", f"--workers={WORKERS}")
    assert isinstance(pod, OperatorPod)
    took = eventually("the Pod is ready", pod.unready, within=ROLLED_OUT, since=began)
    require(pod.unexpected_end(), "the Pod runs")
    require(differs("restarts", pod.process.restarts, 0), "the Pod runs")
    world.memory["pid"] = pod.process.pid
    return Outcome(took, {"restarts": pod.process.restarts})


def start(world: World) -> Outcome:
    """Step 3."""
    operator = world.operator
    began = now()
    eventually("the operator is ready", world.operator_unready, within=START)
    led = eventually("the Lease is held", lambda: lease_problem(world), within=START, since=began)
    eventually("the CR kind is watched", lambda: watches_of(world, 1), within=CONVERGED)
    world.baseline = len(world.watches())
    require(differs("the number of open watches", world.baseline, 1), "W0 without rights on RBAC objects")
    require("metrics are empty" if not operator.metrics() else None, "the metrics server answers")
    require(differs("namespaces", operator.snapshot.get("namespaces"), {}), "the snapshot before any CR")
    started = operator.log.events("watch.started")
    require(differs("watch.started events", len(started), 1), "one informer at the start")
    never("a request for a secondary kind before a CR exists", lambda: secondary_requests(world), during=3.0)
    workers = operator.health().body["controllers"]["memcached"]["workers"]["of"]
    require(differs("workers", workers, WORKERS), "as configured")
    facts: dict[str, Any] = {"open watches": world.baseline, "workers": workers, "metrics": len(operator.metrics())}
    return Outcome(led, facts)


def create_samples(world: World) -> Outcome:
    """Step 4."""
    began = now()
    for namespace in SIZES:
        world.plane.apply(CONFIG / "samples" / f"{sample(namespace)}.yaml")
    took = now() - began
    world.memory["created"] = began
    for size in (-1, "two", None):
        try:
            world.create(ONE, "memcached-refused", size)  # type: ignore[arg-type]  # what a person may write
        except InvalidError:
            continue
        raise Failed(f"a Memcached of size {size!r} was accepted")
    for namespace, size in SIZES.items():
        found = world.memcached(namespace, sample(namespace)).body["spec"]["size"]
        require(differs("spec.size", found, size), f"the sample in {namespace}")
    return Outcome(took, {"refused": "size -1, 'two', null"})


def follow_events(world: World) -> Outcome:
    """Step 5."""
    since = world.memory["created"]
    took = max(
        eventually(
            f"a Deployment in {namespace}",
            lambda namespace=namespace: None if world.deployment(namespace, sample(namespace)) else "none",  # type: ignore[misc]
            within=CONVERGED,
            since=since,
        )
        for namespace in SIZES
    )
    world.await_watches(ONE, TWO, within=CONVERGED, since=since)
    for namespace in SIZES:
        found = world.memcached(namespace, sample(namespace))
        kinds = kinds_in(world.operator.snapshot, namespace)
        require(differs("the snapshot", {uid: len(k) for uid, k in kinds.items()}, {found.uid: 2}), namespace)
        require(differs("finalizers", found.finalizers, [FINALIZER]), f"the CR in {namespace}")
        # The line about a creation is written when its answer is there, which may be after we have seen the child.
        wanted = functools.partial(order_problem, world, namespace)
        eventually(f"the order of events in {namespace}", wanted, within=CONVERGED, since=since)
        require(created_too_early(world, namespace), f"the child in {namespace}")
    handlers = world.operator.metrics().get(EVENT_HANDLERS, 0.0)
    most = len(SIZES) * len(SECONDARY) + 1
    require(f"there are {handlers:g}, at most {most} are needed" if handlers > most else None, "event handlers")
    world.scale(ONE, sample(ONE), 4)
    healed = eventually("a child scaled by hand is scaled back", lambda: wrong_replicas(world), within=2.0)
    return Outcome(took, {"child change seen after": healed, "handlers": handlers})


def reach_result(world: World) -> Outcome:
    """Step 6."""
    since = world.memory["created"]
    took = 0.0
    for namespace, size in SIZES.items():
        # A child that was scaled by hand and back, in step 5, looks complete before its Pods have come and gone.
        still = functools.partial(world.moving, namespace, size)
        eventually(f"the Pods in {namespace} are those wanted", still, within=ROLLED_OUT, since=since)
        took = max(took, world.await_rollout(namespace, sample(namespace), size, since=since))
        took = max(took, world.await_success(namespace, sample(namespace), size, within=ROLLED_OUT, since=since))
        # The operator sees the Deployment and its Pods each in its own time; what lasts counts.
        wanted = functools.partial(result_problem, world, namespace, size)
        eventually(f"kubectl get memcacheds -n {namespace}", wanted, within=CONVERGED)
    pause(1.0)  # the last events of the rollout
    mark, before = world.plane.audit.mark(), world.operator.metrics()
    never("a write of an idle operator", lambda: work_since(world, mark), during=QUIET, interval=1.0)
    after = at_rest(world)
    reconciles = difference(before, after, RECONCILES)
    require(differs("reconciles while idle", reconciles, 0.0), "nothing changed")
    require(world.watches_differ(*SIZES), "after the quiet time")
    world.memory["idle"] = after
    return Outcome(took, {"quiet for": QUIET, "writes": 0, "reconciles": reconciles})


def result_problem(world: World, namespace: str, size: int) -> str | None:
    """Tell that a custom resource does not show its result, to kubectl's eyes and to programs'."""
    nodes = world.memcached(namespace, sample(namespace)).nodes
    row = world.table(MEMCACHEDS, namespace)[0]
    seen = {column: row.get(column) for column in ("Size", "Ready", "Reason")}
    wanted = {"Size": size, "Ready": "True", "Reason": "ReconcileSucceeded"}
    return first(differs("status.nodes", nodes, world.pods(namespace)), differs("the columns", seen, wanted))


def lease_problem(world: World) -> str | None:
    """Tell that nobody holds the Lease."""
    lease = world.plane.get("leases.coordination.k8s.io", LEASE, SYSTEM)
    return None if lease and lease["spec"].get("holderIdentity") else f"the Lease is {lease and lease['spec']}"


def watches_of(world: World, count: int) -> str | None:
    """Tell that not so many watches of the CR kind are open."""
    return differs("open watches of memcacheds", len(world.watches(resource=MEMCACHEDS)), count)


def secondary_requests(world: World) -> str | None:
    """Tell which requests for secondary kinds there were."""
    found = [request for kind in SECONDARY for request in world.requests(resource=kind)]
    return told(found) if found else None


def work_since(world: World, mark: Any) -> str | None:
    """Tell which writes there were since a mark in the audit log; reviews and Lease renewals do not count."""
    found = [request for request in world.requests(mark) if is_work(request)]
    return told(found) if found else None


def at_rest(world: World) -> dict[str, float]:
    """Return the metrics of an idle operator; of its tasks the middle of many looks, as a review's come and go."""
    looks = []
    for _ in range(LOOKS):
        looks.append(world.operator.metrics())
        pause(0.3)  # all of them take longer than a period of the reviews
    return looks[-1] | {BACKGROUND_TASKS: statistics.median(look[BACKGROUND_TASKS] for look in looks)}


def difference(before: dict[str, float], after: dict[str, float], name: str) -> float:
    """Return how much a metric grew. What is asked for by a name that nobody reports did not stay the same."""
    if name not in after:
        raise ValueError(f"the operator reports no {name}")
    return after[name] - before.get(name, 0.0)


def order_problem(world: World, namespace: str) -> str | None:
    """Tell that the events of a CR did not come in order: cache, two watches, look-up, creation."""
    names = ("cache.created", "watch.started", "child.get", "child.create")
    seen = [line["event"] for line in world.operator.log.events(*names, namespace=namespace)]
    wanted = ["cache.created", "watch.started", "watch.started", "child.get", "child.create"]
    return differs("the beginning of the log", seen[: len(wanted)], wanted)


def created_too_early(world: World, namespace: str) -> str | None:
    """Tell that the operator created a child before both of its watches were answered."""
    creates = world.requests(resource=DEPLOYMENTS, namespace=namespace, verb="create")
    watches = [w for kind in SECONDARY for w in world.requests(resource=kind, namespace=namespace, verb="watch")]
    late = [watch for watch in watches if not creates or watch.received > creates[0].received]
    return first(
        differs("creates", [r.code for r in creates], [201]),
        f"created before: {told(late)}" if late else None,
    )


def wrong_replicas(world: World) -> str | None:
    """Tell that the Deployment in allowed-one was not scaled back."""
    deployment = world.deployment(ONE, sample(ONE))
    return differs("replicas", deployment and deployment["spec"]["replicas"], SIZES[ONE])


ROWS = (
    Row("1", "set-up: the server's answers are those of the manifests", ROLLED_OUT, set_up_rights),
    Row("2", "deploy: the operator runs as a process under its ServiceAccount", START, run_as_process),
    Row("2.pod", "deploy: the operator runs in a pod", ROLLED_OUT, run_in_pod),
    Row("3", "start: Lease, probes, metrics, one watch, nothing asked of secondary kinds", START, start),
    Row("4", "create: samples accepted, bad sizes refused by the schema", CONVERGED, create_samples),
    Row("5", "events: cache, two watches, sync, look-up, creation, in this order", CONVERGED, follow_events),
    Row("6", "result: 2/2 and 3/3, status complete; then 30 s without a write", ROLLED_OUT, reach_result),
)
