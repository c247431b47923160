"""A cache over the embedded cluster, in virtual time, and what it told its subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, Object, OwnerChanged, ScopedCache
from scopedcache.testing import eventually
from tests.unit.clock import idle, now
from tests.unit.cluster import DEPLOYMENT, MEMCACHED, OPERATOR, POD, Cluster
from tests.unit.memory import strings_in
from tests.unit.proxy import Proxy


@attrs.define
class World:
    """A running cache."""

    server: Cluster
    proxy: Proxy
    client: Client
    cache: ScopedCache
    told: list[tuple[float, OwnerChanged]]

    def causes(self, owner: Object, since: float = 0.0) -> list[str]:
        """Return why an owner was told, in order."""
        return [change.cause for at, change in self.told if change.uid == owner.uid and at >= since]

    async def until(self, true: Callable[[], object], limit: float = 120.0) -> float:
        """Let time pass until something is true; return how long that took."""
        started = now()
        await eventually(true, within=limit)
        return now() - started

    def owner(self, name: str = "m", namespace: str = "a", **metadata: Any) -> Object:
        """Create a custom resource."""
        return self.server.put(MEMCACHED, name, namespace, **metadata)

    def state(self, owner: Object, namespace: str = "a") -> str:
        for scope in self.cache.snapshot().scopes:
            if (scope.uid, scope.namespace) == (owner.uid, namespace):
                return scope.state
        return "closed"

    def kept(self) -> set[str]:
        """Return every string that the cache keeps: uids, names."""
        return strings_in(self.cache, apart=(self.server, self.proxy, self.told))

    def nothing_is_left(self) -> None:
        """Check that no scope, informer, route, handler, verdict or watch is there."""
        shot = self.cache.snapshot()
        assert (shot.scopes, shot.informers, shot.open_watches, shot.handlers, shot.routes) == ([], [], 0, 0, 0)
        assert not self.cache.monitor.verdicts
        assert self.cache.monitor.places == 0
        assert self.server.embedded.audit.open_watches(user=OPERATOR) == []


@asynccontextmanager
async def world(server: Cluster | None = None, *, rbac_watch: bool = False, **options: Any) -> AsyncIterator[World]:
    """Yield a running cache of the operator's, on a cluster of its own unless told otherwise."""
    with ExitStack() as stack:
        server = server or stack.enter_context(Cluster.running())
        proxy = Proxy(server.client().transport)
        clock: dict[str, Any] = {"timer": asyncio.get_running_loop().time, "chance": lambda: 0.5}
        async with Client(proxy) as client, ScopedCache(client, rbac_watch=rbac_watch, **clock | options) as cache:
            told: list[tuple[float, OwnerChanged]] = []
            cache.subscribe(lambda change: told.append((now(), change)))
            yield World(server, proxy, client, cache, told)
        await idle()


KINDS = (POD, DEPLOYMENT)
