"""Runs an operator against an embedded cluster with all rights, disturbs what it made, and notes what it asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs

from ..clock import machine_time
from ..errors import ScopedCacheError
from ..testing import EmbeddedCluster, Identity
from ..testing.audit_request import AuditRequest
from .exit_status import CommandError, ExitStatus
from .least_rights import Account, Use
from .rbac_objects import RBAC

# An operator is quiet when it has asked for nothing in so long.
QUIET_SECONDS: Final = 1.2
PATIENCE_SECONDS: Final = 12.0
# One that is never quiet has shown what it asks for when nothing new came in so long.
BUSY_SECONDS: Final = 4.0
START_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.1
STOP_SECONDS: Final = 10.0
DEFINITION: Final = "CustomResourceDefinition"
# What every user may ask about itself.
_REVIEWS: Final = ("authorization.k8s.io", "authentication.k8s.io")
_LAST_LINES: Final = 1
# What there is not takes no right: a status that a kind does not have.
_NOT_SERVED: Final = (404, 405)
# Objects that nobody changes or deletes behind an operator's back.
_NOBODYS: Final = ("leases.coordination.k8s.io", "events", "events.events.k8s.io", "namespaces")

Manifest = Mapping[str, Any]


@attrs.frozen
class Recording:
    """What was seen.

    Attributes:
        uses: all requests of the operator, each once.
        namespaces: where custom resources were.
        watches_rbac: whether it would watch RBAC objects, where it may.
        steps: what was done to it.
        blocking_owners: the resources whose deletion waits for what the operator made: the admission plugin
            OwnerReferencesPermissionEnforcement asks for a right on their finalizers.
    """

    uses: tuple[Use, ...]
    namespaces: tuple[str, ...]
    watches_rbac: bool
    steps: tuple[str, ...]
    blocking_owners: tuple[str, ...] = ()


@attrs.define
class _Run:
    cluster: EmbeddedCluster
    identity: Identity
    process: subprocess.Popen[bytes]
    log: Path
    own: Mapping[str, str]
    before: frozenset[str]
    steps: list[str] = attrs.field(factory=list)
    blocking_owners: set[str] = attrs.field(factory=set)

    def settle(self, step: str) -> None:
        """Wait until the operator asks for nothing, or for nothing new."""
        self.steps.append(step)
        now = machine_time()
        count, uses, quiet_since, new_since, deadline = self.count(), len(self.uses()), now, now, now + PATIENCE_SECONDS
        while now < deadline and now - quiet_since < QUIET_SECONDS and now - new_since < BUSY_SECONDS:
            time.sleep(LOOK_SECONDS)
            self.check()
            now = machine_time()
            if (counted := self.count()) != count:
                count, quiet_since = counted, now
            if (used := len(self.uses())) != uses:
                uses, new_since = used, now

    def count(self) -> int:
        """Return how many requests there were, but for the renewals of a Lease."""
        return sum(request.resource != "leases.coordination.k8s.io" for request in self.requests())

    def check(self) -> None:
        """Say so if the operator has ended by itself."""
        if (status := self.process.poll()) is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
            words = " ".join(last) or "it said nothing"
            raise CommandError(f"the operator ended with status {status}: {words}", ExitStatus.UNANSWERED)

    def requests(self) -> list[AuditRequest]:
        return [
            request
            for request in self.cluster.audit.requests(user=self.identity.username)
            if request.resource
            and request.resource.partition(".")[2] not in _REVIEWS
            and not (request.subresource and request.code in _NOT_SERVED)
        ]

    def uses(self) -> set[Use]:
        return {_use(request) for request in self.requests()}


def record(module: str, arguments: Sequence[str], manifests: Sequence[Manifest], account: Account) -> Recording:
    """Run `python -m MODULE` and return what it asked for.

    It finds its cluster by KUBECONFIG. The custom resources among the manifests are made, what it makes of them is
    changed and deleted, its rights are taken and given back, then the custom resources are deleted.

    Raises:
        CommandError: it does not run, or there is no custom resource to run it with.
    """
    definitions = [one for one in manifests if one.get("kind") == DEFINITION]
    samples, surroundings = _split(manifests)
    if not samples:
        words = "there is no custom resource to run it with: give its CRD and a custom resource with -f"
        raise CommandError(words, ExitStatus.USAGE)
    try:
        cluster = EmbeddedCluster.start(http=True)
    except ScopedCacheError as error:
        raise CommandError(f"a recorded run needs the embedded cluster on loopback: {error}") from None
    with cluster, tempfile.TemporaryDirectory(prefix="scopedcache-record-") as folder:
        identity = _prepare(cluster, definitions, surroundings, account)
        log = Path(folder) / "operator.log"
        with log.open("wb") as out, _started(module, arguments, identity, out) as process:
            own = {one["kind"]: _resource(cluster, one) for one in samples}
            run = _Run(cluster, identity, process, log, own, frozenset(uid for _, _, uid in _stored(cluster)))
            try:
                _wait_started(run)
                _disturb(run, samples)
            finally:
                _stop(run)
        rbac = [use for use in run.uses() if _is_rbac_watch(use)]
        uses = sorted(run.uses() - set(rbac), key=lambda use: tuple(str(value) for value in attrs.astuple(use)))
        namespaces = {_namespace(one) for one in samples} - {account.namespace}
        owners = tuple(sorted(run.blocking_owners))
        return Recording(tuple(uses), tuple(sorted(namespaces)), bool(rbac), tuple(run.steps), owners)


def _split(manifests: Sequence[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """Return what the operator works on, and what is there before: without a CRD it works on objects of other kinds."""
    custom = {one["spec"]["names"]["kind"] for one in manifests if one.get("kind") == DEFINITION}
    others = [
        one
        for one in manifests
        if one.get("kind") != DEFINITION and not str(one.get("apiVersion")).startswith((RBAC, "apps/"))
    ]
    samples = [one for one in others if one["kind"] in custom]
    if not custom:
        samples = [one for one in others if one["kind"] not in ("Namespace", "ServiceAccount")]
    return samples, [one for one in others if one not in samples]


def _prepare(
    cluster: EmbeddedCluster, definitions: Sequence[Manifest], surroundings: Sequence[Manifest], account: Account
) -> Identity:
    identity = cluster.service_account(account.namespace, account.name)
    cluster.bind(identity, "cluster-admin", name="recorded-run")
    for one in definitions:
        cluster.apply(dict(one))
    # A PodDisruptionBudget or a ServiceMonitor is nobody's business here: no operator works on a kind without its CRD.
    served = {group["name"] for group in cluster.request("GET", "/apis")["groups"]} | {""}
    for one in surroundings:
        if str(one["apiVersion"]).rpartition("/")[0] not in served:
            continue
        if namespace := one["metadata"].get("namespace"):
            cluster.create_namespace(namespace)
        cluster.apply(dict(one))
    return identity


def _started(module: str, arguments: Sequence[str], identity: Identity, out: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "KUBECONFIG": str(identity.kubeconfig)}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _wait_started(run: _Run) -> None:
    run.steps.append("started")
    deadline = machine_time() + START_SECONDS
    while not any(request.verb == "watch" for request in run.requests()):
        run.check()
        if machine_time() > deadline:
            words = f"in {START_SECONDS:.0f} s the operator opened no watch; it must find its cluster by KUBECONFIG"
            raise CommandError(words, ExitStatus.UNANSWERED)
        time.sleep(LOOK_SECONDS)


def _disturb(run: _Run, samples: Sequence[Manifest]) -> None:
    cluster = run.cluster
    run.settle("left alone")
    for sample in samples:
        cluster.create_namespace(_namespace(sample))
        cluster.apply(dict(sample), _namespace(sample))
    run.settle(f"{len(samples)} custom resources made")
    children = _children(run)
    for resource, child in children:
        owners = child["metadata"].get("ownerReferences") or ()
        blocking = [owner["kind"] for owner in owners if owner.get("blockOwnerDeletion")]
        run.blocking_owners |= {run.own[kind] for kind in blocking if kind in run.own}
        _change(cluster, resource, child)
    run.settle(f"{len(children)} of its objects changed")
    for resource, child in children:
        cluster.delete(resource, child["metadata"]["name"], child["metadata"].get("namespace"))
    run.settle(f"{len(children)} of its objects deleted")
    for sample in samples:
        _edit(cluster, run.own[sample["kind"]], sample)
    run.settle("the custom resources changed")
    _deny_for_a_while(run)
    for sample in samples:
        cluster.delete(run.own[sample["kind"]], sample["metadata"]["name"], _namespace(sample))
    run.settle("the custom resources deleted")


def _deny_for_a_while(run: _Run) -> None:
    """Take all rights but those to its own kinds, to reports, and to see RBAC objects, which makes it quick."""
    cluster, identity = run.cluster, run.identity
    verbs = ("get", "list", "watch", "patch", "update", "create", "delete")
    rbac = [f"{kind}.{RBAC}" for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")]
    own = [*run.own.values(), *(f"{resource}/status" for resource in run.own.values())]
    kept = [*own, "events", "events.events.k8s.io", "leases.coordination.k8s.io", "namespaces", *rbac]
    cluster.grant(identity, verbs, kept, name="recorded-run-own-kinds")
    cluster.delete(f"clusterrolebindings.{RBAC}", "recorded-run")
    run.settle("its rights in namespaces taken")
    cluster.bind(identity, "cluster-admin", name="recorded-run")
    run.settle("its rights given back")


def _children(run: _Run) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects that the operator made: new ones of the kinds that it writes."""
    written = {
        request.resource
        for request in run.requests()
        if request.verb in ("create", "patch", "update") and request.subresource is None
    }
    left_alone = {*run.own.values(), *_NOBODYS}
    return [
        (resource, body)
        for resource, body, uid in _stored(run.cluster)
        if resource in written - left_alone and uid not in run.before
    ]


