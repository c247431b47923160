"""ResourceQuotas say what is used of them."""

from __future__ import annotations

from ..admission.quota_usage import used
from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage
from ..wire.status_errors import Body
from .objects import with_status


class ResourceQuotas:
    """Counts what is in a namespace, as soon as something changes there."""

    name = "resourcequota-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._registry = registry
        self._quotas = registry["resourcequotas"]
        self._names: dict[str, set[str]] = {}  # by namespace: most have none
        self._look_at: dict[str, None] = {}

    def observe(self, event: Event) -> None:
        """Note the namespaces to count in."""
        namespace = event.stored.namespace
        if event.kind.key == self._quotas.key:
            names = self._names.setdefault(namespace, set())
            (names.discard if event.type == "DELETED" else names.add)(event.stored.name)
        if self._names.get(namespace):
            self._look_at[namespace] = None

    def step(self, now: float) -> float | None:
        """Write what is used."""
        while self._look_at:
            namespace = next(iter(self._look_at))
            del self._look_at[namespace]
            for quota in self._storage.list(self._quotas, namespace):
                hard = (quota.body.get("spec") or {}).get("hard") or {}
                status: Body = {"hard": hard, "used": used(quota.body, self._objects(namespace))} if hard else {}
                if status != (quota.body.get("status") or {}):
                    self._storage.update(self._quotas, with_status(quota, status), now, part="status")
        return None

    def _objects(self, namespace: str) -> list[tuple[Kind, Body]]:
        return [
            (kind, stored.body)
            for kind in self._registry
            if kind.namespaced and kind.stored_as is None
            for stored in self._storage.list(kind, namespace)
        ]
