"""The way from threads onto one event loop, and back with the result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, Final, Generic, TypeVar

from ..clock import machine_time
from ..errors import CacheError

T = TypeVar("T")

# How often a waiting thread looks whether the loop still lives: what a closed loop was given last is never run, and
# nobody tells.
LOOK_EVERY_SECONDS: Final = 1.0
# How long an interrupted call waits for its work to be gone.
GRACE_SECONDS: Final = 2.0


class Portal:
    """Runs work on an event loop for threads that have none. Safe to use from any thread.

    Args:
        loop: where the work runs.
        timeout: seconds a call may take; None for no limit.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, timeout: float | None = None) -> None:
        self._loop = loop
        self._timeout = timeout
        self._closed = False

    @classmethod
    @contextmanager
    def start(cls, *, timeout: float | None = None) -> Iterator[Portal]:
        """Run a loop in a daemon thread and yield the way to it; leaving the block ends whatever runs there."""
        ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        async def serve() -> None:
            stop = asyncio.Event()
            ready.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="scopedcache", daemon=True)
        thread.start()
        loop, stop = ready.result()
        portal = cls(loop, timeout=timeout)
        try:
            yield portal
        finally:
            portal._closed = True
            loop.call_soon_threadsafe(stop.set)
            thread.join()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for what `work` does on the loop; return its result, or raise what it raised.

        Raises:
            CacheError: the loop has ended, or this is its own thread, which must not wait for itself.
            TimeoutError: it took longer than `timeout`; it was cancelled.
        """
        self._check_thread()
        call = _Call(self._loop, work)
        try:
            self._begin(call)
            return self._result(call)
        except BaseException:
            call.give_up()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Call a plain function on the loop: what touches memory alone. On the loop's own thread it is called at once.

        Raises:
            CacheError: the loop has ended.
        """
        if self._here:
            return function()

        async def calling() -> T:
            return function()

        return self.run(calling)

    @contextmanager
    def entered(self, opened: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
        """Enter an asynchronous context, and leave it with the block; both happen in one task."""
        self._check_thread()
        entered: Future[tuple[T, asyncio.Event]] = Future()

        async def hold() -> None:
            async with opened() as value:
                leave = asyncio.Event()
                entered.set_result((value, leave))
                await leave.wait()

        call = _Call(self._loop, hold)
        try:
            self._begin(call)
            self._wait(entered, call.future)
            if not entered.done():
                self._result(call)
            value, leave = entered.result()
        except BaseException:
            call.give_up()
            raise
        try:
            yield value
        finally:
            if not call.future.done() and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(leave.set)
                self._result(call)

    @property
    def _here(self) -> bool:
        """Tell whether this is the loop's own thread."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _check_thread(self) -> None:
        if self._here:
            raise CacheError("this is the event loop's own thread, where a blocking call would wait for itself: await")

    def _begin(self, call: _Call[Any]) -> None:
        try:
            if self._closed:
                raise RuntimeError("closed")
            call.begin()
        except RuntimeError as error:
            raise self._end_error() from error

    def _result(self, call: _Call[T]) -> T:
        self._wait(call.future)
        try:
            return call.future.result(0)
        except CancelledError as error:  # by the end of the loop: nobody else cancels it
            raise self._end_error() from error

    def _wait(self, *futures: Future[Any]) -> None:
        """Wait until one of them is done."""
        until = None if self._timeout is None else machine_time() + self._timeout
        while not wait(futures, _left(until), FIRST_COMPLETED).done:
            if until is not None and machine_time() >= until:
                raise TimeoutError(f"the call took longer than {self._timeout:g} s")
            if self._loop.is_closed() and not any(future.done() for future in futures):
                raise self._end_error()

    def _end_error(self) -> CacheError:
        return CacheError("the event loop behind this handle has ended: what it led to is closed")

    def __repr__(self) -> str:
        return f"<Portal {'closed' if self._closed or self._loop.is_closed() else 'open'}>"


def _left(until: float | None) -> float:
    return LOOK_EVERY_SECONDS if until is None else max(0.0, min(LOOK_EVERY_SECONDS, until - machine_time()))


class _Call(Generic[T]):
    """One piece of work on a loop: begun, waited for, given up.

    It may be given up at any moment, a Ctrl-C while it begins included: both go through the loop, in their order.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.future: Future[T] = Future()
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Start the work. Raises RuntimeError where the loop is closed."""
        self._loop.call_soon_threadsafe(self._start)

    def give_up(self) -> None:
        """Cancel the work, and wait a moment until it is gone."""
        if self.future.done() or self._loop.is_closed():
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)
            wait({self.future}, GRACE_SECONDS)

    # On the loop's thread.

    def _start(self) -> None:
        self._task = self._loop.create_task(self._work())
        self._task.add_done_callback(self._settle)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif not self.future.done():
            self.future.set_exception(CancelledError())

    def _settle(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.future.set_exception(CancelledError())
        elif (error := task.exception()) is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())