def _stored(cluster: EmbeddedCluster) -> list[tuple[str, dict[str, Any], str]]:
    """Return all objects: resource, body and UID."""
    with cluster.lock:
        return [
            (f"{kind.resource}.{kind.group}" if kind.group else kind.resource, dict(stored.body), stored.uid)
            for kind in cluster.registry
            for stored in cluster.storage.list(kind)
        ]


def _change(cluster: EmbeddedCluster, resource: str, child: Mapping[str, Any]) -> None:
    """Do to an object what somebody does who should not."""
    metadata = child["metadata"]
    patch: dict[str, Any] = {}
    # Without an owner reference it is by its labels that an operator knows what is its own.
    if metadata.get("ownerReferences") and (labels := metadata.get("labels")):
        patch["metadata"] = {"labels": dict.fromkeys(labels)}
    if isinstance((child.get("spec") or {}).get("replicas"), int):
        patch["spec"] = {"replicas": child["spec"]["replicas"] + 1}
    if isinstance(child.get("data"), Mapping):
        patch["data"] = dict.fromkeys(child["data"])
    if patch:
        cluster.patch(resource, metadata["name"], patch, metadata.get("namespace"))


def _edit(cluster: EmbeddedCluster, resource: str, sample: Manifest) -> None:
    """Change the first number or text in a custom resource that its schema lets; touch it where there is none."""
    name, namespace = sample["metadata"]["name"], _namespace(sample)
    for part in ("spec", "data"):
        for field, value in (sample.get(part) or {}).items():
            if isinstance(value, int | str) and not isinstance(value, bool):
                with suppress(ScopedCacheError):
                    changed = value + 1 if isinstance(value, int) else f"{value}-changed"
                    cluster.patch(resource, name, {part: {field: changed}}, namespace)
                    return
    cluster.patch(resource, name, {"metadata": {"annotations": {"scopedcache.dev/touched": "yes"}}}, namespace)


def _stop(run: _Run) -> None:
    run.steps.append("stopped")
    run.process.send_signal(signal.SIGTERM)
    try:
        run.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        run.process.kill()
        run.process.wait()


def _resource(cluster: EmbeddedCluster, sample: Manifest) -> str:
    group = str(sample["apiVersion"]).rpartition("/")[0]
    kind = cluster.registry.named(group, sample["kind"])
    if kind is None:
        words = f"no CRD of {sample['kind']} is here, and the embedded cluster has no such kind"
        raise CommandError(words, ExitStatus.USAGE)
    return f"{kind.resource}.{group}" if group else kind.resource


def _namespace(sample: Manifest) -> str:
    return str(sample["metadata"].get("namespace") or "default")


def _is_rbac_watch(use: Use) -> bool:
    return use.group == RBAC and use.verb in ("list", "watch") and use.namespace is None


def _use(request: AuditRequest) -> Use:
    plural, _, group = request.resource.partition(".")
    resource = f"{plural}/{request.subresource}" if request.subresource else plural
    return Use(request.verb, group, resource, request.namespace, request.name)
