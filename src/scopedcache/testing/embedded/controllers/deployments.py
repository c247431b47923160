"""Deployments make ReplicaSets: one per pod template, rolled out as far as surge and availability allow.

Not in here: pausing, rollback, progress deadlines, and the revision history limit.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from ..refusals import Body
from ..registry import Registry
from ..storage import Event, Storage, Stored, timestamp
from .objects import Place, condition, controlled, controller_uid, place_of, reference_to, with_metadata, with_status

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Deployments:
    """Creates and scales ReplicaSets, and counts in the status what has become of them."""

    name = "deployment-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._deployments = registry["deployments.apps"]
        self._sets = registry["replicasets.apps"]
        self._look_at: dict[Place, None] = {}

    def observe(self, event: Event) -> None:
        """Note which Deployments to look at."""
        if event.kind.key == self._deployments.key:
            self._look_at[place_of(event.stored)] = None
        elif event.kind.key == self._sets.key and (uid := controller_uid(event.stored)) is not None:
            owner = next(o for o in event.stored.metadata["ownerReferences"] if o["uid"] == uid)
            self._look_at[Place(self._deployments, event.stored.namespace, owner["name"])] = None

    def step(self, now: float) -> float | None:
        """Bring the ReplicaSets nearer to what the Deployments say."""
        while self._look_at:
            place = next(iter(self._look_at))
            del self._look_at[place]
            stored = self._storage.get(*place)
            if stored is not None:
                if not stored.deleting:
                    self._roll_out(stored, now)
                self._report(place, now)
        return None

    def _roll_out(self, deployment: Stored, now: float) -> None:
        sets = controlled(self._storage, self._sets, deployment)
        template = deployment.body["spec"]["template"]
        current = next((found for found in sets if _template_of(found) == template), None)
        if current is None:
            current = self._create(deployment, sets, now)
            sets.append(current)
        self._note_revision(deployment, current, now)
        for name, replicas in targets(deployment, current, sets).items():
            found = next(entry for entry in sets if entry.name == name)
            if found.body["spec"]["replicas"] != replicas:
                spec = {**found.body["spec"], "replicas": replicas}
                self._storage.update(self._sets, {**found.body, "spec": spec}, now)

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
        return self._storage.create(self._sets, body, now)

    def _note_revision(self, deployment: Stored, current: Stored, now: float) -> None:
        annotations = deployment.metadata.get("annotations") or {}
        revision = str(_revision(current))
        if annotations.get(REVISION) != revision:
            body = with_metadata(deployment, annotations={**annotations, REVISION: revision})
            self._storage.update(self._deployments, body, now)

    def _report(self, place: Place, now: float) -> None:
        deployment = self._storage.get(*place)
        if deployment is None:
            return
        sets = controlled(self._storage, self._sets, deployment)
        template = deployment.body["spec"]["template"]
        current = next((found for found in sets if _template_of(found) == template), None)
        status = status_of(deployment, current, sets, now)
        self._storage.update(self._deployments, with_status(deployment, status), now, part="status")


def targets(deployment: Stored, current: Stored, sets: list[Stored]) -> dict[str, int]:
    """Return how many replicas each ReplicaSet gets in the next move of a roll-out."""
    spec = deployment.body["spec"]
    wanted = int(spec.get("replicas", 1))
    strategy = spec.get("strategy") or {}
    old = [found for found in sets if found.name != current.name and (_count(found) or _terminating(found))]
    if strategy.get("type") == "Recreate":
        return {**{found.name: 0 for found in old}, current.name: 0 if old else wanted}
    if not any(map(_count, old)):
        return {current.name: wanted}
    rolling = strategy.get("rollingUpdate") or {}
    surge = portion(rolling.get("maxSurge", "25%"), wanted, up=True)
    missing = portion(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if not surge and not missing:
        missing = 1
    room = wanted + surge - sum(map(_count, old))
    found = {current.name: min(wanted, max(_replicas(current), room))}
    # What is not available may go at once; of the rest, as many as the others can stand in for.
    spare = sum(map(_available, sets)) - (wanted - missing)
    for entry in old:
        going = min(_available(entry), max(0, spare))
        spare -= going
        found[entry.name] = _available(entry) - going
    return found


def status_of(deployment: Stored, current: Stored | None, sets: list[Stored], now: float) -> Body:
    """Return the status; counts of zero are left out, as on the server."""
    wanted = int(deployment.body["spec"].get("replicas", 1))
    ready, available = _sum(sets, "readyReplicas"), _sum(sets, "availableReplicas")
    counts = {
        "observedGeneration": deployment.metadata.get("generation", 1),
        "replicas": _sum(sets, "replicas"),
        "updatedReplicas": _sum([current] if current else [], "replicas"),
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wanted, _sum(sets, "replicas")) - available),
    }
    status: Body = {field: count for field, count in counts.items() if count}
    status["terminatingReplicas"] = 0
    rolling = (deployment.body["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    enough = available >= wanted - portion(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    done = current is not None and status.get("updatedReplicas", 0) == wanted == available == status.get("replicas", 0)
    set_name = current.name if current else ""
    fresh = [
        _condition(deployment, "Available", enough, now, *_AVAILABILITY[enough]),
        _condition(deployment, "Progressing", True, now, *_progress(done, set_name)),
    ]
    return {**status, "conditions": fresh}


_AVAILABILITY = {
    True: ("MinimumReplicasAvailable", "Deployment has minimum availability."),
    False: ("MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
}


def _progress(done: bool, name: str) -> tuple[str, str]:
    if done:
        return "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
    return "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'


def _condition(stored: Stored, type_: str, true: bool, now: float, reason: str, message: str) -> Body:
    before, status = condition(stored, type_) or {}, "True" if true else "False"
    fresh = {"type": type_, "status": status, "reason": reason, "message": message}
    moment = timestamp(now)
    updated = before["lastUpdateTime"] if fresh.items() <= before.items() else moment
    moved = before["lastTransitionTime"] if before.get("status") == status else moment
    return {**fresh, "lastUpdateTime": updated, "lastTransitionTime": moved}


def portion(amount: Any, of: int, *, up: bool) -> int:
    """Return an `intOrString`: a number, or a percentage rounded up or down."""
    if isinstance(amount, int):
        return amount
    share = of * int(str(amount).rstrip("%")) / 100
    return math.ceil(share) if up else math.floor(share)


def template_hash(template: Body) -> str:
    """Return ten characters that stand for a pod template."""
    digest = hashlib.sha256(repr(_sorted(template)).encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:10])


def with_label(template: Body, key: str, value: str) -> Body:
    """Return a pod template with one more label."""
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), key: value}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _template_of(replica_set: Stored) -> Body:
    """Return the template that a ReplicaSet was made for: without the hash."""
    template: Body = replica_set.body["spec"]["template"]
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _revision(replica_set: Stored) -> int:
    return int((replica_set.metadata.get("annotations") or {}).get(REVISION, 0))


def _replicas(replica_set: Stored) -> int:
    return int(replica_set.body["spec"]["replicas"])


def _count(replica_set: Stored) -> int:
    """Return how many Pods there are or will be: a ReplicaSet needs a moment to do as it was told."""
    return max(_replicas(replica_set), _sum([replica_set], "replicas"))


def _terminating(replica_set: Stored) -> int:
    return _sum([replica_set], "terminatingReplicas")


def _available(replica_set: Stored) -> int:
    """Return how many available Pods there are that stay."""
    return min(_replicas(replica_set), _sum([replica_set], "availableReplicas"))


def _sum(sets: list[Stored], field: str) -> int:
    return sum(int((found.body.get("status") or {}).get(field, 0)) for found in sets)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    return [_sorted(item) for item in value] if isinstance(value, list) else value
