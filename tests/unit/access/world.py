"""A monitor over the small API server, and what it told its listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, ScopedCacheError
from scopedcache.access import Monitor, Verdict
from scopedcache.access.verdict import VerdictState
from scopedcache.api.permission import Permission
from scopedcache.metrics import Counters
from scopedcache.supervisor import Supervisor
from tests.unit.cache.api_server import POD, ApiServer
from tests.unit.clock import now

WATCH_PODS = Permission("watch", "", "pods", "a")
LIST_PODS = Permission("list", "", "pods", "a")
CREATE_DEPLOYMENTS = Permission("create", "apps", "deployments", "a")
PODS = (LIST_PODS, WATCH_PODS)


def pods_in(namespace: str) -> tuple[Permission, Permission]:
    return Permission("list", "", "pods", namespace), Permission("watch", "", "pods", namespace)


@attrs.define
class Listener:
    """Writes down what it hears, and when."""

    heard: list[tuple[float, str, VerdictState]] = attrs.field(factory=list)
    modes: list[bool] = attrs.field(factory=list)

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        self.heard.append((now(), verdict.permission.verb, verdict.state))

    def attempt_mode_changed(self, attempting: bool) -> None:
        self.modes.append(attempting)

    def states(self, verb: str) -> list[VerdictState]:
        return [state for _, heard, state in self.heard if heard == verb]


@attrs.define
class World:
    """A monitor, the server it asks, and who listens."""

    server: ApiServer
    client: Client
    monitor: Monitor
    listener: Listener
    supervisor: Supervisor
    counters: Counters

    def state(self, permission: Permission) -> VerdictState:
        verdict = self.monitor.verdict(permission)
        assert verdict is not None
        return verdict.state

    async def opened(self, *permissions: Permission) -> None:
        self.monitor.track(permissions)
        await self.monitor.check(permissions)

    async def until(self, permission: Permission, state: VerdictState, limit: float = 120.0) -> float:
        """Let time pass until a right is in a state; return how long it took."""
        started = now()
        async with asyncio.timeout(limit):
            while True:
                if self.state(permission) == state:
                    return now() - started
                await asyncio.sleep(0.01)
        raise AssertionError

    async def call(self, verb: str = "list", namespace: str = "a") -> None:
        """Make a call of our own, whatever comes of it."""
        try:
            if verb == "list":
                await self.client.list(POD, namespace=namespace)
            else:
                await self.client.create(
                    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": namespace}}
                )
        except ScopedCacheError:
            pass


@asynccontextmanager
async def world(server: ApiServer | None = None, listener: Any = None, **options: Any) -> AsyncIterator[World]:
    server, listener, counters = server or ApiServer(), listener or Listener(), Counters()
    async with server.running() as client:
        supervisor = Supervisor("test")
        clock: dict[str, Any] = {"timer": asyncio.get_running_loop().time, "chance": lambda: 0.5}
        monitor = Monitor(client, instrumentation=counters, **clock | options)
        monitor.start(supervisor, listener)
        try:
            yield World(server, client, monitor, listener, supervisor, counters)
        finally:
            monitor.stop()
            await supervisor.close()
