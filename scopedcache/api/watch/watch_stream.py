"""One open watch as batches of events: what everybody who watches reads.

What is no event is raised, after the events before it were given: an ERROR line as the error it stands for (a 410 is
`GoneError`, whether the server calls it Expired or Gone), a line that cannot be read and a half line at the end as
`ProtocolError`. `EventBatches` decides that, plainly; `WatchStream` feeds it from a connection.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Self

from ...errors import ProtocolError, ScopedCacheError, where
from ..request_info import RequestInfo
from ..status_errors import error_from_event
from ..transport import Stream
from .event_decoder import EventDecoder, WatchEvent, decode_error, ends_initial_events
from .line_splitter import LINE_LIMIT_BYTES, Line, LineSplitter
from .pace import Pace

# The type given to the BOOKMARK that ends the list with which a streaming watch begins; it is the last of its batch.
INITIAL_EVENTS_END: Final = "INITIAL_EVENTS_END"
# Events in a batch: less than a slice of work, so that the clock is looked at often enough and rarely enough.
BATCH_EVENTS: Final = 32


class EventBatches:
    """From the chunks of one watch to batches of events: `feed` it, `take` until nothing comes, `end` it."""

    def __init__(self, info: RequestInfo, decoder: EventDecoder, *, line_limit: int = LINE_LIMIT_BYTES) -> None:
        self._info = info
        self._read = decoder.read
        self._splitter = LineSplitter(line_limit)
        self._lines: list[Line] = []
        self._next = 0
        self._error: ScopedCacheError | None = None

    def feed(self, chunk: bytes) -> None:
        """Take in what came.

        Raises:
            ProtocolError: a line is longer than the limit.
        """
        self._lines = self._lines[self._next :] + self._splitter.spans(chunk)
        self._next = 0

    def take(self) -> list[WatchEvent]:
        """Return the next events, at most BATCH_EVENTS of them; none where more has to come first.

        Raises:
            APIError: the server ended the watch with an ERROR line.
            ProtocolError: a line is not a watch event.
        """
        if self._error is not None:
            raise self._error
        events: list[WatchEvent] = []
        first, read = self._next, self._read
        try:
            for line in self._lines[first : first + BATCH_EVENTS]:
                event = read(line)
                type_ = event[0]
                if type_ == "BOOKMARK" or type_ == "ERROR":
                    event = self._mark(line, event)
                    if event[0] == INITIAL_EVENTS_END:
                        events.append(event)
                        break
                events.append(event)
        except ScopedCacheError as error:
            self._error = error
            if not events:
                raise
        self._next = first + len(events)
        return events

    def end(self) -> None:
        """Take in that nothing more comes.

        Raises:
            ProtocolError: the stream ended in the middle of a line, which is never an event.
        """
        if self._splitter.rest:
            info = self._info
            raise ProtocolError(
                f"the watch of {info.subject} {where(info.namespace)} ended in the middle of a line: "
                f"{self._splitter.rest} bytes of it are dropped"
            )

    def _mark(self, line: Line, event: WatchEvent) -> WatchEvent:
        """Tell a BOOKMARK that ends a list from others, and raise what an ERROR line stands for."""
        buffer, start, stop = line
        if event[0] == "ERROR":
            raise error_from_event(self._info, decode_error(buffer[start:stop]))
        return (INITIAL_EVENTS_END, event[1]) if ends_initial_events(buffer[start:stop]) else event


class WatchStream:
    """The batches of one open watch; use it with `async with`, and iterate. Gives the loop back between batches."""

    def __init__(
        self, stream: Stream, info: RequestInfo, decoder: EventDecoder, *, line_limit: int = LINE_LIMIT_BYTES
    ) -> None:
        self._chunks = stream.chunks()
        self._batches = EventBatches(info, decoder, line_limit=line_limit)
        self._pace = Pace()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # End the iteration now; left to the garbage collector, it would end as a task of its own.
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[WatchEvent]:
        """Return the next events; waits until some come.

        Raises:
            APIError, ProtocolError: see `EventBatches`.
            TransportError: the connection was lost.
        """
        await self._pace.checkpoint()
        while not (events := self._batches.take()):
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._batches.end()
                raise StopAsyncIteration
            self._batches.feed(chunk)
        return events
