"""ReplicaSets make Pods and count them. Pods that nobody controls are not adopted."""

from __future__ import annotations

from ..kinds.kind_registry import Registry
from ..storage.storage import Storage, Stored
from ..wire.status_errors import Body
from .objects import is_ready, reference_to, with_status
from .workload_controller import Workloads


class ReplicaSets(Workloads):
    """Keeps as many Pods of each ReplicaSet as it says."""

    name = "replicaset-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        super().__init__(storage, registry["replicasets.apps"], registry["pods"])
        self._namespaces = registry["namespaces"]

    def _reconcile(self, stored: Stored, now: float) -> None:
        if not stored.deleting:
            self._fill(stored, now)
        self._count(stored, now)

    def _fill(self, replica_set: Stored, now: float) -> None:
        namespace = self._storage.get(self._namespaces, "", replica_set.namespace)
        pods = [pod for pod in self._living(replica_set) if not pod.deleting]
        missing = int(replica_set.body["spec"]["replicas"]) - len(pods)
        if namespace is not None and not namespace.deleting:
            for _ in range(missing):
                self._storage.create(self._controlled, new_pod(replica_set), now)
        # Who is not ready goes first, then the youngest.
        for pod in sorted(pods, key=lambda pod: (is_ready(pod), -pod.version))[: max(0, -missing)]:
            self._storage.delete(self._controlled, pod.namespace, pod.name, now)

    def _count(self, replica_set: Stored, now: float) -> None:
        pods = self._living(replica_set)
        staying = [pod for pod in pods if not pod.deleting]
        ready = sum(map(is_ready, staying))
        status: Body = {"replicas": len(staying)}
        if staying:
            status["fullyLabeledReplicas"] = len(staying)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        status["terminatingReplicas"] = len(pods) - len(staying)
        status["observedGeneration"] = replica_set.metadata["generation"]
        self._storage.update(self._kind, with_status(replica_set, status), now, part="status")

    def _living(self, replica_set: Stored) -> list[Stored]:
        """Return the Pods of a ReplicaSet that have not ended."""
        pods = self._controlled_by(replica_set)
        return [pod for pod in pods if (pod.body.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


def new_pod(replica_set: Stored) -> Body:
    """Return the Pod that a ReplicaSet creates."""
    template = replica_set.body["spec"]["template"]
    metadata = {**(template.get("metadata") or {})}
    metadata |= {"generateName": f"{replica_set.name}-", "namespace": replica_set.namespace}
    metadata["ownerReferences"] = [reference_to(replica_set)]
    status = {"phase": "Pending", "qosClass": "BestEffort"}
    return {"apiVersion": "v1", "metadata": metadata, "spec": template["spec"], "status": status}
