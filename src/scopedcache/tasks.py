"""Background work with a parent: started by name, guarded, ended together.

An unexpected exception in a guarded task is logged once as an ERROR, told to its owner, and the work starts again
after a growing pause; nothing but cancellation leaves. Not an `asyncio.TaskGroup`: that one must be entered and left by
one task and ends all its children when one fails, and here a failure belongs to one child.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import attrs

_log = logging.getLogger("scopedcache.tasks")


def loop_time() -> float:
    """Return the time of the running loop; the monotonic clock where none runs.

    On ordinary loops the two are the same. A loop with virtual time moves everything that goes by this one.
    """
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def wall_time() -> datetime:
    """Return the date and time to stamp things with: the machine's, unless the running loop has a `wall_time()`.

    A loop with virtual time has one, so that what is stamped an hour later there is an hour apart.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return datetime.now(UTC)
    theirs: Callable[[], datetime] | None = getattr(loop, "wall_time", None)
    return datetime.now(UTC) if theirs is None else theirs()


# Work that went well for this long begins with the smallest pause again when it fails.
QUIET = 60.0


@attrs.define
class Backoff:
    """Pauses that grow by `factor` from `base` to `cap` seconds, each with up to `jitter` of it added.

    The defaults are client-go's for reflectors (0.8 s, ×2, 30 s), which servers are used to.
    """

    base: float = 0.8
    factor: float = 2.0
    cap: float = 30.0
    jitter: float = 0.5
    chance: Callable[[], float] = random.random
    _tries: int = attrs.field(default=0, init=False)

    def next(self) -> float:
        """Return the next pause, in seconds."""
        pause = min(self.cap, self.base * self.factor**self._tries)
        self._tries = min(self._tries + 1, 32)
        return pause * (1 + self.jitter * self.chance())

    def reset(self) -> None:
        """Begin with the smallest pause again."""
        self._tries = 0


class Supervisor:
    """Owns tasks; `close` cancels them all and waits until they are gone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, name: str, work: Coroutine[Any, Any, Any], *, quiet: bool = False) -> asyncio.Task[Any]:
        """Run `work` once as a task of ours; an exception other than cancellation is logged, not raised.

        `quiet`: whoever awaits the task deals with its exception; it is not logged.
        """
        if self._closed:
            work.close()
            raise RuntimeError(f"{self._name} is closed")
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}/{name}")
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
                _log.error("task-failed", extra={"task": f"{self._name}/{name}"}, exc_info=error)
                if on_failure is not None:
                    _tell(on_failure, error)
            if clock() - started >= QUIET:
                pauses.reset()
            await asyncio.sleep(pauses.next())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task-failed", extra={"task": task.get_name()}, exc_info=error)

    def _quiet(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

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
        _log.error("task-failed", extra={"task": repr(on_failure)}, exc_info=another)
