"""One piece of work shared by all who ask for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ...errors import ConfigurationError


class SingleFlight:
    """Who joins while it is under way waits for the same result; who stops waiting leaves it to the others."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def join(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for what is under way, else start it.

        Raises:
            ConfigurationError: it was ended by `close`, or what the work raised.
        """
        if self._task is None:
            self._task = asyncio.ensure_future(start())
            self._task.add_done_callback(self._done)
        await self._landed(self._task)

    async def settle(self) -> None:
        """Wait for what is under way, if anything is."""
        if self._task is not None:
            await self._landed(self._task)

    async def close(self) -> None:
        """End what is under way; wait until it is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _landed(self, task: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if task.cancelled() and not (waiting and waiting.cancelling()):
                raise ConfigurationError("this client is closed") from None
            raise

    def _done(self, done: asyncio.Task[None]) -> None:
        self._task = None
        if not done.cancelled():
            done.exception()  # each waiter has it; nobody may be left to hear it
