"""The door without sockets: a `Transport` that asks the cluster directly, in the time of the loop that it runs on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol

from ....api.transport import REQUEST_TIMEOUT_SECONDS, Acting, Lane, Query, Response
from ....errors import ConfigurationError, TransportError
from ..faults import Fault, Lost
from ..server.watches import Watch
from ..wire.messages import JSON, Answer, Request
from .request_runner import Core, run_request, watch_chunks

AGENT: Final = "scopedcache"


class Cluster(Core, Protocol):
    """What this door needs besides."""

    def go_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go by the time of this loop, and run what is due on it."""


class EmbeddedTransport:
    """A way to an embedded cluster, to its front ends in turn. Belongs to the running loop.

    The reviews go to one front end for as long as it answers, as over a connection of their own.
    """

    def __init__(
        self,
        cluster: Cluster,
        token: Callable[[], str],
        servers: Sequence[int] = (0,),
        acting: Acting | None = None,
    ) -> None:
        self._cluster = cluster
        self._acting = acting
        self._server_numbers = tuple(servers)
        self._token = token
        self._servers = itertools.cycle(servers)
        self._reviews_server: int | None = None
        self._acting_token: str | None = None
        self._closed = False

    def acting_as(self, acting: Acting) -> EmbeddedTransport:
        """Return a way to the same cluster as somebody else."""
        if self._acting is not None:
            raise ConfigurationError("this client acts as somebody else already: act from the program's own")
        return EmbeddedTransport(self._cluster, self._token, self._server_numbers, acting)

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
        """Send one request. It is answered in another turn of the loop, as over a network."""
        headers = {"content-type": content_type} if body is not None else {}
        headers |= {"accept": accept}
        response = await self._send(method, path, query, body or b"", headers | await self._as_whom(), timeout, lane)
        if response.status == 401 and self._acting is not None and self._acting.tokens is not None:
            renewed = await self._as_whom(refused=True)
            response = await self._send(method, path, query, body or b"", headers | renewed, timeout, lane)
        return response

    async def _as_whom(self, *, refused: bool = False) -> dict[str, str]:
        """Return the headers that say as whom a request is sent, in the form in which the cluster reads them."""
        acting = self._acting
        if acting is None:
            return {}
        if acting.tokens is not None:
            self._acting_token = await acting.tokens.token(self._acting_token if refused else None)
            return {"authorization": f"Bearer {self._acting_token}"}
        found: dict[str, str] = {}
        for name, value in acting.headers:
            name = name.lower()
            found[name] = f"{found[name]},{value}" if name in found else value
        return found

    async def _send(
        self, method: str, path: str, query: Query, body: bytes, headers: dict[str, str], timeout: float, lane: Lane
    ) -> Response:
        request = self._request(method, path, query, headers, body, lane)
        try:
            await asyncio.sleep(0)
            reply, _ = await run_request(self._cluster, request, timeout)
        except (TimeoutError, Lost) as error:
            if lane == "reviews":
                self._reviews_server = None
            words = str(error) if isinstance(error, Lost) else "the embedded cluster did not answer in time"
            raise TransportError(words) from error
        if isinstance(reply, Watch):  # a watch that somebody asked for as if it were a request
            self._cluster.close(reply)
            raise TransportError("a watch cannot be read as a whole")
        return Response(reply.code, reply.content_type.partition(";")[0], reply.headers, reply.body)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = JSON, idle_timeout: float
    ) -> AsyncIterator[EmbeddedStream]:
        """Open a stream. Leaving the block closes it at once."""
        request = self._request("GET", path, query, {"accept": accept} | await self._as_whom(), b"")
        try:
            await asyncio.sleep(0)
            reply, fault = await run_request(self._cluster, request, idle_timeout)
        except TimeoutError as error:
            raise TransportError("the embedded cluster did not answer in time") from error
        except Lost as error:
            raise TransportError(str(error)) from error
        try:
            yield EmbeddedStream(self._cluster, reply, fault, idle_timeout)
        finally:
            if isinstance(reply, Watch):
                self._cluster.close(reply)

    async def close(self) -> None:
        """Answer nothing any more."""
        self._closed = True

    def _request(
        self, method: str, path: str, query: Query, headers: dict[str, str], body: bytes, lane: Lane = "calls"
    ) -> Request:
        if self._closed:
            raise TransportError("this client is closed")
        self._cluster.go_by(asyncio.get_running_loop())
        headers = {"authorization": f"Bearer {self._token()}", "user-agent": AGENT} | headers
        return Request(method, path, tuple(query), headers, body, self._server(lane))

    def _server(self, lane: Lane) -> int:
        if lane == "calls":
            return next(self._servers)
        if self._reviews_server is None:
            self._reviews_server = next(self._servers)
        return self._reviews_server


class EmbeddedStream:
    """An answer, read piece by piece."""

    ready = True  # perhaps

    def __init__(self, cluster: Cluster, reply: Answer | Watch, fault: Fault | None, idle_timeout: float) -> None:
        self._cluster = cluster
        self._reply = reply
        self._fault = fault
        self._idle_timeout = idle_timeout
        self.status = reply.code if isinstance(reply, Answer) else 200
        self.content_type = reply.content_type.partition(";")[0] if isinstance(reply, Answer) else JSON
        self.headers: Mapping[str, str] = reply.headers if isinstance(reply, Answer) else {}

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield bytes as they come; a stream that is silent for too long is cut."""
        if isinstance(self._reply, Answer):
            yield self._reply.body
            return
        try:
            async with aclosing(watch_chunks(self._cluster, self._reply, self._fault, self._idle_timeout)) as carried:
                async for chunk in carried:
                    yield chunk
        except Lost as error:
            raise TransportError(str(error)) from error

    async def read(self) -> bytes:
        """Return the body of an error."""
        return self._reply.body if isinstance(self._reply, Answer) else b""
