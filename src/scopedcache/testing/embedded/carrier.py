"""What both doors do with a request: wait where a fault says so, ask the cluster, and carry a watch to its reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from .faults import Fault, Lost, cut_lines
from .messages import Answer, Request
from .server import Question
from .watches import Watch


class Core(Protocol):
    """What a door needs of a cluster."""

    def begin(self, request: Request) -> tuple[Fault | None, Question]: ...

    def finish(self, question: Question) -> Answer | Watch: ...

    def now(self) -> float: ...

    def take(self, watch: Watch) -> list[bytes]: ...


async def exchange(core: Core, request: Request, timeout: float | None = None) -> tuple[Answer | Watch, Fault | None]:
    """Send a request through the faults to the cluster; where neither says so, nothing is waited for.

    Raises:
        Lost: there is no connection.
        TimeoutError: a fault keeps the answer for longer than `timeout`.
    """
    fault, question = core.begin(request)
    if fault is None and not question.wait:
        return core.finish(question), None
    async with asyncio.timeout(timeout):
        await asyncio.sleep(question.wait + (fault.latency if fault is not None else 0.0))
    if fault is not None and fault.refuse:
        raise Lost("connection refused")
    return (fault.answer() if fault is not None else None) or core.finish(question), fault


async def chunks(core: Core, watch: Watch, fault: Fault | None = None) -> AsyncGenerator[bytes, None]:
    """Yield what a watch sends, as it comes, until it ends.

    Raises:
        Lost: a fault cuts the connection, or the server restarts.
    """
    loop = asyncio.get_running_loop()
    news = asyncio.Event()

    def notify() -> None:
        if running_here(loop):
            news.set()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(news.set)

    watch.notify = notify
    sent = 0
    try:
        while True:
            news.clear()
            lines = core.take(watch)
            if lines and fault is not None:
                async for chunk in cut_lines(fault, lines, sent):
                    yield chunk
                sent += len(lines)
            elif lines:
                yield b"".join(lines)
            elif watch.lost:
                raise Lost("connection lost")
            elif watch.ended:
                return
            else:
                await _wait(news, watch.due - core.now())
    finally:
        watch.close()


def running_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether this is the loop that runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await news.wait()
    except TimeoutError:
        return
