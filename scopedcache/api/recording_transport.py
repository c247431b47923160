"""A transport that keeps what passes: the same answers, at the same time, and lines in a recording.

What is kept of a long answer is made in a thread, before it is handed on; no other answer waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from ..errors import ProtocolError, ScopedCacheError
from .recorded_bodies import reduced_body, reduced_line, reduced_query
from .recording import Recording
from .transport import REQUEST_TIMEOUT_SECONDS, Lane, Query, Response, Stream, Transport
from .watch.line_splitter import LineSplitter

# Bodies longer than this are read in a thread: a megabyte of JSON would hold the loop for 10 ms.
THREAD_BYTES: Final = 2**16
HEADERS: Final = ("retry-after",)


class RecordingTransport:
    """Another transport, and a recording of what goes through it."""

    def __init__(self, transport: Transport, recording: Recording) -> None:
        self._transport = transport
        self._recording = recording

    async def request(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        lane: Lane = "calls",
    ) -> Response:
        """Send a request by the other transport, and keep it with its answer."""
        number = await self._asked(method, path, query, lane, body)
        try:
            response = await self._transport.request(
                method, path, query, body=body, content_type=content_type, accept=accept, timeout=timeout, lane=lane
            )
        except ScopedCacheError as error:
            self._recording.keep(number, failed=type(error).__name__)
            raise
        except asyncio.CancelledError:
            self._recording.keep(number, failed="cancelled")
            raise
        await self._answered(number, path, response.status, response.content_type, response.headers, response.body)
        return response

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = "application/json", idle_timeout: float
    ) -> AsyncIterator[Stream]:
        """Open a stream by the other transport, and keep what comes."""
        number = await self._asked("GET", path, query, "watch", None)
        opened = self._transport.stream(path, query, accept=accept, idle_timeout=idle_timeout)
        try:
            stream = await opened.__aenter__()
        except ScopedCacheError as error:
            self._recording.keep(number, failed=type(error).__name__)
            raise
        except asyncio.CancelledError:
            self._recording.keep(number, failed="cancelled")
            raise
        try:
            yield _RecordedStream(stream, self._recording, number, path)
        except BaseException as error:
            if not await opened.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await opened.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close the other transport, and the recording after it."""
        try:
            await self._transport.close()
        finally:
            self._recording.close()

    async def _asked(self, method: str, path: str, query: Query, lane: str, body: bytes | None) -> int:
        number, at = self._recording.new_exchange(), self._recording.now()
        kept = await self._reduced(body, path)
        asked = {"method": method, "path": path, "query": reduced_query(query), "lane": lane, "body": kept}
        self._recording.keep(number, at=at, ask=asked)
        return number

    async def _answered(
        self, number: int, path: str, status: int, content_type: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        at = self._recording.now()
        answer = head(status, content_type, headers) | {"body": await self._reduced(body, path)}
        self._recording.keep(number, at=at, answer=answer)

    async def _reduced(self, body: bytes | None, path: str) -> dict[str, Any] | None:
        if not self._recording.active or not body:
            return None
        if len(body) > THREAD_BYTES:
            return await asyncio.to_thread(reduced_body, body, path, bodies=self._recording.bodies)
        return reduced_body(body, path, bodies=self._recording.bodies)

    def __repr__(self) -> str:
        return f"<RecordingTransport {self._transport!r}, {self._recording!r}>"


class _RecordedStream:
    """A stream that is read, and kept line by line."""

    def __init__(self, stream: Stream, recording: Recording, number: int, path: str) -> None:
        self.status = stream.status
        self.content_type = stream.content_type
        self.headers = stream.headers
        self._stream = stream
        self._recording = recording
        self._number = number
        self._path = path
        if stream.status < 300:
            self._recording.keep(number, answer=head(stream.status, stream.content_type, stream.headers))

    @property
    def ready(self) -> bool:
        """Tell whether the next chunk is there already."""
        return bool(getattr(self._stream, "ready", False))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield bytes as they come, and keep the lines they complete."""
        splitter, end = LineSplitter(), "client"
        try:
            async for chunk in self._stream.chunks():
                self._keep(splitter, chunk)
                yield chunk
            end = "server"
        except ScopedCacheError as error:
            end = type(error).__name__
            raise
        finally:
            self._recording.keep(self._number, end=end, rest=splitter.rest)

    async def read(self) -> bytes:
        """Return what is left, and keep it: the body of a refusal."""
        body = await self._stream.read()
        answer = head(self.status, self.content_type, self.headers)
        kept = reduced_body(body, self._path, bodies=self._recording.bodies)
        self._recording.keep(self._number, answer=answer | {"body": kept})
        return body

    def _keep(self, splitter: LineSplitter, chunk: bytes) -> None:
        if not self._recording.active:
            return
        try:
            spans = splitter.spans(chunk)
        except ProtocolError:  # whoever reads the stream finds that, too
            return
        lines = [
            reduced_line(buffer[start:stop], self._path, bodies=self._recording.bodies) for buffer, start, stop in spans
        ]
        if lines:
            self._recording.keep(self._number, lines=lines)


def head(status: int, content_type: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what is kept of the head of an answer."""
    kept = {name.lower(): value for name, value in headers.items() if name.lower() in HEADERS}
    return {"status": status, "type": content_type, "headers": kept}
