"""The namespace life cycle: five seconds after its deletion a namespace is swept, and it goes when nothing is left.

The order of the sweep is the one measured on a real server: Pods first, then the built-in kinds with the RoleBindings
among them, and custom resources last. An operator whose rights come from a RoleBinding in the namespace therefore loses
them before its own objects are even marked deleted.
"""

from __future__ import annotations

from typing import Final

import attrs

from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage, Stored
from ..wire.status_errors import Body
from .objects import conditions, new_condition, with_status

# Measured on v1.36: from the DELETE of the namespace to the first deletion in it, and from the RoleBindings to the
# custom resources.
GRACE_SECONDS: Final = 5.0
HEAD_START_SECONDS: Final = 0.06


@attrs.define
class _Sweep:
    """How far the sweep of one namespace is; times are None until they are known."""

    begins: float | None = None
    custom_at: float | None = None
    stirred: bool = True


class NamespaceLifecycle:
    """Deletes the content of namespaces that are being deleted, then lets them go.

    Attributes:
        grace: seconds from the deletion of a namespace to the first deletion in it.
    """

    name = "namespace-controller"

    def __init__(self, storage: Storage, registry: Registry, *, grace: float = GRACE_SECONDS) -> None:
        self.grace = grace
        self._storage = storage
        self._registry = registry
        self._terminating: dict[str, _Sweep] = {}

    def observe(self, event: Event) -> None:
        """Note which namespaces are being deleted, and when something in them changed."""
        if event.kind.key != ("", "namespaces"):
            if (sweep := self._terminating.get(event.stored.namespace)) is not None:
                sweep.stirred = True
        elif event.type == "DELETED":
            self._terminating.pop(event.stored.name, None)
        elif event.stored.deleting:
            self._terminating.setdefault(event.stored.name, _Sweep())

    def step(self, now: float) -> float | None:
        """Sweep what is due."""
        waiting = []
        for name, sweep in sorted(self._terminating.items()):
            if sweep.begins is None:
                sweep.begins = now + self.grace
            due = max(sweep.begins, sweep.custom_at or sweep.begins)
            if due <= now and sweep.stirred:
                sweep.stirred = False
                due = self._sweep(name, sweep, now)
            if due > now:
                waiting.append(due)
        return min(waiting, default=None)

    def _sweep(self, name: str, sweep: _Sweep, now: float) -> float:
        """Delete what may be deleted now; return when to go on, or `now`: after a change."""
        kinds = [kind for kind in self._registry if kind.namespaced and "list" in kind.verbs]
        if self._delete([self._registry["pods"]], name, now):
            self._tell(name, kinds, now)
            return now
        self._delete([kind for kind in kinds if not kind.custom], name, now)
        custom = [kind for kind in kinds if kind.custom]
        if sweep.custom_at is None and any(self._storage.list(kind, name) for kind in custom):
            sweep.custom_at, sweep.stirred = now + HEAD_START_SECONDS, True
            return sweep.custom_at
        self._delete(custom, name, now)
        if any(self._storage.list(kind, name) for kind in kinds):
            self._tell(name, kinds, now)
        else:
            namespace = self._storage.existing(self._registry["namespaces"], "", name)
            spec = {**namespace.body["spec"], "finalizers": []}
            self._storage.update(namespace.kind, {**namespace.body, "spec": spec}, now)
        return now

    def _delete(self, kinds: list[Kind], namespace: str, now: float) -> bool:
        """Delete every object of some kinds; tell whether any are left."""
        for kind in kinds:
            for stored in self._storage.list(kind, namespace):
                if not stored.deleting:
                    self._storage.delete(kind, namespace, stored.name, now)
        return any(self._storage.list(kind, namespace) for kind in kinds)

    def _tell(self, name: str, kinds: list[Kind], now: float) -> None:
        """Write into the status what is left, and what holds it."""
        namespace = self._storage.existing(self._registry["namespaces"], "", name)
        left = {kind: self._storage.list(kind, name) for kind in kinds}
        fresh = [*_GOING_WELL, _remaining(left), _finalizers(left)]
        body = with_status(namespace, {"phase": "Terminating", "conditions": conditions(namespace, now, fresh)})
        self._storage.update(namespace.kind, body, now, part="status")


_GOING_WELL: Final = [
    new_condition(
        "NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    new_condition(
        "NamespaceDeletionGroupVersionParsingFailure", False, "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    new_condition(
        "NamespaceDeletionContentFailure", False, "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
]  # fmt: skip


def _remaining(left: dict[Kind, list[Stored]]) -> Body:
    counts = sorted(f"{_full(kind)} has {len(objects)} resource instances" for kind, objects in left.items() if objects)
    words = f"Some resources are remaining: {', '.join(counts)}"
    return new_condition("NamespaceContentRemaining", True, "SomeResourcesRemain", words)


def _finalizers(left: dict[Kind, list[Stored]]) -> Body:
    held = [f for objects in left.values() for stored in objects for f in stored.metadata.get("finalizers") or ()]
    counts = sorted(f"{finalizer} in {held.count(finalizer)} resource instances" for finalizer in set(held))
    if not counts:
        words = "All content-preserving finalizers finished"
        return new_condition("NamespaceFinalizersRemaining", False, "ContentHasNoFinalizers", words)
    words = f"Some content in the namespace has finalizers remaining: {', '.join(counts)}"
    return new_condition("NamespaceFinalizersRemaining", True, "SomeFinalizersRemain", words)


def _full(kind: Kind) -> str:
    return f"{kind.resource}.{kind.group}"
