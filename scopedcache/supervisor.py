"""Background work with a parent: started by name, guarded, ended together.

An unexpected exception in a guarded task is logged once as an ERROR, told to its owner, and the work starts again
after a growing pause; nothing but cancellation leaves. Not an `asyncio.TaskGroup`: that one must be entered and left by
one task and ends all its children when one fails, and here a failure belongs to one child.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Final

from .backoff import Backoff
from .event_logger import event_logger

logger: Final = event_logger("scopedcache.supervisor")


# Work that went well for this long begins with the smallest pause again when it fails.
QUIET = 60.0


class Supervisor:
    """Owns tasks; `close` cancels them all and waits until they are gone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._context: Context | None = None

    def keep_context(self) -> None:
        """Start tasks in the context of now, whoever asks for them: they outlive that, and are not about it."""
        self._context = copy_context()

    def start(self, name: str, work: Coroutine[Any, Any, Any], *, quiet: bool = False) -> asyncio.Task[Any]:
        """Run `work` once as a task of ours; an exception other than cancellation is logged, not raised.

        `quiet`: whoever awaits the task deals with its exception; it is not logged.
        """
        if self._closed:
            work.close()
            raise RuntimeError(f"{self._name} is closed")
        context = None if self._context is None else self._context.copy()
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}/{name}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._quiet if quiet else self._done)
        return task

    def start_guarded(
        self, name: str, work: Callable[[], Awaitable[None]], *, on_failure: Callable[[Exception], None] | None = None
    ) -> asyncio.Task[Any]:
        """Run `work` until it returns; when it raises, tell `on_failure`, pause, and run it again."""
        return self.start(name, self._guard(name, work, on_failure))

    def __len__(self) -> int:
        return len(self._tasks)

    async def _guard(
        self, name: str, work: Callable[[], Awaitable[None]], on_failure: Callable[[Exception], None] | None
    ) -> None:
        pauses, clock = Backoff(), asyncio.get_running_loop().time
        while True:
            started = clock()
            try:
                return await work()
            except Exception as error:
                logger.error("task.failed", extra={"task": f"{self._name}/{name}"}, exc_info=error)
                if on_failure is not None:
                    _tell(on_failure, error)
            if clock() - started >= QUIET:
                pauses.reset()
            await asyncio.sleep(pauses.next())

    def _done(self, task: asyncio.Task[Any]) -> None:
        error = self._end(task)
        if error is not None:
            logger.error("task.failed", extra={"task": task.get_name()}, exc_info=error)

    def _quiet(self, task: asyncio.Task[Any]) -> None:
        self._end(task)

    def _end(self, task: asyncio.Task[Any]) -> BaseException | None:
        """Return what a task raised. One that was cancelled forgets by being asked where that met it: the frames of
        that lead to the task again, and what they hold would stay until the next collection of cycles.
        """
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            return task.exception()
        return None

    async def close(self) -> None:
        """Cancel every task and wait for its end. Safe to call twice."""
        self._closed = True
        mine = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not mine]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def __repr__(self) -> str:
        return f"<Supervisor {self._name} tasks={len(self._tasks)}>"


def _tell(on_failure: Callable[[Exception], None], error: Exception) -> None:
    """Tell of a failure; what goes wrong in that must not end the guard."""
    try:
        on_failure(error)
    except Exception as another:
        logger.error("task.failed", extra={"task": repr(on_failure)}, exc_info=another)
