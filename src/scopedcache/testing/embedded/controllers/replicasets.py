"""ReplicaSets make Pods and count them. Pods that nobody controls are not adopted."""

from __future__ import annotations

from ..refusals import Body
from ..registry import Registry
from ..storage import Event, Storage, Stored
from .objects import Place, controlled, controller_uid, is_ready, place_of, reference_to, with_status


class ReplicaSets:
    """Keeps as many Pods of each ReplicaSet as it says."""

    name = "replicaset-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._namespaces = registry["namespaces"]
        self._sets = registry["replicasets.apps"]
        self._pods = registry["pods"]
        self._look_at: dict[Place, None] = {}

    def observe(self, event: Event) -> None:
        """Note which ReplicaSets to look at."""
        if event.kind.key == self._sets.key:
            self._look_at[place_of(event.stored)] = None
        elif event.kind.key == self._pods.key and (uid := controller_uid(event.stored)) is not None:
            owner = next(o for o in event.stored.metadata["ownerReferences"] if o["uid"] == uid)
            self._look_at[Place(self._sets, event.stored.namespace, owner["name"])] = None

    def step(self, now: float) -> float | None:
        """Create and delete Pods, and count them."""
        while self._look_at:
            place = next(iter(self._look_at))
            del self._look_at[place]
            stored = self._storage.get(*place)
            if stored is not None:
                if not stored.deleting:
                    self._fill(stored, now)
                self._count(stored, now)
        return None

    def _fill(self, replica_set: Stored, now: float) -> None:
        namespace = self._storage.get(self._namespaces, "", replica_set.namespace)
        if namespace is None:
            return
        pods = [pod for pod in self._living(replica_set) if not pod.deleting]
        missing = int(replica_set.body["spec"].get("replicas", 1)) - len(pods)
        if missing > 0 and not namespace.deleting:
            for _ in range(missing):
                self._storage.create(self._pods, new_pod(replica_set), now)
        # Who is not ready goes first, then the youngest.
        for pod in sorted(pods, key=lambda pod: (is_ready(pod), -pod.version))[: max(0, -missing)]:
            self._storage.delete(self._pods, pod.namespace, pod.name, now)

    def _count(self, replica_set: Stored, now: float) -> None:
        pods = [pod for pod in self._living(replica_set) if not pod.deleting]
        ready = sum(map(is_ready, pods))
        status: Body = {"replicas": len(pods)}
        if pods:
            status["fullyLabeledReplicas"] = len(pods)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        status["terminatingReplicas"] = sum(pod.deleting for pod in self._living(replica_set))
        status["observedGeneration"] = replica_set.metadata.get("generation", 1)
        if replica_set.body.get("status") != status:
            self._storage.update(self._sets, with_status(replica_set, status), now, part="status")

    def _living(self, replica_set: Stored) -> list[Stored]:
        """Return the Pods of a ReplicaSet that have not ended."""
        pods = controlled(self._storage, self._pods, replica_set)
        return [pod for pod in pods if (pod.body.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


def new_pod(replica_set: Stored) -> Body:
    """Return the Pod that a ReplicaSet creates."""
    template = replica_set.body["spec"]["template"]
    metadata = {**(template.get("metadata") or {})}
    metadata |= {"generateName": f"{replica_set.name}-", "namespace": replica_set.namespace}
    metadata["ownerReferences"] = [reference_to(replica_set)]
    status = {"phase": "Pending", "qosClass": "BestEffort"}
    return {"apiVersion": "v1", "metadata": metadata, "spec": template["spec"], "status": status}
