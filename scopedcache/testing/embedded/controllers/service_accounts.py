"""Every namespace gets a ServiceAccount `default`. Its certificate bundle (`kube-root-ca.crt`) is not published."""

from __future__ import annotations

from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage


class ServiceAccounts:
    """Creates the ServiceAccount that Pods without one run as."""

    name = "serviceaccount-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._namespaces = registry["namespaces"]
        self._accounts = registry["serviceaccounts"]
        self._look_at: dict[str, None] = {}

    def observe(self, event: Event) -> None:
        """Note the namespaces that are new, and those that lost the account."""
        if event.kind.key == self._namespaces.key and event.type != "DELETED":
            self._look_at[event.stored.name] = None
        elif event.kind.key == self._accounts.key and event.type == "DELETED" and event.stored.name == "default":
            self._look_at[event.stored.namespace] = None

    def step(self, now: float) -> float | None:
        """Create what is missing."""
        while self._look_at:
            name = next(iter(self._look_at))
            del self._look_at[name]
            namespace = self._storage.get(self._namespaces, "", name)
            if namespace is None or namespace.deleting or self._storage.get(self._accounts, name, "default"):
                continue
            metadata = {"name": "default", "namespace": name}
            self._storage.create(self._accounts, {"apiVersion": "v1", "metadata": metadata}, now)
        return None
