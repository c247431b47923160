"""ReplicaSets make Pods and count them. Pods that nobody controls are not adopted."""

from __future__ import annotations

from typing import Final

from ..admission.admission import Admission
from ..admission.admitted_write import AdmittedWrite
from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage, Stored
from ..wire.request_attributes import User
from ..wire.status_errors import Body, StatusError
from .objects import Place, conditions, is_ready, new_condition, place_of, reference_to, with_status
from .workload_controller import Workloads

_USER: Final = User(
    "system:serviceaccount:kube-system:replicaset-controller",
    ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)


class ReplicaSets(Workloads):
    """Keeps as many Pods of each ReplicaSet as it says, as far as admission lets it."""

    name = "replicaset-controller"

    def __init__(self, storage: Storage, registry: Registry, admission: Admission) -> None:
        super().__init__(storage, registry["replicasets.apps"], registry["pods"])
        self._namespaces = registry["namespaces"]
        self._limits = (registry["resourcequotas"].key, registry["limitranges"].key)
        self._admission = admission
        self._refused: dict[Place, StatusError] = {}

    def observe(self, event: Event) -> None:
        """Note whom to look at: whoever was refused a Pod as well, where the limits have changed."""
        super().observe(event)
        if event.kind.key in self._limits:
            self._look_at |= {place: None for place in self._refused if place.namespace == event.stored.namespace}

    def _reconcile(self, stored: Stored, now: float) -> None:
        refusal = self._fill(stored, now) if not stored.deleting else None
        self._refused.pop(place_of(stored), None)
        if refusal is not None:
            self._refused[place_of(stored)] = refusal
        self._count(stored, refusal, now)

    def _fill(self, replica_set: Stored, now: float) -> StatusError | None:
        """Create or delete Pods; return why one was refused."""
        namespace = self._storage.get(self._namespaces, "", replica_set.namespace)
        pods = [pod for pod in self._living(replica_set) if not pod.deleting]
        missing = int(replica_set.body["spec"]["replicas"]) - len(pods)
        if namespace is not None and not namespace.deleting:
            for _ in range(missing):
                try:
                    self._storage.create(self._controlled, self._admitted(new_pod(replica_set), now), now)
                except StatusError as refusal:
                    return refusal
        # Who is not ready goes first, then the youngest.
        for pod in sorted(pods, key=lambda pod: (is_ready(pod), -pod.version))[: max(0, -missing)]:
            self._storage.delete(self._controlled, pod.namespace, pod.name, now)
        return None

    def _admitted(self, pod: Body, now: float) -> Body:
        namespace = pod["metadata"]["namespace"]
        write = AdmittedWrite("CREATE", self._controlled, "v1", namespace, "", _USER, pod)
        pod = self._admission.changed(write) or pod
        self._admission.check(AdmittedWrite("CREATE", self._controlled, "v1", namespace, "", _USER, pod), now)
        return pod

    def _count(self, replica_set: Stored, refusal: StatusError | None, now: float) -> None:
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
        if refusal is not None:
            failure = new_condition("ReplicaFailure", True, "FailedCreate", refusal.message)
            status["conditions"] = conditions(replica_set, now, [failure])
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
