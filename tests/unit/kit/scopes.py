"""A cache over the embedded cluster for the tests of the kit, and one owner in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from scopedcache import Client, Object, OwnerChanged, ScopedCache
from tests.unit.cluster import MEMCACHED, Cluster


@attrs.define
class Scopes:
    """A running cache, its owner, and what that was told."""

    server: Cluster
    client: Client
    cache: ScopedCache
    owner: Object
    told: list[OwnerChanged]

    @property
    def causes(self) -> list[str]:
        return [change.cause for change in self.told]

    @property
    def open_in(self) -> set[str]:
        """Return the namespaces in which the owner has something, open or waiting."""
        return {scope.namespace for scope in self.cache.snapshot().scopes if scope.namespace}


@asynccontextmanager
async def scopes(server: Cluster) -> AsyncIterator[Scopes]:
    clock: dict[str, Any] = {"timer": asyncio.get_running_loop().time, "chance": lambda: 0.5}
    owner = server.put(MEMCACHED, "m", "home")
    async with server.client() as client, ScopedCache(client, rbac_watch=False, **clock) as cache:
        told: list[OwnerChanged] = []
        cache.subscribe(told.append)
        yield Scopes(server, client, cache, owner, told)
