"""Waits until the server serves a kind: its CRD may be installed after the operator, and its discovery may be away."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import ScopedCacheError, UnknownKindError
from ..kinds import Kind, Resource

if TYPE_CHECKING:
    from ..api.discovery import Discovery

logger = logging.getLogger("scopedcache.controller")

# Discovery itself asks the server no more than every two seconds (`discovery.RETRY`), a document or two each time.
PAUSE_SECONDS: Final = 2.5
JITTER_FRACTION: Final = 0.8


async def served(
    discovery: Discovery,
    kind: Kind,
    *,
    controller: str,
    missing: set[str],
    chance: Callable[[], float] = random.random,
) -> Resource:
    """Return the resource of a kind; waits until the server serves it, asking every few seconds.

    What stands in the way is logged once, not at each attempt; so is that it is over. Meanwhile the kind is one of
    `missing`.
    """
    said = {"controller": controller, "kind": str(kind)}
    told: str | None = None
    while True:
        try:
            found = await discovery.resolve(kind)
        except ScopedCacheError as error:
            missing.add(str(kind))
            if str(error) != told:
                told = str(error)
                event = "kind.not_served" if isinstance(error, UnknownKindError) else "kind.discovery_failed"
                logger.warning(event, extra={**said, "error": told})
        else:
            missing.discard(str(kind))
            if told is not None:
                logger.info("kind.served", extra=said)
            return found
        await asyncio.sleep(PAUSE_SECONDS * (1 + JITTER_FRACTION * chance()))
