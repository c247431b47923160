"""The door for everybody else: HTTP on loopback, for kubectl and every client of every language."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from ..faults import Fault, Lost
from ..server.watches import Watch
from ..wire.messages import JSON, Answer, Request
from .request_runner import Core, run_request, watch_chunks

HOST: Final = "127.0.0.1"
# A watch that a fault keeps open must not hold up the end of a test.
SHUTDOWN_SECONDS: Final = 0.1


class HTTPDoor:
    """Serves a cluster on a port of its own choice."""

    def __init__(self, core: Core, tls: ssl.SSLContext | None = None) -> None:
        self._core = core
        self._tls = tls
        self.port = 0

    @property
    def url(self) -> str:
        """Return the address."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve as long as the block lasts."""
        server = web.Server(self._serve, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0, ssl_context=self._tls).start()
            self.port = runner.addresses[0][1]
            yield
        finally:
            await runner.cleanup()

    async def _serve(self, received: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in received.headers.items()}
        if groups := received.headers.getall("Impersonate-Group", []):
            headers["impersonate-group"] = ",".join(groups)
        body = await received.read() if received.can_read_body else b""
        query = tuple(received.query.items())
        try:
            request = Request(received.method, received.rel_url.raw_path, query, headers, body)
            reply, fault = await run_request(self._core, request)
            if isinstance(reply, Answer):
                headers = {"Content-Type": reply.content_type, **reply.headers}
                return web.Response(status=reply.code, body=reply.body, headers=headers)
            return await self._stream(received, reply, fault)
        except Lost:
            if received.transport is not None:
                received.transport.abort()
            raise asyncio.CancelledError from None

    async def _stream(self, received: web.BaseRequest, watch: Watch, fault: Fault | None) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON})
        response.enable_chunked_encoding()
        try:
            await response.prepare(received)
            async for chunk in watch_chunks(self._core, watch, fault):
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            pass  # the client has gone
        finally:
            self._core.close(watch)
        return response
