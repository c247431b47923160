"""Waits for the queue: hands its keys to whoever awaits one.

The thin asynchronous half of `WorkQueue`. Any number of workers may wait; a key goes to one of them.
"""

from __future__ import annotations

import asyncio
from typing import Generic

from .work_queue import K, WorkQueue


class WorkQueueWaiter(Generic[K]):
    """The one reader of a queue whose clock is the running loop's.

    Takes over the queue's `on_change`.
    """

    def __init__(self, queue: WorkQueue[K]) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._waiters: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        queue.on_change = self._on_change

    async def get(self) -> K | None:
        """Wait for the next key and mark it running; None once the queue is shut down."""
        while True:
            if self._queue.closed:
                return None
            key = self._queue.pick()
            if key is not None:
                return key
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.add(waiter)
            self._arm()
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
                self._disarm_if_idle()

    def _on_change(self) -> None:
        # All of them: idle workers are few, and one that is cancelled as it wakes then takes nobody's key with it.
        if self._waiters and (self._queue.closed or self._queue.ready):
            self._wake()
        elif self._waiters:
            self._arm()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _arm(self) -> None:
        due = self._queue.next_due
        if self._timer is not None and (due is None or self._timer.when() != due):
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None:
            self._timer = self._loop.call_at(due, self._on_due)

    def _on_due(self) -> None:
        self._timer = None
        self._wake()

    def _disarm_if_idle(self) -> None:
        if self._timer is not None and not self._waiters:
            self._timer.cancel()
            self._timer = None

    def __repr__(self) -> str:
        due = "-" if self._timer is None else f"{self._timer.when():.3f}"
        return f"<WorkQueueWaiter waiting={len(self._waiters)} due={due}>"
