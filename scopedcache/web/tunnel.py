"""Two connections that have left HTTP behind, and carry each other's bytes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiohttp import ClientResponse, web
from aiohttp.http import StreamWriter

from .forwarded_headers import to_caller

# What one side may have sent that the other has not taken yet.
BUFFERED_BYTES: Final = 2**20


class Tunnel:
    """Carries bytes from a caller to the server and back, once both have switched protocols."""

    def __init__(self, request: web.Request, answer: ClientResponse) -> None:
        self._request = request
        self._answer = answer

    async def carry(self) -> web.StreamResponse:
        """Tell the caller that the protocol is switched, and carry until one side ends."""
        request, connection = self._request, self._answer.connection
        response = web.StreamResponse(status=101, reason=self._answer.reason)
        response.headers.extend(to_caller(self._answer.headers.items()))
        for name in ("Connection", "Upgrade"):
            response.headers[name] = self._answer.headers.get(name, "")
        await response.prepare(request)
        if connection is None or connection.protocol is None or request.transport is None:
            return response
        loop = asyncio.get_running_loop()
        up, down = _Pipe(request.transport), _Pipe(connection.transport)
        request.protocol.set_parser(up)  # type: ignore[arg-type]  # what it says it takes is what it is used for itself
        connection.protocol.set_parser(down, down)
        to_server = StreamWriter(connection.protocol, loop)
        carried = [loop.create_task(up.pour(to_server.write)), loop.create_task(down.pour(response.write))]
        try:
            await asyncio.wait(carried, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # the last bytes of the other side may be on their way
        finally:
            for task in carried:
                task.cancel()
            with suppress(Exception):
                await asyncio.gather(*carried, return_exceptions=True)
            connection.close()
            request.transport.close()
        return response


class _Pipe:
    """One direction: takes bytes as a parser of aiohttp does, and lets no more come than are taken."""

    def __init__(self, source: asyncio.BaseTransport | None) -> None:
        self._source = source if isinstance(source, asyncio.Transport) else None
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._news = asyncio.Event()

    def feed_data(self, data: bytes, _size: int = 0) -> tuple[bool, bytes]:
        """Take bytes."""
        self._parts.append(bytes(data))
        self._size += len(data)
        self._news.set()
        if self._size > BUFFERED_BYTES and self._source is not None:
            self._source.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """Take the end."""
        self._ended = True
        self._news.set()

    def set_exception(self, *_: Any) -> None:
        """Take an end that is none."""
        self.feed_eof()

    async def pour(self, write: Any) -> None:
        """Write all that comes, until the end."""
        while True:
            await self._news.wait()
            self._news.clear()
            parts, self._parts, self._size = self._parts, [], 0
            if self._source is not None and not self._source.is_closing():
                self._source.resume_reading()
            if parts:
                await write(b"".join(parts))
            if self._ended and not self._parts:
                return
