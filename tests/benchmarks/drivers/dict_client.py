"""What drivers of clients without a cache have in common: a dict of Pods, and a task that feeds it from a watch.

What is done for an event is each driver's own, for that is what is measured.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.benchmarks.drivers.common import Mode


class DictClient:
    """The half of a driver that is the same for all of them; a Pod is an object of whatever library."""

    def __init__(self) -> None:
        self.mode: Mode = "count"
        self.latencies: list[int] = []
        self._pods: dict[tuple[str, str], Any] = {}
        self._expected = ""
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, watch: Coroutine[Any, Any, None]) -> None:
        """Run the watch."""
        self._task = asyncio.create_task(watch)

    def expect(self, version: str) -> asyncio.Event:
        self._done.clear()
        self._expected = version
        return self._done

    def content(self, name: str) -> None:
        return None

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
