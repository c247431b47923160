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
        self._alarm: asyncio.TimerHandle | None = None
        queue.on_change = self._changed

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

    def _changed(self) -> None:
        # All of them: idle workers are few, and one that is cancelled as it wakes then takes nobody's turn with it.
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
        if self._alarm is not None and (due is None or self._alarm.when() != due):
            self._alarm.cancel()
            self._alarm = None
        if due is not None and self._alarm is None:
            self._alarm = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def _disarm_if_idle(self) -> None:
        if self._alarm is not None and not self._waiters:
            self._alarm.cancel()
            self._alarm = None
