"""Runs a reconciler, whatever its shape, and turns every way it can end into an `Outcome`.

An `async def` runs on the loop, in a task of its own, and is cancelled at its deadline; one that swallows that is left
behind, and nobody waits for it. A plain `def` runs in a thread of its own, where it uses the twins that
`scopedcache.sync.of` makes of the cache; a thread cannot be stopped, so past its deadline it is reported, and the call
lasts until it returns. What it returns may be a coroutine (a lambda around an `async def`): that runs on the loop.

No exception of the reconciler gets past here, except the cancellation of the caller.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from ..event_logger import event_logger
from .outcome import Outcome, judge_error, judge_result, judge_timeout
from .request import Request, Result

logger: Final = event_logger("scopedcache.controller")

# What is cancelled ends at once, unless it swallows that: its clean-up is short.
GRACE_SECONDS: Final = 1.0

AsyncReconcile = Callable[[Request], Awaitable[Result | None]]
PlainReconcile = Callable[[Request], Result | None]


class Reconciler(Protocol):
    """An object with a `reconcile` method, `async` or plain."""

    def reconcile(self, request: Request, /) -> Any: ...


Reconcile = AsyncReconcile | PlainReconcile | Reconciler


class ReconcilerRunner:
    """Runs one controller's reconciler.

    Args:
        reconcile: an async function, a plain function, or an object with such a `reconcile` method.
        deadline: seconds a run may take; None for no limit.
        on_overdue: told of each run that passes its deadline.

    Raises:
        TypeError: `reconcile` is none of these.
    """

    def __init__(
        self, reconcile: Reconcile, *, deadline: float | None, on_overdue: Callable[[Request], None] | None = None
    ) -> None:
        function = getattr(reconcile, "reconcile", reconcile)
        if not callable(function):
            raise TypeError(f"reconcile is a function, or an object with a reconcile method, not {reconcile!r}")
        self._call: Callable[[Request], Any] = function
        self._deadline = deadline
        self._on_overdue = on_overdue or (lambda request: None)
        self.threaded = not (
            inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
        )

    async def run(self, request: Request, on_left_behind: Callable[[asyncio.Future[Any]], None]) -> Outcome:
        """Reconcile once.

        What goes on all the same is handed to `on_left_behind`: a thread, where the caller is cancelled, and a
        coroutine that swallows its cancellation.
        """
        if self.threaded:
            return await self._in_thread(request, on_left_behind)
        return await self._on_loop(request, self._call, on_left_behind)

    async def _on_loop(
        self,
        request: Request,
        call: Callable[[Request], Any],
        on_left_behind: Callable[[asyncio.Future[Any]], None],
    ) -> Outcome:
        running = asyncio.get_running_loop().create_task(_outcome_of(request, call), name=f"reconcile {request}")
        try:
            done, _ = await asyncio.wait({running}, timeout=self._deadline)
        except asyncio.CancelledError:
            await _end(running, on_left_behind)
            raise
        if not done:
            assert self._deadline is not None
            self._on_overdue(request)
            await _end(running, on_left_behind)
            if not running.done() or running.cancelled() or running.result().error is not None:
                return judge_timeout(self._deadline)
        if running.cancelled():
            return judge_error(asyncio.CancelledError())  # it cancelled something of its own, and let that out
        return running.result()

    async def _in_thread(self, request: Request, on_left_behind: Callable[[asyncio.Future[Any]], None]) -> Outcome:
        running = in_thread(lambda: self._call(request), name=f"reconcile {request}")
        try:
            done, _ = await asyncio.wait({running}, timeout=self._deadline)
            if not done:
                self._on_overdue(request)
                await asyncio.wait({running})
        except asyncio.CancelledError:
            if not running.done():
                on_left_behind(running)
            raise
        error = running.exception()
        if error is not None:
            return judge_error(error)
        answer = running.result()
        if inspect.isawaitable(answer):
            return await self._on_loop(request, lambda _: answer, on_left_behind)
        return judge_result(answer)


def in_thread(call: Callable[[], Any], *, name: str) -> asyncio.Future[Any]:
    """Start `call` in a thread of its own and return the future of its result.

    The thread is a daemon: a call that never returns must not keep the process from ending. It sees the context
    variables of its caller.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
            future.exception()  # whoever waited may be gone
        else:
            future.set_result(result)

    def run() -> None:
        result: Any = None
        trouble: BaseException | None = None
        try:
            result = context.run(call)
        except StopIteration as error:  # the one exception that a future refuses
            trouble = RuntimeError(f"StopIteration: {error}")
        except BaseException as error:
            trouble = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, trouble)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def _outcome_of(request: Request, call: Callable[[Request], Any]) -> Outcome:
    try:
        return judge_result(await call(request))
    except (Exception, SystemExit) as error:
        return judge_error(error)


async def _end(running: asyncio.Task[Any], on_left_behind: Callable[[asyncio.Future[Any]], None]) -> None:
    """Cancel a run and wait until it is gone; one that does not go is left behind."""
    running.cancel()
    try:
        await asyncio.wait({running}, timeout=GRACE_SECONDS)
    finally:
        if not running.done():
            on_left_behind(running)
