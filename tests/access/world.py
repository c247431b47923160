"""A monitor over the small API server, and what it told its listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, ScopedCacheError
from scopedcache.access import Monitor, Verdict
from scopedcache.access.verdict import State
from scopedcache.api.reviews import Right
from scopedcache.instrumentation import Counters
from scopedcache.tasks import Supervisor
from tests.cache.api_server import POD, ApiServer
from tests.clock import now

WATCH_PODS = Right("watch", "", "pods", "a")
LIST_PODS = Right("list", "", "pods", "a")
CREATE_DEPLOYMENTS = Right("create", "apps", "deployments", "a")
PODS = (LIST_PODS, WATCH_PODS)


def pods_in(namespace: str) -> tuple[Right, Right]:
    return Right("list", "", "pods", namespace), Right("watch", "", "pods", namespace)


@attrs.define
class Listener:
    """Writes down what it hears, and when."""

    heard: list[tuple[float, str, State]] = attrs.field(factory=list)
    modes: list[bool] = attrs.field(factory=list)

    def verdict_changed(self, verdict: Verdict, before: State) -> None:
        self.heard.append((now(), verdict.right.verb, verdict.state))

    def attempt_mode_changed(self, attempting: bool) -> None:
        self.modes.append(attempting)

    def states(self, verb: str) -> list[State]:
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

    def state(self, right: Right) -> State:
        verdict = self.monitor.verdict(right)
        assert verdict is not None
        return verdict.state

    async def opened(self, *rights: Right) -> None:
        self.monitor.lease(rights)
        await self.monitor.check(rights)

    async def until(self, right: Right, state: State, limit: float = 120.0) -> float:
        """Let time pass until a right is in a state; return how long it took."""
        started = now()
        async with asyncio.timeout(limit):
            while True:
                if self.state(right) == state:
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
