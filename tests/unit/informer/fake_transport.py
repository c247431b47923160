"""A way to a server that the test plays: it takes each request and each watch, and says what comes of it, and when.

Nothing is decided here. `await server.asked()` is the next request, `await server.watched()` the next watch that
somebody opens; both wait for the test's answer. A watch keeps its promises as the one over HTTP does: it is cut when
silent for longer than asked for, and closed when its block is left.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from scopedcache.api.transport import REQUEST_TIMEOUT_SECONDS, Lane, Query, Response
from scopedcache.errors import TransportError

JSON = "application/json"


def status(code: int, reason: str = "", message: str = "", **details: Any) -> dict[str, Any]:
    """Return a Status, the body of a refusal."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return body | {"message": message, "reason": reason, "code": code} | ({"details": details} if details else {})


def bytes_of(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()


class Request:
    """One request, waiting for its answer."""

    def __init__(
        self, method: str, path: str, query: Query, body: bytes | None, content_type: str, accept: str
    ) -> None:
        self.method = method
        self.path = path
        self.query = dict(query)
        self.body = json.loads(body) if body else None
        self.content_type = content_type
        self.accept = accept
        self.answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def answer(
        self, body: object = b"", *, code: int = 200, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.answered.set_result(Response(code, content_type, headers or {}, bytes_of(body)))

    def refuse(
        self, code: int, reason: str = "", message: str = "", *, pause: int | None = None, **details: Any
    ) -> None:
        headers = {"Retry-After": str(pause)} if pause else {}
        self.answer(status(code, reason, message, **details), code=code, headers=headers)

    def lose(self, why: str = "connection reset") -> None:
        self.answered.set_exception(TransportError(why))

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path} {self.query}>"


class Watch:
    """One watch: waits to be accepted or refused, then carries what the test sends."""

    status = 200
    content_type = JSON
    headers: Mapping[str, str]

    def __init__(self, path: str, query: Query, accept: str, idle_timeout: float) -> None:
        self.path = path
        self.query = dict(query)
        self.accept_header = accept
        self.idle_timeout = idle_timeout
        self.headers = {}
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self._incoming: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    # -- what the test does --------------------------------------------------------------------------------------

    def accept(self, *lines: bytes) -> Watch:
        self.opened.set_result(None)
        if lines:
            self.send(*lines)
        return self

    def refuse(
        self, code: int, reason: str = "", message: str = "", *, pause: int | None = None, **details: Any
    ) -> None:
        headers = {"Retry-After": str(pause)} if pause else {}
        self.answer(code, status(code, reason, message, **details), headers=headers)

    def answer(
        self, code: int, body: object, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.content_type, self.headers = code, content_type, headers or {}
        self._incoming.put_nowait(bytes_of(body))
        self._incoming.put_nowait(None)
        self.opened.set_result(None)

    def unreachable(self, why: str = "connection refused") -> None:
        self.opened.set_exception(TransportError(why))

    def send(self, *lines: bytes) -> None:
        """Send whole lines, in one chunk."""
        self._incoming.put_nowait(b"".join(line + b"\n" for line in lines))

    def send_chunk(self, chunk: bytes) -> None:
        self._incoming.put_nowait(chunk)

    def end(self) -> None:
        """End the stream in good order."""
        self._incoming.put_nowait(None)

    def cut(self, why: str = "connection lost") -> None:
        self._incoming.put_nowait(TransportError(why))

    # -- what the client sees ------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return not self._incoming.empty()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            chunk = await self._next()
            if chunk is None:
                return
            yield chunk

    async def read(self) -> bytes:
        body = b""
        while (chunk := await self._next()) is not None:
            body += chunk
        return body

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(self.idle_timeout):
                came = await self._incoming.get()
        except TimeoutError as error:
            raise TransportError("no byte in time") from error
        if isinstance(came, Exception):
            raise came
        return came

    def __repr__(self) -> str:
        return f"<Watch {self.path} {self.query}>"


class FakeTransport:
    """Hands every request and every watch to the test."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.open: set[Watch] = set()
        self.closed = False
        self._requests: asyncio.Queue[Request] = asyncio.Queue()
        self._watches: asyncio.Queue[Watch] = asyncio.Queue()

    async def asked(self) -> Request:
        """Return the next request; waits for it."""
        return await self._requests.get()

    async def watched(self) -> Watch:
        """Return the next watch somebody opens; waits for it."""
        return await self._watches.get()

    @property
    def quiet(self) -> bool:
        """Tell whether nothing waits for the test."""
        return self._requests.empty() and self._watches.empty()

    async def request(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        lane: Lane = "calls",
    ) -> Response:
        request = Request(method, path, query, body, content_type, accept)
        self.log.append(f"{method} {path}")
        self._requests.put_nowait(request)
        try:
            async with asyncio.timeout(timeout):
                return await request.answered
        except TimeoutError as error:
            raise TransportError("no answer in time") from error

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = JSON, idle_timeout: float
    ) -> AsyncIterator[Watch]:
        watch = Watch(path, query, accept, idle_timeout)
        self.log.append(f"WATCH {path}")
        self._watches.put_nowait(watch)
        try:
            async with asyncio.timeout(idle_timeout):
                await watch.opened
        except TimeoutError as error:
            raise TransportError("no answer in time") from error
        self.open.add(watch)
        try:
            yield watch
        finally:
            self.open.discard(watch)
            watch.closed.set()

    async def close(self) -> None:
        self.closed = True
