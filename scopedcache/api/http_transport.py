"""HTTP/1.1 through aiohttp: connections, time-outs, credentials.

Two sessions: one for requests, one for watches without a cap on connections, because a pool of 100 lets the 101st
watch wait silently (docs/decisions/0003-transport.md). One TLS context, ours, for both. Imported only when a
connection is made: aiohttp alone takes longer to import than everything else together.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import yarl

from ..errors import ConfigurationError, TransportError
from .configuration import Configuration, Endpoint, without_password
from .transport import REQUEST_TIMEOUT_SECONDS, Query, Response, Stream

logger = logging.getLogger("scopedcache.api")

CONNECT_TIMEOUT_SECONDS = 10.0
# Requests in flight at once. More would only queue in the server's priority-and-fairness instead of here.
REQUEST_CONNECTIONS = 64
# How much is read of the body of a refusal.
BODY_LIMIT_BYTES = 2**20


class HTTPTransport:
    """HTTP/1.1 through aiohttp. Belongs to the running event loop."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._endpoint = configuration.endpoint
        self._files = _files(self._endpoint)
        self._tls = _tls_context(self._endpoint)
        self._base = _base_url(self._endpoint)
        headers = {"User-Agent": "scopedcache", "Accept-Encoding": "identity"}
        self._requests = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=REQUEST_CONNECTIONS, ttl_dns_cache=30), headers=headers
        )
        self._watches = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30), headers=headers, read_bufsize=2**18
        )
        self._streams: set[aiohttp.ClientResponse] = set()

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
    ) -> Response:
        """Send one request and return its whole answer; a 401 is retried once if there are new credentials."""
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT_SECONDS)
        url = self._url(path, query)
        authorization = await self._configuration.authorization()
        response = await self._send(method, url, body, headers, authorization, limits)
        if response.status == 401 and await self._renewed(authorization):
            url = self._url(path, query)  # the server may have moved
            authorization = await self._configuration.authorization()
            response = await self._send(method, url, body, headers, authorization, limits)
        return response

    async def _send(
        self,
        method: str,
        url: yarl.URL,
        body: bytes | None,
        headers: dict[str, str],
        authorization: str | None,
        limits: aiohttp.ClientTimeout,
    ) -> Response:
        sent = headers | ({"Authorization": authorization} if authorization else {})
        with self._translated():
            async with self._requests.request(
                method,
                url,
                data=body,
                headers=sent,
                timeout=limits,
                ssl=self._tls,
                server_hostname=self._endpoint.server_name,
                proxy=self._endpoint.proxy,
                allow_redirects=False,
            ) as answer:
                return Response(answer.status, answer.content_type, answer.headers, await answer.read())

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = "application/json", idle_timeout: float
    ) -> AsyncIterator[Stream]:
        """Open a stream, cut when no byte came for `idle_timeout` seconds. Leaving the block closes it at once."""
        url = self._url(path, query)
        authorization = await self._configuration.authorization()
        answer = await self._open(url, accept, authorization, idle_timeout)
        try:
            if answer.status == 401 and await self._renewed(authorization):
                answer.close()
                url = self._url(path, query)  # the server may have moved
                authorization = await self._configuration.authorization()
                answer = await self._open(url, accept, authorization, idle_timeout)
            self._streams.add(answer)
            yield _HTTPStream(answer, self)
        finally:
            self._streams.discard(answer)
            answer.close()  # not release(): the rest of a watch is never read to its end

    async def _open(
        self, url: yarl.URL, accept: str, authorization: str | None, idle_timeout: float
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept} | ({"Authorization": authorization} if authorization else {})
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=idle_timeout)
        with self._translated():
            return await self._watches.get(
                url,
                headers=headers,
                timeout=limits,
                ssl=self._tls,
                server_hostname=self._endpoint.server_name,
                proxy=self._endpoint.proxy,
                allow_redirects=False,
            )

    async def _renewed(self, authorization: str | None) -> bool:
        """Reload the credentials; the endpoint may have moved with them, or its certificates have changed in place."""
        renewed = await self._configuration.reload(authorization)
        endpoint = self._configuration.endpoint
        files = _files(endpoint)
        if (endpoint, files) == (self._endpoint, self._files):
            return renewed
        try:
            tls, base = _tls_context(endpoint), _base_url(endpoint)
        except ConfigurationError as error:  # half written, or wrong: the 401 is the better error
            logger.warning("configuration.unreadable", extra={"error": str(error)})
            return renewed
        self._endpoint, self._files, self._tls, self._base = endpoint, files, tls, base
        return True

    def _url(self, path: str, query: Query) -> yarl.URL:
        return self._base.joinpath(path.lstrip("/"), encoded=True).with_query(list(query))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn whatever aiohttp raises when nobody answered into a TransportError; its time-outs are TimeoutErrors."""
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            trouble = self._trouble(error)
            trouble.connected = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            raise trouble from error
        except RuntimeError as error:  # "Session is closed"
            if not self._requests.closed:
                raise
            raise TransportError(f"{self._endpoint.host}: this client is closed") from error

    def _trouble(self, error: BaseException) -> TransportError:
        host = without_password(self._endpoint.host)
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            why = getattr(error.certificate_error, "verify_message", None) or error.certificate_error
            return TransportError(f"{host} showed a certificate that the CA of the kubeconfig did not sign: {why}")
        if isinstance(error, TimeoutError):
            return TransportError(f"{host} did not answer in time")
        if isinstance(error, aiohttp.ClientConnectorError):  # its own words are about our objects
            return TransportError(f"{host} cannot be connected to: {_words(error.os_error)}")
        return TransportError(f"{host}: {str(error) or type(error).__name__}")

    async def close(self) -> None:
        """Close all connections, open streams included. Waits until they are closed."""
        for answer in self._streams:  # aiohttp would leave whoever reads one of them waiting for ever
            answer.content.set_exception(aiohttp.ClientConnectionError("this client is closed"))
        await asyncio.gather(self._requests.close(), self._watches.close())


class _HTTPStream:
    """The body of an answer, read as it comes."""

    def __init__(self, answer: aiohttp.ClientResponse, transport: HTTPTransport) -> None:
        self._answer = answer
        self._transport = transport
        self.status = answer.status
        self.content_type = answer.content_type
        self.headers: Mapping[str, str] = answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        with self._transport._translated():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def read(self) -> bytes:
        """Read on until the end: one read returns what happens to be there, perhaps half of a Status."""
        parts, missing = [], BODY_LIMIT_BYTES
        with self._transport._translated():
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                while missing and (part := await self._answer.content.read(missing)):
                    parts.append(part)
                    missing -= len(part)
        return b"".join(parts)


def _base_url(endpoint: Endpoint) -> yarl.URL:
    try:
        url = yarl.URL(endpoint.host)
    except ValueError as error:
        raise ConfigurationError(f"the server address {without_password(endpoint.host)!r} is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"the server address {without_password(endpoint.host)!r} is not an http(s) URL")
    if endpoint.proxy and not endpoint.proxy.startswith(("http://", "https://")):
        proxy = without_password(endpoint.proxy)
        raise ConfigurationError(f"the proxy {proxy!r} is not an http(s) proxy: no other kind is supported")
    return url


def _words(error: OSError) -> str:
    """Return what the system says: asyncio puts the address into `strerror`, the resolver has numbers of its own."""
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _files(endpoint: Endpoint) -> tuple[int, ...]:
    """Return when the certificate files were last changed: they may be renewed in place."""
    return tuple(_changed_at(file) for file in (endpoint.ca_file, endpoint.cert_file, endpoint.key_file) if file)


def _changed_at(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext | bool:
    """Return the one context of this transport; False switches verification off, as the kubeconfig asked."""
    if not endpoint.host.startswith("https"):
        return True
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_file)
        # On by default since Python 3.13, and refuses CAs that kubectl and every other client accept.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not endpoint.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if endpoint.cert_file:
            context.load_cert_chain(endpoint.cert_file, endpoint.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificates for {without_password(endpoint.host)} cannot be loaded: {error}"
        ) from error
    return context
