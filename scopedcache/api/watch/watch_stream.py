"""One open watch as batches of events: what everybody who watches reads.

What is no event is raised, after the events before it were given: an ERROR line as the error it stands for (a 410 is
`GoneError`, whether the server calls it Expired or Gone), a line that cannot be read and a half line at the end as
`ProtocolError`. An object that nobody can read is an event of its own type, for it concerns nobody else.
`EventBatches` decides that, plainly; `WatchStream` feeds it from a connection.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Self

from ...errors import ProtocolError, ScopedCacheError, TransportError, where
from ..request_info import RequestInfo
from ..status_errors import error_from_event
from ..transport import Stream
from .event_decoder import EventDecoder, WatchEvent, decode_error, ends_initial_events
from .json_documents import JSONDocuments, may_be_several
from .line_splitter import LINE_LIMIT_BYTES, Line, LineSplitter
from .pace import Pace

# The type given to the BOOKMARK that ends the list with which a streaming watch begins; it is the last of its batch.
INITIAL_EVENTS_END: Final = "INITIAL_EVENTS_END"
# Events in a batch: less than a slice of work, so that the clock is looked at often enough and rarely enough.
BATCH_EVENTS: Final = 32
# Lines of a stream that are searched for a second document.
PROVEN_LINES: Final = 4


class EventBatches:
    """From the chunks of one watch to batches of events: `feed` it, `take` until nothing comes, `end` it."""

    def __init__(self, info: RequestInfo, decoder: EventDecoder, *, line_limit: int = LINE_LIMIT_BYTES) -> None:
        self._info = info
        self._read = decoder.read
        self._splitter = LineSplitter(line_limit)
        self._documents = JSONDocuments(line_limit)
        self._lines: list[Line] = []
        self._next = 0
        self._unproven = PROVEN_LINES
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
        try:
            while self._next < len(self._lines) and len(events) < BATCH_EVENTS:
                if self._documents.begun:
                    self._take_apart(None)
                elif self._unproven:
                    if not self._prove() and self._read_lines(events, 1):
                        break
                elif self._read_lines(events, BATCH_EVENTS - len(events)):
                    break
        except ScopedCacheError as error:
            self._error = error
            if not events:
                raise
        return events

    def _read_lines(self, events: list[WatchEvent], limit: int) -> bool:
        """Read lines that are an event each, up to one that is none; tell whether a batch ends here."""
        read, first, before = self._read, self._next, len(events)
        try:
            for line in self._lines[first : first + limit]:
                event = read(line)
                type_ = event[0]
                if type_ == "BOOKMARK" or type_ == "ERROR":
                    event = self._mark(line, event)
                    if event[0] == INITIAL_EVENTS_END:
                        events.append(event)
                        return True
                events.append(event)
        except ProtocolError as error:
            odd = error
        else:
            return False
        finally:
            self._next = first + len(events) - before
        self._take_apart(odd)
        return False

    def _take_apart(self, error: ProtocolError | None) -> None:
        """Put the documents of the next line in its place; where it is a single one after all, raise the error."""
        buffer, start, stop = self._lines[self._next]
        line = buffer[start:stop]
        documents = self._documents.take(line)
        if error is not None and documents == [line]:
            raise error
        self._lines[self._next : self._next + 1] = [(one, 0, len(one)) for one in documents]

    def _prove(self) -> bool:
        """Tell whether the next line holds several documents, and put them in its place then.

        The fast way would read only the first of several documents, and to look into every line would cost as much as
        reading it. Who leaves newlines out does so from the beginning, so the first lines stand for all.
        """
        self._unproven -= 1
        buffer, start, stop = self._lines[self._next]
        line = buffer[start:stop]
        if may_be_several(line):
            documents = self._documents.take(line)
            self._lines[self._next : self._next + 1] = [(one, 0, len(one)) for one in documents]
            return documents != [line]
        return False

    @property
    def begun(self) -> bool:
        """Tell whether a document over several lines has begun, and not ended."""
        return self._documents.begun

    def end(self) -> None:
        """Take in that nothing more comes.

        Raises:
            ProtocolError: the stream ended in the middle of a line, or of a document, which is never an event.
        """
        rest = self._splitter.rest + self._documents.rest
        if rest:
            info = self._info
            raise ProtocolError(
                f"the watch of {info.subject} {where(info.namespace)} ended in the middle of a line: "
                f"{rest} bytes of it are dropped"
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
        self._stream = stream
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
            waits = not getattr(self._stream, "ready", True)
            try:
                chunk = await anext(self._chunks, None)
                if waits:  # an event that comes alone must not cost a turn of the loop more
                    self._pace.begin()
            except TransportError:
                if self._batches.begun:  # a line that promised more, and nothing more came: that was no event
                    self._batches.end()
                raise
            if chunk is None:
                self._batches.end()
                raise StopAsyncIteration
            self._batches.feed(chunk)
        return events
