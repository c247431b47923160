"""The seam that every controller fits into: what goes on in a cluster besides requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from ....errors import ScopedCacheError
from ..admission.admission import Admission
from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage
from .cluster_role_aggregation import ClusterRoleAggregation
from .deployments import Deployments
from .garbage_collector import GarbageCollector
from .kubelet import Kubelet
from .namespace_lifecycle import NamespaceLifecycle
from .replicasets import ReplicaSets
from .resource_quotas import ResourceQuotas
from .service_accounts import ServiceAccounts

KUBELET: Final = "kubelet"


class Controller(Protocol):
    """A pure step function over the storage. It never sleeps: it says when it wants to be asked again.

    The cluster calls `observe` for every change (its own included) in order, and `step` once after each request that
    changed something, and when a controller is due; it repeats both until nothing changes any more.
    """

    name: str

    def observe(self, event: Event) -> None:
        """Take note of a change. Must not write: the storage is in the middle of one."""

    def step(self, now: float) -> float | None:
        """Do what is due, by writing to the storage; return when to be asked again, None: not before a change."""


def chosen(all_: list[Controller], names: Iterable[str] | None, *, kubelet: bool) -> list[Controller]:
    """Return those of these names, None: all of them, and without the kubelet where it is not wanted."""
    wanted = {controller.name for controller in all_} if names is None else set(names)
    if unknown := wanted - {controller.name for controller in all_}:
        raise ScopedCacheError(f"no such controllers: {', '.join(sorted(unknown))}")
    return [c for c in all_ if c.name in wanted and (kubelet or c.name != KUBELET)]


def standard(storage: Storage, registry: Registry, admission: Admission) -> list[Controller]:
    """Return the controllers of an ordinary cluster, in the order in which they are asked; each has its `name`."""
    return [
        ServiceAccounts(storage, registry),
        ClusterRoleAggregation(storage, registry),
        Deployments(storage, registry),
        ReplicaSets(storage, registry, admission),
        Kubelet(storage, registry),
        GarbageCollector(storage, registry),
        NamespaceLifecycle(storage, registry),
        ResourceQuotas(storage, registry),
    ]
