"""Trying again after a conflict, always from what the server holds now."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..errors import AlreadyExistsError, ConflictError

T = TypeVar("T")
R = TypeVar("R")

# client-go's DefaultBackoff (util/retry): four tries; 10, 50 and 250 ms between them, each up to a tenth longer.
STEPS: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.010
PAUSE_FACTOR: Final = 5.0
JITTER_FRACTION: Final = 0.1


async def retry_on_conflict(
    fetch: Callable[[], Awaitable[T]],
    write: Callable[[T], Awaitable[R]],
    *,
    steps: int = STEPS,
    chance: Callable[[], float] = random.random,
) -> R:
    """Fetch, write, and on a conflict begin again with the fetch; return what `write` returned.

        await retry_on_conflict(lambda: client.get(POD, key), label_it)

    The fetch belongs to each try: a write of what was read before the conflict would fail again, or undo somebody's
    change. Fetch from the server, not from a cache that may not have seen the change yet.

    Raises:
        ConflictError: it conflicted `steps` times.
        Exception: whatever else `fetch` or `write` raised; nothing but a conflict is tried again.
    """
    pause = FIRST_PAUSE_SECONDS
    for _ in range(steps - 1):
        try:
            return await write(await fetch())
        except AlreadyExistsError:
            raise
        except ConflictError:
            await asyncio.sleep(pause * (1 + JITTER_FRACTION * chance()))
            pause *= PAUSE_FACTOR
    return await write(await fetch())
