"""Waits until the server serves a kind: its CRD may be installed after the operator, and its discovery may be away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import ScopedCacheError, UnknownKindError
from ..event_logger import event_logger
from ..kinds import Kind, Resource

if TYPE_CHECKING:
    from ..api.discovery import Discovery

logger: Final = event_logger("scopedcache.controller")

# Discovery itself asks the server no more than every two seconds, a document or two each time.
PAUSE_SECONDS: Final = 2.5
JITTER_FRACTION: Final = 0.8


async def wait_until_served(
    discovery: Discovery,
    kind: Kind,
    *,
    controller: str,
    not_served: set[str],
    chance: Callable[[], float] = random.random,
) -> Resource:
    """Return the resource of a kind; waits until the server serves it, asking every few seconds.

    What stands in the way is logged once, not at each attempt; so is that it is over. Meanwhile the kind is in
    `not_served`.
    """
    fields = {"controller": controller, "kind": str(kind)}
    logged: str | None = None
    while True:
        try:
            resource = await discovery.resolve_watchable(kind)
        except ScopedCacheError as error:
            not_served.add(str(kind))
            if str(error) != logged:
                logged = str(error)
                logger.warning(
                    "kind.not_served" if isinstance(error, UnknownKindError) else "kind.discovery_failed",
                    extra={**fields, "error": logged},
                )
        else:
            not_served.discard(str(kind))
            if logged is not None:
                logger.info("kind.served", extra=fields)
            return resource
        await asyncio.sleep(PAUSE_SECONDS * (1 + JITTER_FRACTION * chance()))
