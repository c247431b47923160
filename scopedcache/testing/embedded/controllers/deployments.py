"""Deployments make ReplicaSets: one per pod template, rolled out as far as surge and availability allow.

Not in here: pausing, rollback, progress deadlines, and the revision history limit.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import msgspec

from ..kinds.kind_registry import Registry
from ..storage.storage import Storage, Stored
from ..wire.status_errors import Body
from .objects import condition, conditions, new_condition, place_of, reference_to, with_metadata, with_status
from .workload_controller import Workloads

REVISION: Final = "deployment.kubernetes.io/revision"
HASH: Final = "pod-template-hash"
_AVAILABLE: Final = new_condition("Available", True, "MinimumReplicasAvailable", "Deployment has minimum availability.")
_UNAVAILABLE: Final = new_condition(
    "Available", False, "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
)
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


class Deployments(Workloads):
    """Creates and scales ReplicaSets, and counts in the status what has become of them."""

    name = "deployment-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        super().__init__(storage, registry["deployments.apps"], registry["replicasets.apps"])

    def _reconcile(self, stored: Stored, now: float) -> None:
        if not stored.deleting:
            self._roll_out(stored, now)
        deployment = self._storage.existing(*place_of(stored))
        sets = self._controlled_by(deployment)
        status = status_of(deployment, _current(deployment, sets), sets, now)
        self._storage.update(self._kind, with_status(deployment, status), now, part="status")

    def _roll_out(self, deployment: Stored, now: float) -> None:
        sets = self._controlled_by(deployment)
        current = _current(deployment, sets)
        if current is None:
            current = self._create(deployment, sets, now)
            sets.append(current)
        self._note_revision(deployment, current, now)
        wanted = targets(deployment, current, sets)
        for replica_set in sets:
            replicas = wanted.get(replica_set.name, _replicas(replica_set))
            spec = {**replica_set.body["spec"], "replicas": replicas}
            self._storage.update(self._controlled, {**replica_set.body, "spec": spec}, now)

    def _create(self, deployment: Stored, sets: list[Stored], now: float) -> Stored:
        spec = deployment.body["spec"]
        suffix = template_hash(spec["template"])
        template = with_label(spec["template"], HASH, suffix)
        selector = spec["selector"]
        exact = {**(selector.get("matchLabels") or {}), HASH: suffix}
        body: Body = {
            "apiVersion": "apps/v1",
            "metadata": {
                "name": f"{deployment.name}-{suffix}",
                "namespace": deployment.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": {REVISION: str(max(map(_revision, sets), default=0) + 1)},
                "ownerReferences": [reference_to(deployment)],
            },
            "spec": {"replicas": 0, "selector": {**selector, "matchLabels": exact}, "template": template},
        }
        return self._storage.create(self._controlled, body, now)

    def _note_revision(self, deployment: Stored, current: Stored, now: float) -> None:
        annotations = deployment.metadata.get("annotations") or {}
        revision = str(_revision(current))
        if annotations.get(REVISION) != revision:
            body = with_metadata(deployment, annotations={**annotations, REVISION: revision})
            self._storage.update(self._kind, body, now)


def targets(deployment: Stored, current: Stored, sets: list[Stored]) -> dict[str, int]:
    """Return how many replicas each ReplicaSet gets in the next move of a roll-out."""
    wanted = _replicas(deployment)
    old = [each for each in sets if each.name != current.name and (_count(each) or _terminating(each))]
    if deployment.body["spec"]["strategy"]["type"] == "Recreate":
        return {**{each.name: 0 for each in old}, current.name: 0 if old else wanted}
    if not any(map(_count, old)):
        return {current.name: wanted}
    surge, missing = leeway(deployment)
    room = wanted + surge - sum(map(_count, old))
    replicas = {current.name: min(wanted, max(_replicas(current), room))}
    # What is not available may go at once; of the rest, as many as the others can stand in for.
    spare = sum(map(_available, sets)) - (wanted - missing)
    for entry in old:
        going = min(_available(entry), max(0, spare))
        spare -= going
        replicas[entry.name] = _available(entry) - going
    return replicas


def leeway(deployment: Stored) -> tuple[int, int]:
    """Return how many Pods more, and how many less than wanted there may be."""
    wanted, rolling = _replicas(deployment), deployment.body["spec"]["strategy"].get("rollingUpdate")
    if rolling is None:
        return 0, 0
    surge, missing = portion(rolling["maxSurge"], wanted, up=True), portion(rolling["maxUnavailable"], wanted, up=False)
    return surge, missing or int(not surge)


def status_of(deployment: Stored, current: Stored | None, sets: list[Stored], now: float) -> Body:
    """Return the status; counts of zero are left out, as on the server."""
    wanted, total = _replicas(deployment), _sum(sets, "replicas")
    updated = _sum([current], "replicas") if current else 0
    available = _sum(sets, "availableReplicas")
    counts = {
        "observedGeneration": deployment.metadata["generation"],
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": _sum(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wanted, total) - available),
    }
    status: Body = {field: count for field, count in counts.items() if count}
    fresh = [
        _UNAVAILABLE if available < wanted - leeway(deployment)[1] else _AVAILABLE,
        _progress(updated == wanted == available == total, current.name if current else ""),
        *_failures(sets),
    ]
    return {**status, "terminatingReplicas": 0, "conditions": conditions(deployment, now, fresh, updates=True)}


def _progress(done: bool, name: str) -> Body:
    if done:
        words = f'ReplicaSet "{name}" has successfully progressed.'
        return new_condition("Progressing", True, "NewReplicaSetAvailable", words)
    return new_condition("Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')


def _failures(sets: list[Stored]) -> list[Body]:
    """Return why Pods cannot be created, as the ReplicaSets tell it."""
    found = next((failure for each in sets if (failure := condition(each, "ReplicaFailure"))), None)
    return [{k: v for k, v in found.items() if not k.startswith("last")}] if found else []


def portion(amount: Any, of: int, *, up: bool) -> int:
    """Return an `intOrString`: a number, or a percentage rounded up or down."""
    if isinstance(amount, int):
        return amount
    share = of * int(str(amount).rstrip("%")) / 100
    return math.ceil(share) if up else math.floor(share)


def template_hash(template: Body) -> str:
    """Return ten characters that stand for a pod template."""
    digest = hashlib.sha256(msgspec.json.encode(template, order="sorted")).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:10])


def with_label(template: Body, key: str, value: str) -> Body:
    """Return a pod template with one more label."""
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), key: value}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _current(deployment: Stored, sets: list[Stored]) -> Stored | None:
    """Return the ReplicaSet of the template as it is now."""
    template = deployment.body["spec"]["template"]
    return next((replica_set for replica_set in sets if _template_of(replica_set) == template), None)


def _template_of(replica_set: Stored) -> Body:
    """Return the template that a ReplicaSet was made for: without the hash."""
    template: Body = replica_set.body["spec"]["template"]
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _revision(replica_set: Stored) -> int:
    return int((replica_set.metadata.get("annotations") or {}).get(REVISION, 0))


def _replicas(workload: Stored) -> int:
    return int(workload.body["spec"]["replicas"])


def _count(replica_set: Stored) -> int:
    """Return how many Pods there are or will be: a ReplicaSet needs a moment to do as it was told."""
    return max(_replicas(replica_set), _sum([replica_set], "replicas"))


def _terminating(replica_set: Stored) -> int:
    return _sum([replica_set], "terminatingReplicas")


def _available(replica_set: Stored) -> int:
    """Return how many available Pods there are that stay."""
    return min(_replicas(replica_set), _sum([replica_set], "availableReplicas"))


def _sum(sets: list[Stored], field: str) -> int:
    return sum(int((replica_set.body.get("status") or {}).get(field, 0)) for replica_set in sets)
