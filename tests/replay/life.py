"""A cache that is the same when it is recorded and when the recording is played: one owner, Pods, ConfigMaps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from scopedcache import GVK, ScopedCache, ScopedCacheError
from scopedcache.cache.owner import OwnerId
from scopedcache.kinds import ObjectKey

NAMESPACE = "recorded"
CONFIG_MAP = GVK("", "v1", "ConfigMap")
WIDGET = GVK("example.org", "v1", "Widget")
OWNER = OwnerId(
    GVK("example.org", "v1", "Owner"), ObjectKey(NAMESPACE, "owner"), "00000000-0000-0000-0000-000000000001"
)


@attrs.frozen
class Life:
    """What was told, and what was seen at the end: names by kind, or the error that a read raised."""

    told: list[str]
    seen: dict[str, Any]


async def live(cache: ScopedCache, meanwhile: Callable[[], Awaitable[object]]) -> Life:
    """Open, tell what happens meanwhile, and look."""
    told: list[str] = []
    cache.subscribe(lambda change: told.append(change.cause))
    for kind in (CONFIG_MAP, WIDGET):
        try:
            await cache.open(OWNER, kind, sync_timeout=10.0)
            told.append(f"open {kind.kind}")
        except ScopedCacheError as error:
            told.append(f"{kind.kind}: {type(error).__name__}")
    await meanwhile()
    seen = {kind.kind: look(cache, kind) for kind in (CONFIG_MAP, WIDGET)}
    return Life([one for one in told if one != "child"], seen)


def look(cache: ScopedCache, kind: GVK) -> Any:
    """Return the names that a read shows, or the name of the error."""
    scope = cache.namespaces.get(NAMESPACE, {}).get(OWNER.uid)
    if scope is None:
        return "not open"
    try:
        return sorted(obj.name for obj in scope.list(kind))
    except ScopedCacheError as error:
        return type(error).__name__


async def let_pass(seconds: float) -> None:
    """Do nothing for some seconds of the loop's time."""
    await asyncio.sleep(seconds)
