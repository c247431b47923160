"""A cache over the small API server, in virtual time, and what it told its subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, Object, OwnerChanged, ScopedCache
from tests.unit.cache.api_server import DEPLOYMENT, MEMCACHED, POD, ApiServer
from tests.unit.clock import idle, now


@attrs.define
class World:
    """A running cache."""

    server: ApiServer
    client: Client
    cache: ScopedCache
    told: list[tuple[float, OwnerChanged]]

    def causes(self, owner: Object, since: float = 0.0) -> list[str]:
        """Return why an owner was told, in order."""
        return [change.cause for at, change in self.told if change.uid == owner.uid and at >= since]

    async def until(self, true: Callable[[], object], limit: float = 120.0) -> float:
        """Let time pass until something is true; return how long that took."""
        started = now()
        async with asyncio.timeout(limit):
            while True:
                if true():
                    return now() - started
                await asyncio.sleep(0.01)
        raise AssertionError

    def owner(self, name: str = "m", namespace: str = "a", **metadata: Any) -> Object:
        """Create a custom resource."""
        return self.server.put(MEMCACHED, name, namespace, **metadata)

    def state(self, owner: Object, namespace: str = "a") -> str:
        for scope in self.cache.snapshot().scopes:
            if (scope.uid, scope.namespace) == (owner.uid, namespace):
                return scope.state
        return "closed"

    def nothing_is_left(self) -> None:
        """Check that no scope, informer, route, handler, verdict or watch is there."""
        shot = self.cache.snapshot()
        assert (shot.scopes, shot.informers, shot.open_watches, shot.handlers, shot.routes) == ([], [], 0, 0, 0)
        assert not self.cache.monitor.verdicts
        assert self.cache.monitor.places == 0
        assert self.server.transport.open == set()


@asynccontextmanager
async def world(server: ApiServer | None = None, *, rbac_watch: bool = False, **options: Any) -> AsyncIterator[World]:
    server = server or ApiServer()
    clock: dict[str, Any] = {"timer": asyncio.get_running_loop().time, "chance": lambda: 0.5}
    async with server.running() as client:
        async with ScopedCache(client, rbac_watch=rbac_watch, **clock | options) as cache:
            told: list[tuple[float, OwnerChanged]] = []
            cache.subscribe(lambda change: told.append((now(), change)))
            yield World(server, client, cache, told)
        await idle()


KINDS = (POD, DEPLOYMENT)
