"""A monitor over the embedded cluster, and what it told its listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, ScopedCacheError
from scopedcache.access import Monitor, Verdict
from scopedcache.access.verdict import VerdictState
from scopedcache.api.permission import Permission
from scopedcache.metrics import Counters
from scopedcache.supervisor import Supervisor
from scopedcache.testing import eventually
from tests.unit.clock import now
from tests.unit.cluster import DEPLOYMENT, POD, Cluster, manifest
from tests.unit.proxy import Proxy

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

    server: Cluster
    proxy: Proxy
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
        await eventually(lambda: self.state(permission) == state, within=limit)
        return now() - started

    async def call(self, verb: str = "list", namespace: str = "a") -> None:
        """Make a call of our own, whatever comes of it."""
        try:
            if verb == "list":
                await self.client.list(POD, namespace=namespace)
            else:
                await self.client.create(manifest(DEPLOYMENT, "d", namespace))
        except ScopedCacheError:
            pass


@asynccontextmanager
async def world(server: Cluster | None = None, listener: Any = None, **options: Any) -> AsyncIterator[World]:
    """Yield a running monitor of the operator's rights, on a cluster of its own unless told otherwise."""
    listener, counters, supervisor = listener or Listener(), Counters(), Supervisor("test")
    with ExitStack() as stack:
        server = server or stack.enter_context(Cluster.running())
        proxy = Proxy(server.client().transport)
        async with Client(proxy) as client:
            clock: dict[str, Any] = {"timer": asyncio.get_running_loop().time, "chance": lambda: 0.5}
            monitor = Monitor(client, instrumentation=counters, **clock | options)
            monitor.start(supervisor, listener)
            try:
                yield World(server, proxy, client, monitor, listener, supervisor, counters)
            finally:
                monitor.stop()
                await supervisor.close()
