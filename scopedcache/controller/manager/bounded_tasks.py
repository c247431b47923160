"""Tasks that begin and end together, as in an `asyncio.TaskGroup`, but whose end has a limit.

Code of others may swallow its cancellation. It is left behind then, and said so, instead of keeping the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from ...event_logger import event_logger

logger: Final = event_logger("scopedcache.controller")


class BoundedTasks:
    """The tasks of one stretch of a manager's life.

    Args:
        grace: seconds they get to end in after their cancellation.
    """

    def __init__(self, *, grace: float) -> None:
        self._grace = grace
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Begin a task."""
        task = asyncio.get_running_loop().create_task(_coroutine(run), name=name)
        self._tasks.add(task)
        return task

    async def wait_unless_failed(self, *until: asyncio.Task[Any]) -> None:
        """Wait until all of these have ended, or any task of the group has failed."""
        while not all(task.done() for task in until) and not self._failures():
            await asyncio.wait([task for task in self._tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)

    async def end(self, tasks: Iterable[asyncio.Task[Any]] | None = None) -> None:
        """Cancel these tasks, or all, and wait until they are gone; those who do not go are left behind."""
        ending = [task for task in (self._tasks if tasks is None else tasks) if not task.done()]
        for task in ending:
            task.cancel()
        if ending:
            _, late = await asyncio.wait(ending, timeout=self._grace)
            for task in late:
                logger.error("manager.left_behind", extra={"task": task.get_name()})

    def raise_failures(self) -> None:
        """Raise what a task raised; as a group, where several did."""
        failures = self._failures()
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BaseExceptionGroup("several parts of the manager failed", failures)

    def _failures(self) -> list[BaseException]:
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return [error for task in ended if (error := task.exception()) is not None]


async def _coroutine(run: Callable[[], Awaitable[None]]) -> None:
    await run()
