"""What objects and audit lines say: plain functions of values, no server asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

from scopedcache.testing import AuditRequest

from .waiting import differs, first

DEPLOYMENTS = "deployments.apps"
PODS = "pods"
REPLICASETS = "replicasets.apps"
MEMCACHEDS = "memcacheds.cache.example.com"
SECONDARY = (DEPLOYMENTS, PODS)
FINALIZER = "cache.example.com/finalizer"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
# A review stores nothing, and a leader renews its Lease every two seconds: neither is a write of the operator's work.
NO_WORK = ("leases.coordination.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")

Manifest = dict[str, Any]


@attrs.frozen
class Memcached:
    """A custom resource as the server has it."""

    body: Manifest

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def generation(self) -> int:
        return int(self.body["metadata"]["generation"])

    @property
    def finalizers(self) -> list[str]:
        return list(self.body["metadata"].get("finalizers", []))

    @property
    def status(self) -> Manifest:
        return dict(self.body.get("status") or {})

    @property
    def nodes(self) -> list[str]:
        return list(self.status.get("nodes") or [])

    @property
    def state(self) -> str | None:
        return (self.status.get("state") or {}).get("status")

    @property
    def message(self) -> str:
        return str((self.status.get("state") or {}).get("message", ""))

    @property
    def reason(self) -> str | None:
        return self.condition("Successful").get("reason")

    @property
    def stale(self) -> bool:
        return self.condition("Stale").get("status") == "True"

    def condition(self, type_: str) -> Manifest:
        """Return a condition, empty where there is none."""
        return next((c for c in self.status.get("conditions") or [] if c["type"] == type_), {})

    def not_succeeded(self, size: int) -> str | None:
        """Tell what is missing for success with so many nodes."""
        ready = self.condition("Successful")
        return first(
            differs("status.state.status", self.state, "Succeeded"),
            differs("condition Successful", ready.get("status"), "True"),
            differs("its reason", ready.get("reason"), "ReconcileSucceeded"),
            differs("len(status.nodes)", len(self.nodes), size),
            differs("status.nodes", self.nodes, sorted(self.nodes)),
            differs("status.observedGeneration", self.status.get("observedGeneration"), self.generation),
            "condition Stale is True" if self.stale else None,
        )

    def not_failed(self, reason: str) -> str | None:
        """Tell what is missing for a failure with this reason, of this generation."""
        ready = self.condition("Successful")
        return first(
            differs("status.state.status", self.state, "Failed"),
            differs("condition Successful", ready.get("status"), "False"),
            differs("its reason", ready.get("reason"), reason),
            differs("status.observedGeneration", self.status.get("observedGeneration"), self.generation),
        )

    def unnamed(self, *words: str) -> str | None:
        """Tell which words the message lacks; case does not count, `deployments.apps` counts as one word."""
        missing = [word for word in words if not re.search(rf"(?i)(?<![\w.-]){re.escape(word)}(?![\w-])", self.message)]
        return f"the message {self.message!r} lacks {', '.join(missing)}" if missing else None

    def names_no_verb(self) -> str | None:
        """Tell that the message names no verb."""
        return None if any(not self.unnamed(verb) for verb in VERBS) else f"the message {self.message!r} names no verb"


def rollout(deployment: Manifest | None, size: int) -> str | None:
    """Tell what is missing until a Deployment shows size/size, up to date and available.

    As `kubectl rollout status` does, the figures count only once the controller has seen the latest spec: while the
    controller manager is away they are those of an older one.
    """
    if deployment is None:
        return "there is no Deployment"
    status = deployment.get("status", {})
    seen = (
        deployment["spec"]["replicas"],
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
    )
    return first(
        differs("spec, present, ready, updated and available replicas", seen, (size,) * 5),
        differs("status.observedGeneration", status.get("observedGeneration"), deployment["metadata"]["generation"]),
    )


def unscaled(replicasets: Iterable[Manifest]) -> str | None:
    """Tell that a ReplicaSet's controller has not caught up with it."""
    return first(*map(_behind, replicasets))


def moving(replicasets: Iterable[Manifest], pods: int, wanted: int) -> str | None:
    """Tell that Pods are still to come or to go.

    Right after two edits of a Deployment its figures fit and are true of neither: they are its ReplicaSet's, whose own
    controller has yet to see the first.
    """
    return first(unscaled(replicasets), differs("the number of Pods", pods, wanted))


def _behind(replicaset: Manifest) -> str | None:
    meta, status = replicaset["metadata"], replicaset.get("status", {})
    seen = (status.get("observedGeneration"), status.get("replicas", 0))
    wanted = (meta["generation"], replicaset["spec"]["replicas"])
    return differs(f"generation and replicas of ReplicaSet {meta['name']}", seen, wanted)


def is_work(request: AuditRequest) -> bool:
    """Tell whether a request writes something that belongs to the operator's work."""
    return request.verb in WRITES and not request.resource.startswith(NO_WORK)


def is_child_write(request: AuditRequest) -> bool:
    """Tell whether a request writes anything but the custom resource itself."""
    return is_work(request) and request.resource != MEMCACHEDS


def is_review(request: AuditRequest) -> bool:
    """Tell whether a request asks for the operator's own rights."""
    return request.verb == "create" and request.resource.startswith("selfsubject")


def told(requests: Iterable[AuditRequest], most: int = 8) -> str:
    """Return requests in words, alike ones counted."""
    counts = Counter(f"{r.verb} {subject(r)} {r.code}" for r in requests)
    words = [f"{count}× {text}" for text, count in counts.most_common(most)]
    return "; ".join(words + (["…"] if len(counts) > most else [])) or "no requests"


def subject(request: AuditRequest) -> str:
    """Return what a request is about."""
    kind = f"{request.resource}/{request.subresource}" if request.subresource else request.resource or request.uri
    place = f" in {request.namespace}" if request.namespace else ""
    return f"{kind}{place}" + (f" {request.name}" if request.name else "")


def timeout_of(request: AuditRequest) -> float | None:
    """Return the `timeoutSeconds` that a watch asked for."""
    values = parse_qs(urlsplit(request.uri).query).get("timeoutSeconds")
    return float(values[0]) if values else None


def kinds_in(snapshot: Mapping[str, Any], namespace: str) -> dict[str, list[str]]:
    """Return {UID: kinds} of a namespace in the operator's snapshot."""
    found: dict[str, list[str]] = snapshot.get("namespaces", {}).get(namespace, {})
    return found


def is_waiting(snapshot: Mapping[str, Any], namespace: str) -> bool:
    """Tell whether the snapshot lists an owner in this namespace that waits for a right."""
    return any(entry.get("namespace") == namespace for entry in snapshot.get("waiting", []))


def slope(values: Iterable[float]) -> float:
    """Return the growth per step of a series, by least squares."""
    points = list(enumerate(values))
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
