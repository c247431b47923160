"""How a stream is opened: directly, or through a proxy, which is asked for a tunnel where the server speaks TLS."""

from __future__ import annotations

import ssl

import attrs
import yarl
from multidict import CIMultiDict

from .http_response import Head
from .identity.rest_config import Endpoint
from .stream_connection import Peer, SharedBuffers, StreamConnection, StreamError, request_text


@attrs.frozen
class StreamRequest:
    """What is asked for, and the way there."""

    url: yarl.URL
    headers: CIMultiDict[str] = attrs.field(repr=False)
    tls: ssl.SSLContext | bool
    endpoint: Endpoint
    idle_timeout: float


async def open_stream(
    request: StreamRequest, buffers: SharedBuffers, streams: set[StreamConnection]
) -> tuple[StreamConnection, Head]:
    """Connect, ask and return the head of the answer; the connection is one of `streams` until it is closed.

    Raises:
        StreamError: there was no answer.
    """
    url, proxy = request.url, request.endpoint.proxy
    context = request.tls if isinstance(request.tls, ssl.SSLContext) else None
    peer, through = _peer(url), yarl.URL(proxy) if proxy else None
    connection = await StreamConnection.connect(
        peer if through is None else _proxy_peer(through, context),
        buffers,
        streams.discard,
        stage="connect" if through is None else "connect to proxy",
    )
    streams.add(connection)
    try:
        if through is not None and context is not None:
            await _tunnel(connection, request)
        if context is not None:
            await connection.start_tls(context, request.endpoint.server_name or peer.host.rstrip("."))
        target = str(url) if through is not None and context is None else url.raw_path_qs
        headers = CIMultiDict({"Host": url.host_port_subcomponent or peer.host})
        headers.extend(request.headers)
        head = await connection.ask(request_text("GET", target, headers), idle_timeout=request.idle_timeout)
    except BaseException:
        connection.close()
        raise
    return connection, head


async def _tunnel(connection: StreamConnection, request: StreamRequest) -> None:
    """Ask the proxy for a way to the server."""
    peer = _peer(request.url)
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    headers = CIMultiDict({"Host": f"{host}:{peer.port}"})
    headers.extend(request.endpoint.proxy_headers)
    asked = request_text("CONNECT", f"{host}:{peer.port}", headers)
    head = await connection.ask(asked, idle_timeout=request.idle_timeout, stage="tunnel")
    if not 200 <= head.status < 300:
        raise StreamError("refused by proxy", ConnectionRefusedError(), head.status)
    connection.leave_tunnel()


def _peer(url: yarl.URL) -> Peer:
    return Peer(url.host or "", url.port or 443)


def _proxy_peer(proxy: yarl.URL, context: ssl.SSLContext | None) -> Peer:
    if proxy.scheme != "https":
        return _peer(proxy)
    return attrs.evolve(_peer(proxy), tls=context or ssl.create_default_context())
