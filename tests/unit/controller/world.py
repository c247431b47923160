"""What a controller runs in: an operator's cache over the embedded cluster, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, Object, ObjectKey, ScopedCache
from scopedcache.kinds import Resource
from scopedcache.testing import Grant
from scopedcache.testing.virtual_time import idle
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, LEASE, MEMCACHED, POD, Cluster, manifest, reference, served
from tests.unit.proxy import Proxy

NAMESPACE = served("", "namespaces", "Namespace", namespaced=False)
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


@attrs.define
class World:
    """A running cache of an operator that may do everything to these kinds, and nothing to Deployments.

    Attributes:
        rights: what the operator may do to a kind, everywhere: for tests to take away and to give back.
    """

    server: Cluster
    proxy: Proxy
    client: Client
    cache: ScopedCache
    rights: dict[Resource, Grant]

    def memcached(self, name: str = "m", namespace: str = "a", *, size: int = 1, **metadata: Any) -> Object:
        """Create a custom resource, or change its size."""
        return self.server.write({**manifest(MEMCACHED, name, namespace, **metadata), "spec": {"size": size}})

    def pod(self, name: str = "p", namespace: str = "a", *, owner: Object | None = None) -> Object:
        return self.server.put(POD, name, namespace, ownerReferences=[reference(owner)] if owner else [])

    async def tell(self, *owners: Object) -> None:
        """Let the cache tell owners of a child: of a ConfigMap that they have opened."""
        for owner in owners:
            name = f"child-of-{owner.name}-{self.server.embedded.storage.version}"
            self.server.put(CONFIG_MAP, name, owner.namespace, owner=owner)
        await idle()

    def conditions(self, name: str = "m", namespace: str = "a") -> list[dict[str, Any]]:
        found = self.server.find(MEMCACHED, name, namespace) or {}
        return list(found.get("status", {}).get("conditions", []))

    def lease(self) -> dict[str, Any] | None:
        """Return the spec of the Lease that managers compete for."""
        found = self.server.find(LEASE, "lease", "system")
        return found["spec"] if found is not None else None

    @property
    def watched(self) -> list[tuple[str, str | None]]:
        """Return kind and place of what the controllers hold; ConfigMaps are what tests open."""
        found = [(informer.kind, informer.namespace) for informer in self.cache.snapshot().informers]
        return sorted(((kind, place) for kind, place in found if kind != str(CONFIG_MAP)), key=str)

    @property
    def open_scopes(self) -> set[ObjectKey]:
        return {scope.owner.key for found in self.cache.namespaces.values() for scope in found.values() if scope.owner}


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    with Cluster.running() as server:
        server.embedded.create_namespace("system")
        kinds = (MEMCACHED, POD, CONFIG_MAP, NAMESPACE, LEASE)
        rights = {kind: server.grant(None, kind, verbs=ALL_VERBS) for kind in kinds}
        server.embedded.grant(server.operator, ["patch"], [f"{MEMCACHED}/status"])
        server.embedded.grant(server.operator, ALL_VERBS, ["events.events.k8s.io"])
        proxy = Proxy(server.client().transport)
        async with Client(proxy) as client, ScopedCache(client, rbac_watch=False, chance=lambda: 0.5) as cache:
            yield World(server, proxy, client, cache, rights)
