"""The lines of one stream, in the bunches they came in, and giving the loop back while they are worked on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ..transport import Stream
from .line_splitter import Line, LineSplitter

logger = logging.getLogger("scopedcache.api")

# The loop is given back after this many seconds of work on one stream.
SLICE_SECONDS = 0.001

Lines = list[Line]


def bytes_of(line: Line) -> bytes:
    """Return a line on its own."""
    buffer, start, stop = line
    return buffer[start:stop]


class Pace:
    """Gives the loop back when a slice of time is used up."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_SECONDS

    async def checkpoint(self) -> None:
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE_SECONDS


class LineReader:
    """The whole lines of a stream, in the bunches they came in."""

    def __init__(self, stream: Stream, line_limit: int) -> None:
        self._chunks = stream.chunks()
        self._splitter = LineSplitter(line_limit)

    async def close(self) -> None:
        """End the iteration now; left to the garbage collector, it would end as a task of its own."""
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()

    def __aiter__(self) -> LineReader:
        return self

    async def __anext__(self) -> Lines:
        try:
            while True:
                lines = self._splitter.spans(await anext(self._chunks))
                if lines:
                    return lines
        except StopAsyncIteration:
            if self._splitter.rest:
                logger.info("watch.half_line_dropped", extra={"bytes": self._splitter.rest})
            raise


@asynccontextmanager
async def reading(opened: AbstractAsyncContextManager[Stream], line_limit: int) -> AsyncIterator[LineReader]:
    async with opened as stream:
        reader = LineReader(stream, line_limit)
        try:
            yield reader
        finally:
            await reader.close()
