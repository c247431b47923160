"""What both doors do with a request: wait where a fault says so, ask the cluster, and carry a watch to its reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import inf
from typing import Protocol

from ..faults import Fault, Lost, cut_lines
from ..loop_timer import running_here
from ..server.api_server import Question
from ..server.watches import Watch
from ..wire.messages import Answer, Request


class Core(Protocol):
    """What a door needs of a cluster."""

    def begin(self, request: Request) -> tuple[Fault | None, Question]: ...

    def serves(self, question: Question) -> bool: ...

    def finish(self, question: Question) -> Answer | Watch: ...

    def now(self) -> float: ...

    def take(self, watch: Watch) -> list[bytes]: ...

    def close(self, watch: Watch) -> None: ...


async def run_request(
    core: Core, request: Request, timeout: float | None = None
) -> tuple[Answer | Watch, Fault | None]:
    """Send a request through the faults to the cluster; where neither says so, nothing is waited for.

    Raises:
        Lost: there is no connection, or the server has restarted since it was asked.
        TimeoutError: a fault keeps the answer for longer than `timeout`.
    """
    fault, question = core.begin(request)
    if fault is None and not question.wait:
        return core.finish(question), None
    async with asyncio.timeout(timeout):
        await asyncio.sleep(question.wait + (fault.latency if fault is not None else 0.0))
    if fault is not None and fault.refuse:
        raise Lost("connection refused")
    if not core.serves(question):
        raise Lost("connection lost")
    return (fault.answer() if fault is not None else None) or core.finish(question), fault


async def watch_chunks(
    core: Core, watch: Watch, fault: Fault | None = None, idle_timeout: float | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield what a watch sends, as it comes, until it ends.

    Raises:
        Lost: a fault cuts the connection, the server restarts, or nothing came for `idle_timeout` seconds.
    """
    loop = asyncio.get_running_loop()
    news = WatchSignal(loop)
    watch.notify = news.tell
    patience = inf if idle_timeout is None else idle_timeout
    sent, silent, heard = 0, fault is not None and fault.silences(0), loop.time()
    try:
        while True:
            news.clear()
            lines = core.take(watch)
            if lines and not silent:
                if fault is None:
                    yield b"".join(lines)
                    heard = loop.time()
                else:
                    async with aclosing(cut_lines(fault, lines, sent)) as pieces:
                        while (piece := await next_piece(pieces, heard, patience)) is not None:
                            yield piece
                            heard = loop.time()
                            if watch.lost:
                                raise Lost("connection lost")
                    sent += len(lines)
                    silent = fault.silences(sent)
            elif watch.lost and not silent:
                raise Lost("connection lost")
            elif watch.ended and not silent:
                return
            elif loop.time() >= heard + patience:
                raise Lost(f"no byte for {patience:g} s")
            else:
                due = loop.time() + max(0.0, watch.due - core.now()) if not silent else inf
                await news.wait(min(due, heard + patience))
    finally:
        news.close()
        core.close(watch)


async def next_piece(pieces: AsyncGenerator[bytes, None], heard: float, patience: float) -> bytes | None:
    """Return the next of these pieces, None: there is none any more.

    Raises:
        Lost: it does not come for so many seconds after the time of the loop at which the last one was `heard`.
    """
    try:
        async with asyncio.timeout_at(heard + patience if patience < inf else None):
            return await anext(pieces, None)
    except TimeoutError:
        raise Lost(f"no byte for {patience:g} s") from None


class WatchSignal:
    """An event that may be told from any thread, with one timer that is set again only when it has to ring earlier.

    A timer for each wait would cost more than what is waited for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self.clear = self._event.clear
        self._timer: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Wake who waits."""
        if running_here(self._loop):
            self._event.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, until: float) -> None:
        """Wait until told, or until this time of the loop; it may be earlier."""
        if self._timer is None or self._timer.when() > until:
            self.close()
            self._timer = self._loop.call_at(until, self._ring) if until < inf else None
        await self._event.wait()

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._event.set()
