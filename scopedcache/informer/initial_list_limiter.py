"""How many first lists run at a time, and whose turn is next.

Round-robin by namespace, so that none waits for another's hundred kinds. A list that takes long lends its slot to the
next one, so that twenty which never end keep nobody waiting; there are never more than twice as many lists as slots.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# Enough to fill the server's concurrency share for lists, few enough not to exhaust it.
INITIAL_LISTS_AT_ONCE: Final = 20
# Seconds after which a list lends its slot. A guess: ten thousand objects of 5 KB take well under one.
LEND_AFTER_SECONDS: Final = 5.0


class InitialListLimiter:
    """A semaphore that is fair between namespaces."""

    def __init__(self, initial_lists: int = INITIAL_LISTS_AT_ONCE) -> None:
        self._free = self._loans = initial_lists
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}

    @property
    def free(self) -> int:
        """Return how many lists may begin at once now."""
        return self._free

    @property
    def loans(self) -> int:
        """Return how many more slots may be lent."""
        return self._loans

    @asynccontextmanager
    async def take(self, namespace: str | None) -> AsyncIterator[None]:
        """Wait for a slot; hold it for the length of the block, after LEND_AFTER_SECONDS together with one more."""
        await self._acquire(namespace)
        lent = False

        def lend() -> None:
            nonlocal lent
            if self._loans > 0:
                self._loans -= 1
                lent = True
                self._release()

        timer = asyncio.get_running_loop().call_later(LEND_AFTER_SECONDS, lend)
        try:
            yield
        finally:
            timer.cancel()
            if lent:
                self._loans += 1
            else:
                self._release()

    async def _acquire(self, namespace: str | None) -> None:
        if self._free > 0:
            self._free -= 1
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._release()  # the slot was handed to us as we left
            raise

    def _release(self) -> None:
        while self._waiting:
            namespace = next(iter(self._waiting))
            line = self._waiting.pop(namespace)
            granted = line.popleft()
            if line:
                self._waiting[namespace] = line  # to the back of the round
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1
