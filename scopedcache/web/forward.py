"""Forwards a request to the API server, and its answer back, as it comes: lists, watches, logs, uploads, WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Final

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.client_reqrep import ClientResponse
from multidict import CIMultiDict

from ..api import Client
from ..api.http_transport import CONNECT_TIMEOUT_SECONDS, Connection, HTTPTransport
from ..errors import APIError, ConfigurationError, ScopedCacheError, TransportError
from ..event_logger import event_logger
from .caller import Caller, identify
from .forwarded_headers import to_caller, to_server, wants_upgrade
from .open_streams import OPEN_STREAMS, OpenStreams
from .tunnel import Tunnel
from .upstream import NOBODY_ANSWERED, http_transport

logger: Final = event_logger("scopedcache.web")

SWITCHING_PROTOCOLS: Final = 101
UNAUTHORIZED: Final = 401
CallerHandler = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
# A watch may say nothing for as long as it lasts; the server ends it, or the caller.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS)


async def forward(
    client: Client,
    request: web.Request,
    *,
    own_name: bool = False,
    query: Sequence[tuple[str, str]] | None = None,
) -> web.StreamResponse:
    """Send a request on to the API server that `client` talks to, and return its answer once it has been passed back.

    It goes with the caller's credentials, and with none of ours: whoever brings none is anonymous. WebSockets (exec,
    attach, port-forward of kubectl) go through; SPDY does not. Where nobody answers, the caller is told so (502).

    Args:
        own_name: send it in the client's name instead. What the caller says of itself is left out then: who may ask
            what is for you to decide before (`identify`).
        query: the query to send instead of the caller's.

    Raises:
        ConfigurationError: the client does not speak HTTP.
    """
    transport = http_transport(client)
    query = list(request.query.items()) if query is None else query
    try:
        connection = await (transport.connection() if own_name else transport.connection_for_others())
        response = await _exchange(transport, connection, request, query, own_name=own_name)
        if response is None:  # our credentials are refused: there may be new ones
            renewed = await transport.connection(refused=connection)
            response = await _exchange(transport, renewed, request, query, own_name=own_name)
    except (TransportError, ConfigurationError) as error:
        return refusal(error)
    return response or refusal(TransportError("the API server does not take our own credentials any more"))


async def _exchange(
    transport: HTTPTransport,
    connection: Connection,
    request: web.Request,
    query: Sequence[tuple[str, str]],
    *,
    own_name: bool,
) -> web.StreamResponse | None:
    """Send a request and pass its answer back; None where it is our own credentials that are refused.

    Raises:
        TransportError: nobody answers.
    """
    upgrade = wants_upgrade(request.headers.items())
    headers = CIMultiDict(to_server(request.headers.items(), own_name=own_name, upgrade=upgrade))
    try:
        async with transport.forwards.request(
            request.method,
            connection.url(request.rel_url.raw_path, query),
            data=request.content if request.can_read_body else None,
            headers=connection.with_headers(headers),
            timeout=_TIMEOUT,
            **connection.options,
        ) as answer:
            if own_name and answer.status == UNAUTHORIZED:
                return None
            if answer.status == SWITCHING_PROTOCOLS:
                return await Tunnel(request, answer).carry()
            return await _pass_back(request, answer)
    except NOBODY_ANSWERED as error:
        if request.transport is None or request.transport.is_closing():
            raise  # it is the caller who has gone
        trouble = transport.trouble(error)
    raise trouble


def for_caller(client: Client, handler: CallerHandler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a handler that is told who asks (`identify`); whoever the API server does not know is refused.

    An error of ours that `handler` raises is answered as a Status, too.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request, await identify(client, request))
        except ScopedCacheError as error:
            return refusal(error)

    return handle


def refusal(error: ScopedCacheError) -> web.Response:
    """Return the answer to a request that an error ended: a Status, as the API server would write it."""
    code, reason = 502, "ServiceUnavailable"
    if isinstance(error, APIError) and error.status:
        code, reason = error.status, error.reason
    elif isinstance(error, TransportError):
        logger.warning("forward.failed", extra={"error": str(error)})
    status = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": str(error),
        "reason": reason, "code": code,
    }  # fmt: skip
    return web.Response(status=code, body=msgspec.json.encode(status), content_type="application/json")


async def _pass_back(request: web.Request, answer: ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    response.headers.extend(to_caller(answer.headers.items()))
    if "Content-Length" not in answer.headers and request.version >= aiohttp.HttpVersion11:
        response.enable_chunked_encoding()
    await response.prepare(request)
    streams: OpenStreams | None = request.app.get(OPEN_STREAMS)
    with streams.opened(answer) if streams is not None else nullcontext():
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        except NOBODY_ANSWERED as error:
            # Half an answer must not look like a whole one.
            logger.info("forward.cut", extra={"error": type(error).__name__})
            if request.transport is not None:
                request.transport.abort()
            return response
    with suppress(ConnectionError, asyncio.CancelledError):
        await response.write_eof()
    return response
