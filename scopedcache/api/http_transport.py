"""HTTP/1.1: connections, time-outs, credentials.

Two sessions of aiohttp: one for requests, and one of a single connection for reviews. A watch has a connection of its
own, see `stream_connection`. One TLS context, ours, for all.
Imported only when a connection is made: aiohttp alone takes longer to import than everything else together.

aiohttp's own errors never leave this module, not even as a cause: their reprs hold the headers of the request and the
password of the proxy.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import attrs
import yarl
from multidict import CIMultiDict

from ..errors import ConfigurationError, ProtocolError, ScopedCacheError, TransportError
from ..event_logger import event_logger
from .configuration import Configuration
from .http_response import BrokenOffError, Head
from .identity.credential import Credential
from .identity.redaction import hide_bytes, without_password
from .identity.rest_config import ClientCertificate, Endpoint
from .identity.system_errors import words_of_system
from .identity.tls import Stamps, tls_context
from .stream_connection import SharedBuffers, StreamConnection, StreamError
from .stream_opening import StreamRequest, open_stream
from .transport import REQUEST_TIMEOUT_SECONDS, Acting, Lane, Query, Response, Stream

logger: Final = event_logger("scopedcache.api")

HEADERS: Final = {"User-Agent": "scopedcache", "Accept-Encoding": "identity"}
CONNECT_TIMEOUT_SECONDS: Final = 10.0
# Requests in flight at once. More would only queue in the server's priority-and-fairness instead of here.
REQUEST_CONNECTIONS: Final = 64
# How much is read of the body of a refusal.
BODY_LIMIT_BYTES: Final = 2**20
# A page of 250 objects of 1.5 MiB each (etcd's limit), written as JSON, stays below 1 GiB; an answer that is longer
# would end the process before anybody could read it.
ANSWER_LIMIT_BYTES: Final = 2**30

# What aiohttp raises when nobody answered; its time-outs are TimeoutErrors.
_FOREIGN: Final = (aiohttp.ClientError, TimeoutError, OSError)


@attrs.frozen
class _Key:
    """What a TLS context was made for."""

    endpoint: Endpoint
    certificate: ClientCertificate | None
    stamps: Stamps


@attrs.frozen
class Connection:
    """How the next request is sent: where to, as whom, trusting whom."""

    base: yarl.URL
    tls: ssl.SSLContext | bool = attrs.field(eq=id)
    endpoint: Endpoint
    credential: Credential
    headers: CIMultiDict[str] = attrs.field(repr=False)

    def url(self, path: str, query: Query) -> yarl.URL:
        return self.base.joinpath(path.lstrip("/"), encoded=True).with_query(list(query))

    def with_headers(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        sent = self.headers.copy()
        sent.extend(headers)
        return sent

    @property
    def options(self) -> dict[str, Any]:
        """Return what aiohttp is told beside the request itself."""
        proxy = self.endpoint.proxy
        tunnel = proxy is not None and self.base.scheme == "https"
        return {
            "ssl": self.tls,
            "server_hostname": self.endpoint.server_name,
            "proxy": proxy,
            "proxy_headers": dict(self.endpoint.proxy_headers) if tunnel else None,
            "allow_redirects": False,
        }


class HTTPTransport:
    """HTTP/1.1. Belongs to the running event loop.

    An answer longer than `answer_limit_bytes`, or compressed although nobody asked for that, is a ProtocolError.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
        shared: HTTPTransport | None = None,
    ) -> None:
        self.configuration = configuration
        self._building = asyncio.Lock()
        self._streams: set[StreamConnection] = set()
        if shared is None:
            self._answer_limit = answer_limit_bytes
            self._key = self._wanted = _Key(configuration.endpoint, None, configuration.stamps)
            self._tls = tls_context(configuration.endpoint)
            self._base = _base_url(configuration.endpoint)
            self._requests = self.session(limit=REQUEST_CONNECTIONS, headers=HEADERS, auto_decompress=False)
            self._reviews = self.session(limit=1, headers=HEADERS, auto_decompress=False)
            self._buffers = SharedBuffers()
        else:
            self._answer_limit, self._buffers = shared._answer_limit, shared._buffers
            self._key, self._wanted, self._tls, self._base = shared._key, shared._wanted, shared._tls, shared._base
            self._requests, self._reviews = shared._requests, shared._reviews
        self._others: tuple[_Key, ssl.SSLContext | bool] | None = None
        self._forwards: aiohttp.ClientSession | None = None

    def acting_as(self, acting: Acting) -> HTTPTransport:
        """Return a transport over the same connections that sends as somebody else; it ends with this one.

        Raises:
            ConfigurationError: the kubeconfig, or the client given, says that we act as somebody else already.
        """
        from .acting_http_transport import ActingHTTPTransport

        if self.configuration.impersonation:
            raise ConfigurationError("the kubeconfig impersonates somebody: nobody acts as somebody else beside that")
        return ActingHTTPTransport(self, acting)

    @property
    def forwards(self) -> aiohttp.ClientSession:
        """Return the session for what others ask through us: it adds no header of its own, and has no cap."""
        if self._forwards is None:
            automatic = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
            self._forwards = self.session(limit=0, auto_decompress=False, skip_auto_headers=automatic)
        return self._forwards

    @staticmethod
    def session(*, limit: int, **options: Any) -> aiohttp.ClientSession:
        """Return a session that keeps nothing between requests but connections."""
        connector = aiohttp.TCPConnector(limit=limit, ttl_dns_cache=30)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), **options)

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
        """Send one request and return its whole answer; a 401 is retried once if there are new credentials.

        `timeout` is for all of that, the wait for credentials included.
        """
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        deadline = asyncio.get_running_loop().time() + timeout
        connection = await self._connected(deadline)
        session = self._reviews if lane == "reviews" else self._requests
        response = await self._send(session, connection, method, path, query, body, headers, deadline)
        if response.status == 401:
            renewed = await self._connected(deadline, refused=connection)
            if renewed != connection:
                response = await self._send(session, renewed, method, path, query, body, headers, deadline)
        return response

    async def _send(
        self,
        session: aiohttp.ClientSession,
        connection: Connection,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Response:
        left = max(0.001, deadline - asyncio.get_running_loop().time())  # 0 would be no limit at all
        try:
            async with session.request(
                method,
                connection.url(path, query),
                data=body,
                headers=connection.with_headers(headers),
                timeout=aiohttp.ClientTimeout(total=left, sock_connect=CONNECT_TIMEOUT_SECONDS),
                **connection.options,
            ) as answer:
                self._refuse_proxy_answer(answer.status)
                content = await self._body(answer)
                if answer.status >= 400:
                    content = hide_bytes(content, connection.credential.secrets)
                return Response(answer.status, answer.content_type, answer.headers, content)
        except _FOREIGN as error:
            failure = self._trouble(error)
        except RuntimeError:  # "Session is closed"
            if not self._requests.closed:
                raise
            failure = self._closed()
        raise failure  # here, and not above: what aiohttp raised must not become its context

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        """Read an answer to its end, or as far as its kind is read at all."""
        try:
            _refuse_compressed(answer.headers)
        except ProtocolError:
            answer.close()
            raise
        limit = self._answer_limit if answer.status < 300 else BODY_LIMIT_BYTES
        parts, size = [], 0
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > limit:
                answer.close()
                if answer.status < 300:
                    raise ProtocolError(f"the answer is over the limit of {limit} bytes; raise answer_limit_bytes=")
                break
        return b"".join(parts)[:limit]

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = "application/json", idle_timeout: float
    ) -> AsyncIterator[Stream]:
        """Open a stream, cut when no byte came for `idle_timeout` seconds. Leaving the block closes it at once."""
        deadline = asyncio.get_running_loop().time() + REQUEST_TIMEOUT_SECONDS
        connection = await self._connected(deadline)
        streaming, head = await self._open(connection, path, query, accept, idle_timeout)
        try:
            if head.status == 401:
                renewed = await self._connected(deadline, refused=connection)
                if renewed != connection:
                    streaming.close()
                    connection = renewed
                    streaming, head = await self._open(connection, path, query, accept, idle_timeout)
            self._refuse_proxy_answer(head.status)
            _refuse_compressed(head.headers)
            yield _HTTPStream(streaming, head, self, connection.credential)
        finally:
            streaming.close()

    async def _open(
        self, connection: Connection, path: str, query: Query, accept: str, idle_timeout: float
    ) -> tuple[StreamConnection, Head]:
        if self._requests.closed:
            raise self._closed()
        sent = connection.with_headers({"Accept": accept, **HEADERS})
        request = StreamRequest(connection.url(path, query), sent, connection.tls, connection.endpoint, idle_timeout)
        try:
            return await open_stream(request, self._buffers, self._streams)
        except StreamError as error:
            failure = self._stream_trouble(error)
        raise failure

    # -- who we are ----------------------------------------------------------------------------------------------

    async def connection(self, *, refused: Connection | None = None) -> Connection:
        """Return how the next request is sent; after a 401, `refused` is what it was sent with.

        Takes credentials that were renewed and files that were replaced. Waits for files, plugins and providers.

        Raises:
            ConfigurationError: there are no credentials; nothing must be sent then.
        """
        configuration = self.configuration
        if self._requests.closed:
            raise self._closed()
        await configuration.look_at_files(at_once=refused is not None)
        if refused is not None:
            await configuration.reload(refused.credential.authorization)
        credential = await configuration.credential()
        await self._build(_Key(configuration.endpoint, credential.certificate, configuration.stamps))
        return self._as(credential)

    def connection_at_once(self) -> Connection:
        """Return the same from what is known, without waiting.

        Raises:
            ConfigurationError: the credentials are not there yet.
        """
        return self._as(self.configuration.credential_at_once())

    async def connection_for_others(self) -> Connection:
        """Return how a request with somebody else's credentials is sent: to our server, with none of our own.

        Waits for files. No client certificate is shown: it would answer for whoever brings none.

        Raises:
            ConfigurationError: the CA cannot be read.
        """
        if self._requests.closed:
            raise self._closed()
        await self.configuration.look_at_files()
        key = _Key(attrs.evolve(self.configuration.endpoint, certificate=None), None, self.configuration.stamps)
        if self._others is None or self._others[0] != key:
            self._others = key, await asyncio.to_thread(tls_context, key.endpoint)
        headers: CIMultiDict[str] = CIMultiDict()
        base = _base_url(key.endpoint)
        if key.endpoint.proxy and base.scheme == "http":
            headers.extend(key.endpoint.proxy_headers)
        return Connection(base, self._others[1], key.endpoint, Credential(), headers)

    def trouble(self, error: BaseException) -> TransportError:
        """Return, in our own words, what an error of aiohttp means on a session of ours."""
        return self._trouble(error)

    async def _connected(self, deadline: float, refused: Connection | None = None) -> Connection:
        try:
            async with asyncio.timeout_at(deadline):
                return await self.connection(refused=refused)
        except TimeoutError:
            host = without_password(self._key.endpoint.host)
        raise _caused(TransportError(f"the credentials for {host} were not there in time"), TimeoutError())

    def _as(self, credential: Credential) -> Connection:
        headers = CIMultiDict(self.configuration.impersonation)
        if credential.authorization:
            headers["Authorization"] = credential.authorization
        endpoint = self._key.endpoint
        if endpoint.proxy and self._base.scheme == "http":  # no tunnel: the proxy reads the request itself
            headers.extend(endpoint.proxy_headers)
        return Connection(self._base, self._tls, endpoint, credential, headers)

    async def _build(self, key: _Key) -> None:
        """Make the TLS context anew where what it was made for has changed."""
        if key == self._wanted:
            return
        async with self._building:
            if key == self._wanted:
                return
            self._wanted = key
            try:
                tls, base = await asyncio.to_thread(tls_context, key.endpoint, key.certificate), _base_url(key.endpoint)
            except ConfigurationError as error:
                if key.certificate != self._key.certificate:
                    self._wanted = self._key
                    raise
                # Half written: a certificate before its key. What we have may still be good; the next change is tried.
                logger.warning("configuration.unreadable", extra={"error": str(error)})
                return
            except BaseException:
                self._wanted = self._key
                raise
            self._key, self._tls, self._base = key, tls, base

    # -- what went wrong -----------------------------------------------------------------------------------------

    def _refuse_proxy_answer(self, status: int) -> None:
        """Refuse a 407: over plain http, the proxy answers in the place of the server."""
        if status == 407:
            host = without_password(self._key.endpoint.host)
            raise TransportError(f"the proxy {self._key.endpoint.proxy} refused to connect to {host}: 407")

    def _closed(self) -> TransportError:
        return TransportError(f"{without_password(self._key.endpoint.host)}: this client is closed")

    def _trouble(self, error: BaseException) -> TransportError:
        """Return what is wrong, and whether there was a connection before."""
        trouble = self._described(error)
        trouble.connected = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        return trouble

    def _described(self, error: BaseException) -> TransportError:
        """Return what is wrong in our own words, its cause reduced to what the system said."""
        host, proxy = without_password(self._key.endpoint.host), self._key.endpoint.proxy
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return self._not_trusted(error.certificate_error)
        if isinstance(error, TimeoutError):
            return _caused(TransportError(f"{host} did not answer in time"), TimeoutError())
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return _of_system(f"the proxy {proxy} cannot be connected to", error.os_error)
        if isinstance(error, aiohttp.ClientConnectorError):
            return _of_system(f"{host} cannot be connected to", error.os_error)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return TransportError(f"the proxy {proxy} refused to connect to {host}: {error.status}")
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return TransportError(f"{host} closed the connection without an answer")
        if isinstance(error, aiohttp.ClientPayloadError):
            return TransportError(f"{host} broke off in the middle of its answer")
        if isinstance(error, OSError):
            return _of_system(host, error)
        return TransportError(f"{host} did not answer in HTTP ({type(error).__name__})")

    def _stream_trouble(self, error: StreamError) -> TransportError:
        """Return what is wrong with a stream, and whether there was a connection before."""
        cause, host, proxy = error.cause, without_password(self._key.endpoint.host), self._key.endpoint.proxy
        match error.stage, cause:
            case _, None:
                trouble = TransportError(f"{host}: this client is closed")
            case "refused by proxy", _:
                trouble = TransportError(f"the proxy {proxy} refused to connect to {host}: {error.status}")
            case _, TimeoutError():
                trouble = _caused(TransportError(f"{host} did not answer in time"), TimeoutError())
            case "connect to proxy", OSError():
                trouble = _of_system(f"the proxy {proxy} cannot be connected to", cause)
            case "connect", ssl.SSLCertVerificationError():
                trouble = self._not_trusted(cause)
            case "connect", OSError():
                trouble = _of_system(f"{host} cannot be connected to", cause)
            case "connect", BrokenOffError():
                trouble = TransportError(f"{host} cannot be connected to: it closed the connection")
            case "body", BrokenOffError():
                trouble = TransportError(f"{host} broke off in the middle of its answer")
            case _, BrokenOffError():
                trouble = TransportError(f"{host} closed the connection without an answer")
            case _, OSError():
                trouble = _of_system(host, cause)
            case _:
                trouble = TransportError(f"{host} did not answer in HTTP")
        trouble.connected = error.stage in ("answer", "body")
        return trouble

    def _not_trusted(self, error: Exception) -> TransportError:
        host, why = without_password(self._key.endpoint.host), words_of_system(error)
        return TransportError(f"{host} showed a certificate that the CA of the kubeconfig did not sign: {why}")

    async def close(self) -> None:
        """Close all connections, open streams included. Waits until they are closed."""
        streams = list(self._streams)
        for stream in streams:
            stream.close()
        if self._forwards is not None:
            await self._forwards.close()
        await asyncio.gather(
            self._requests.close(),
            self._reviews.close(),
            self.configuration.close(),
            *[stream.wait_closed() for stream in streams],
        )


