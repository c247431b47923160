"""Where rows run: a cluster, the manifests applied by an admin, and the operator under its account.

The operator is a process, or a task of this one (`inside.py`). The world acts as the admin (grants, edits, deletes) and
looks on: at requests, objects, log lines, health and metrics, never into the operator.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import attrs

from scopedcache.testing import AuditRequest, ControlPlane, EmbeddedCluster, Identity
from scopedcache.testing.control_plane.processes import free_ports

from .clock import now
from .commands import EXAMPLE, Command
from .in_pod import OperatorPod
from .in_process import Inside
from .observations import DEPLOYMENTS, MEMCACHEDS, PODS, REPLICASETS, SECONDARY, Manifest, Memcached, moving, rollout
from .program import ROOT, Operator, OperatorProcess, Program
from .waiting import Failed, differs, eventually, require

CONFIG = ROOT / "examples" / "memcached_operator" / "config"
SYSTEM = "scoped-memcached-operator-system"
ACCOUNT = "scoped-memcached-operator-controller-manager"
LEASE = "86f835c3.example.com"
BINDING = "op-rolebinding-default"
CLUSTER_BINDING = "op-rolebinding-cluster"
BOUND = 10.0  # what is to happen within B: 7.5 s by default, 9.5 s after trouble
CONVERGED = 5.0  # T, the time for a change to take effect
ROLLED_OUT = 60.0
START = 15.0
AT_ONCE = 8
# Where rows run: both have the same shape.
Cluster = ControlPlane | EmbeddedCluster
T = TypeVar("T")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Memory(dict[str, Any]):
    """What rows leave for later ones of their story. What a row that failed did not leave is named."""

    def __missing__(self, name: str) -> NoReturn:
        raise Failed(f"an earlier row that failed, or was not run, would have left: {name}")


@attrs.define(eq=False)
class World:
    """A control plane with the operator's manifests applied.

    Attributes:
        account: the operator's identity.
        inside: where tasks of this process take the place of processes; None: nowhere.
        command: the operator that is started.
        in_pod: operators that are started run in a Pod.
        baseline: W0, the watches that are open while no custom resource exists; None until they were counted.
        memory: what a row of a story leaves for later rows.
    """

    plane: Cluster
    account: Identity
    logs: Path
    inside: Inside | None = None
    command: Command = EXAMPLE
    in_pod: bool = False
    baseline: int | None = None
    memory: Memory = attrs.field(factory=Memory)
    _operator: Operator | None = None
    _started: int = 0

    # -- the admin -----------------------------------------------------------------------------------------------

    def namespace(self, name: str, *, allowed: bool = False) -> str:
        """Create a namespace, and give the operator its rights there where `allowed`."""
        self.plane.create_namespace(name)
        if allowed:
            self.allow(name)
        return name

    def allow(self, namespace: str) -> float:
        """Bind what the operator needs in a namespace; return the time at which the server's own answer flipped."""
        self.plane.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace)
        return self.flipped("list", DEPLOYMENTS, namespace)

    def revoke(self, namespace: str) -> float:
        """Delete that binding; return the time at which the server's own answer flipped."""
        self.plane.delete("rolebindings.rbac.authorization.k8s.io", BINDING, namespace)
        return self.flipped("list", DEPLOYMENTS, namespace, expected=False)

    def flipped(
        self,
        verb: str,
        resource: str,
        namespace: str | None = None,
        *,
        expected: bool = True,
        identity: Identity | None = None,
    ) -> float:
        """Wait until the server's own answer about the operator's rights flipped; return the time."""
        self.plane.wait_allowed(identity or self.account, verb, resource, namespace, expected=expected)
        return now()

    def create(self, namespace: str, name: str, size: int) -> Memcached:
        """Create a custom resource."""
        return Memcached(self.plane.create(memcached(namespace, name, size), namespace))

    def resize(self, namespace: str, name: str, size: int) -> Memcached:
        """Edit its size."""
        return Memcached(self.plane.patch(MEMCACHEDS, name, {"spec": {"size": size}}, namespace))

    def delete(self, namespace: str, name: str) -> None:
        """Ask for its deletion."""
        self.plane.delete(MEMCACHEDS, name, namespace)

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Scale a Deployment past the operator, as somebody else would."""
        self.plane.patch(DEPLOYMENTS, name, {"spec": {"replicas": replicas}}, namespace)

    def many(self, act: Callable[[T], object], things: Iterable[T]) -> None:
        """Do something to many things, several at once where the server is another process."""
        if self.inside is not None:
            for thing in things:
                act(thing)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(act, things))

    # -- what is there -------------------------------------------------------------------------------------------

    def memcached(self, namespace: str, name: str) -> Memcached:
        """Return a custom resource. Raise Failed when it is not there."""
        found = self.plane.get(MEMCACHEDS, name, namespace)
        if found is None:
            raise Failed(f"Memcached {namespace}/{name} is not there")
        return Memcached(found)

    def deployment(self, namespace: str, name: str) -> Manifest | None:
        """Return a Deployment, None when it is not there."""
        return self.plane.get(DEPLOYMENTS, name, namespace)

    def pods(self, namespace: str) -> list[str]:
        """Return the names of the Pods in a namespace, sorted."""
        return sorted(pod["metadata"]["name"] for pod in self.plane.list(PODS, namespace))

    def moving(self, namespace: str, wanted: int) -> str | None:
        """Tell that Pods of a namespace are still to come or to go."""
        return moving(self.plane.list(REPLICASETS, namespace), len(self.pods(namespace)), wanted)

    def today(self) -> datetime:
        """Return the date by the clock of the server."""
        if isinstance(self.plane, EmbeddedCluster):
            return datetime.fromtimestamp(self.plane.now(), UTC)
        return datetime.now(UTC)

    def table(self, resource: str, namespace: str) -> list[dict[str, Any]]:
        """Return what `kubectl get` would print, a row as {column: cell}."""
        answer = self.plane.request("GET", self.plane.path(resource, None, namespace), accept=TABLE)
        columns = [column["name"] for column in answer["columnDefinitions"]]
        return [dict(zip(columns, row["cells"], strict=True)) for row in answer["rows"]]

    # -- what the operator does, as the servers saw it -----------------------------------------------------------

    def requests(self, since: Any = None, **wanted: Any) -> list[AuditRequest]:
        """Return the operator's requests."""
        return self.plane.audit.requests(since, user=self.account.username, **wanted)

    def watches(self, **wanted: Any) -> list[AuditRequest]:
        """Return the operator's open watches."""
        return self.plane.audit.open_watches(user=self.account.username, **wanted)

    def watches_differ(self, *namespaces: str) -> str | None:
        """Tell that the open watches are not: W0, and one for each secondary kind in each of these namespaces."""
        seen = sorted((w.namespace, w.resource) for w in self.watches() if w.namespace)
        wanted = sorted((namespace, kind) for namespace in namespaces for kind in SECONDARY)
        if seen != wanted:
            return differs("the set of open watches", seen, wanted)
        return differs("the number of other open watches", len(self.watches()) - len(seen), self.baseline)

    # -- the operator --------------------------------------------------------------------------------------------

    @property
    def operator(self) -> Operator:
        """Return the operator that was started last."""
        if self._operator is None:
            raise Failed("no operator was started")
        return self._operator

    def launch_operator(self, *options: str, kubeconfig: Path | None = None) -> Operator:
        """Start the operator without waiting."""
        self._started += 1
        log = self.logs / f"operator-{self._started}.log"
        if self.inside is not None:
            self._operator = self.inside.operator(self.account, options, log, self.command)
        elif self.in_pod:
            assert isinstance(self.plane, ControlPlane)
            self._operator = OperatorPod.on(self.plane, SYSTEM, options, log)
        else:
            self._operator = self._process(options, kubeconfig or self.account.kubeconfig, log)
        self._operator.process.launch()
        return self._operator

    def _process(self, options: Sequence[str], kubeconfig: Path, log: Path) -> Operator:
        health, metrics = free_ports(2)
        program = Program.prepare(
            "operator",
            [
                self.command.module,
                f"--kubeconfig={kubeconfig}",
                f"--health-probe-bind-address=127.0.0.1:{health}",
                f"--metrics-bind-address=127.0.0.1:{metrics}",
                "--log-format=json",
                *options,
            ],
            log,
        )
        return OperatorProcess(program.process, program.log, health, metrics)

    def start_operator(self, *options: str, kubeconfig: Path | None = None) -> Operator:
        """Start the operator, wait until it is ready, and count W0 where no custom resource exists."""
        operator = self.launch_operator(*options, kubeconfig=kubeconfig)
        eventually("the operator is ready", self.operator_unready, within=START)
        eventually("the operator watches Memcached", self.unwatched, within=CONVERGED)
        if not self.plane.list(MEMCACHEDS):
            self.baseline = len(self.watches())
        return operator

    def stop_operator(self) -> None:
        """End the operator and wait until its connections are gone; do nothing where none runs."""
        if self._operator is not None:
            self._operator.process.stop(grace=6.0)
            eventually("no watch of a stopped operator is open", lambda: _open(self.watches()), within=CONVERGED)

    def end(self) -> None:
        """End the operator, however it is."""
        if self._operator is not None:
            self._operator.process.stop(grace=1.0)

    def clear(self) -> None:
        """Delete all custom resources, past their finalizers where no operator lets them go."""
        for found in self.plane.list(MEMCACHEDS):
            namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
            if self._operator is None or not self._operator.process.running:
                self.plane.patch(MEMCACHEDS, name, {"metadata": {"finalizers": None}}, namespace)
            self.delete(namespace, name)
        eventually("all Memcacheds are gone", self._some_left, within=CONVERGED)

    def operator_unready(self) -> str | None:
        """Tell why the operator is not ready yet. Raise Failed if it ended."""
        require(self.operator.unexpected_end(), "the operator runs")
        health = self.operator.health()
        return None if health.status == 200 else f"/readyz says {health.status} {str(health.body)[:300]}"

    def settled(self, *namespaces: str, name: str = "memcached", size: int = 1) -> list[Memcached]:
        """Create a custom resource in each of these namespaces, new ones with rights, and wait until all succeeded."""
        for namespace in namespaces:
            self.namespace(namespace, allowed=True)
            self.create(namespace, name, size)
        for namespace in namespaces:
            self.await_success(namespace, name, size, within=ROLLED_OUT)
        return [self.memcached(namespace, name) for namespace in namespaces]

    # -- the usual waits -----------------------------------------------------------------------------------------

    def await_success(
        self, namespace: str, name: str, size: int, *, within: float, since: float | None = None
    ) -> float:
        """Wait until a custom resource reports success; return the seconds."""
        return eventually(
            f"Memcached {namespace}/{name} succeeds",
            lambda: self.memcached(namespace, name).not_succeeded(size),
            within=within,
            since=since,
        )

    def await_failure(
        self, namespace: str, name: str, reason: str, *, within: float, since: float | None = None
    ) -> float:
        """Wait until a custom resource reports failure for this reason; return the seconds."""
        return eventually(
            f"Memcached {namespace}/{name} fails with {reason}",
            lambda: self.memcached(namespace, name).not_failed(reason),
            within=within,
            since=since,
        )

    def await_rollout(
        self, namespace: str, name: str, size: int, *, within: float = ROLLED_OUT, since: float | None = None
    ) -> float:
        """Wait until a Deployment shows size/size; return the seconds."""
        return eventually(
            f"Deployment {namespace}/{name} shows {size}/{size}",
            lambda: rollout(self.deployment(namespace, name), size),
            within=within,
            since=since,
        )

    def await_watches(self, *namespaces: str, within: float, since: float | None = None) -> float:
        """Wait until exactly the watches for these namespaces are open; return the seconds."""
        return eventually(
            "the open watches fit", functools.partial(self.watches_differ, *namespaces), within=within, since=since
        )

    def await_unwatched(self, namespace: str, *, within: float, since: float | None = None) -> float:
        """Wait until no watch is open in a namespace; return the seconds."""
        return eventually(
            f"no watch is open in {namespace}",
            lambda: _open(self.watches(namespace=namespace)),
            within=within,
            since=since,
        )

    def unwatched(self) -> str | None:
        """Tell that the operator does not watch its own kind yet."""
        return None if self.watches(resource=MEMCACHEDS) else "no watch on memcacheds is open"

    def _some_left(self) -> str | None:
        left = [f"{o['metadata']['namespace']}/{o['metadata']['name']}" for o in self.plane.list(MEMCACHEDS)]
        return f"still there: {', '.join(left)}" if left else None


def set_up(plane: Cluster) -> None:
    """Apply what the operator needs at the cluster level: its CRD, account and rights, and the role for namespaces."""
    plane.apply(
        [CONFIG / "crd.yaml", CONFIG / "rbac" / "operator.yaml", CONFIG / "rbac" / "scoped-operator-needs.yaml"]
    )


def memcached(namespace: str, name: str, size: int) -> Manifest:
    """Return the manifest of a custom resource."""
    return {
        "apiVersion": "cache.example.com/v1alpha1",
        "kind": "Memcached",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"size": size},
    }


def _open(watches: list[AuditRequest]) -> str | None:
    return f"{len(watches)} are open" if watches else None
