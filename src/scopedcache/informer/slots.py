"""How many first lists run at a time, and whose turn is next.

Round-robin by namespace, so that none waits for another's hundred kinds. A list that takes long lends its slot to the
next one, so that twenty which never end keep nobody waiting; there are never more than twice as many lists as slots.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Enough to fill the server's concurrency share for lists, few enough not to exhaust it.
FIRST_SYNCS = 20
# Seconds after which a list lends its slot. A guess: ten thousand objects of 5 KB take well under one.
KEPT = 5.0


class SyncSlots:
    """A semaphore that is fair between namespaces."""

    def __init__(self, slots: int = FIRST_SYNCS) -> None:
        self._free = self._loans = slots
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def take(self, namespace: str | None) -> AsyncIterator[None]:
        """Wait for a slot; hold it for the length of the block, after KEPT seconds together with one more."""
        await self._acquire(namespace)
        lent = False

        def lend() -> None:
            nonlocal lent
            if self._loans > 0:
                self._loans -= 1
                lent = True
                self._release()

        timer = asyncio.get_running_loop().call_later(KEPT, lend)
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
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the slot was handed to us as we left
            raise

    def _release(self) -> None:
        while self._waiting:
            namespace = next(iter(self._waiting))
            line = self._waiting.pop(namespace)
            turn = line.popleft()
            if line:
                self._waiting[namespace] = line  # to the back of the round
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