class _HTTPStream:
    """The body of an answer, read as it comes."""

    def __init__(
        self, connection: StreamConnection, head: Head, transport: HTTPTransport, credential: Credential
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._credential = credential
        self.status = head.status
        self.content_type = head.content_type
        self.headers: Mapping[str, str] = head.headers

    @property
    def ready(self) -> bool:
        return self._connection.ready

    async def chunks(self) -> AsyncIterator[bytes]:
        read = self._connection.read
        try:
            while (chunk := await read()) is not None:
                yield chunk
            return
        except StreamError as error:
            failure = self._transport._stream_trouble(error)
        raise failure

    async def read(self) -> bytes:
        """Read on until the end: one read returns what happens to be there, perhaps half of a Status."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                while size < BODY_LIMIT_BYTES and (part := await self._connection.read()) is not None:
                    parts.append(part)
                    size += len(part)
            return hide_bytes(b"".join(parts)[:BODY_LIMIT_BYTES], self._credential.secrets)
        except StreamError as error:
            failure = self._transport._stream_trouble(error)
        except TimeoutError as error:
            failure = self._transport._trouble(error)
        raise failure


def _refuse_compressed(headers: Mapping[str, str]) -> None:
    """Refuse what was compressed unasked: a kilobyte may inflate to a gigabyte.

    Raises:
        ProtocolError: it is compressed.
    """
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise ProtocolError("the answer is compressed, which was not asked for (Accept-Encoding: identity)")


def _base_url(endpoint: Endpoint) -> yarl.URL:
    shown = without_password(endpoint.host)
    try:
        url = yarl.URL(endpoint.host)
    except ValueError:
        raise ConfigurationError(f"the server address {shown!r} is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"the server address {shown!r} is not an http(s) URL")
    return url.with_user(None)


def _of_system(what: str, error: OSError) -> TransportError:
    words = words_of_system(error)
    return _caused(TransportError(f"{what}: {words}"), OSError(error.errno, words))


def _caused(error: TransportError, cause: ScopedCacheError | OSError) -> TransportError:
    error.__cause__ = cause
    return error
