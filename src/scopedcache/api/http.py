"""HTTP/1.1 through aiohttp: connections, time-outs, credentials.

Two sessions: one for requests, one for watches without a cap on connections, because a pool of 100 lets the 101st
watch wait silently (docs/decisions/0003-transport.md). One TLS context, ours, for both. Imported only when a
connection is made: aiohttp alone takes longer to import than everything else together.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import yarl

from ..errors import ConfigurationError, TransportError
from .configuration import Configuration, Endpoint
from .transport import REQUEST_TIMEOUT, Query, Response, Stream

CONNECT_TIMEOUT = 10.0
# Requests in flight at once. More would only queue in the server's priority-and-fairness instead of here.
REQUEST_CONNECTIONS = 64


class HTTPTransport:
    """HTTP/1.1 through aiohttp. Belongs to the running event loop."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._endpoint = configuration.endpoint
        self._tls = _tls_context(self._endpoint)
        self._base = _base_url(self._endpoint)
        headers = {"User-Agent": "scopedcache", "Accept-Encoding": "identity"}
        self._requests = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=REQUEST_CONNECTIONS, ttl_dns_cache=30), headers=headers
        )
        self._watches = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30), headers=headers, read_bufsize=2**18
        )

    async def request(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = REQUEST_TIMEOUT,
    ) -> Response:
        """Send one request and return its whole answer; a 401 is retried once if there are new credentials."""
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        url = self._url(path, query)
        authorization = await self._configuration.authorization()
        response = await self._send(method, url, body, headers, authorization, limits)
        if response.status == 401 and await self._renewed(authorization):
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
        try:
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
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._trouble(error) from error

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = "application/json", idle_timeout: float
    ) -> AsyncIterator[Stream]:
        """Open a stream, cut when no byte came for `idle_timeout` seconds. Leaving the block closes it at once."""
        url = self._url(path, query)
        authorization = await self._configuration.authorization()
        answer = await self._open(url, accept, authorization, idle_timeout)
        if answer.status == 401 and await self._renewed(authorization):
            answer.close()
            authorization = await self._configuration.authorization()
            answer = await self._open(url, accept, authorization, idle_timeout)
        try:
            yield _HTTPStream(answer, self)
        finally:
            answer.close()  # not release(): the rest of a watch is never read to its end

    async def _open(
        self, url: yarl.URL, accept: str, authorization: str | None, idle_timeout: float
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept} | ({"Authorization": authorization} if authorization else {})
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=idle_timeout)
        try:
            return await self._watches.get(
                url,
                headers=headers,
                timeout=limits,
                ssl=self._tls,
                server_hostname=self._endpoint.server_name,
                proxy=self._endpoint.proxy,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._trouble(error) from error

    async def _renewed(self, authorization: str | None) -> bool:
        """Reload the credentials; the endpoint may have moved with them."""
        renewed = await self._configuration.reload(authorization)
        endpoint = self._configuration.endpoint
        if endpoint != self._endpoint:
            self._endpoint, self._tls, self._base = endpoint, _tls_context(endpoint), _base_url(endpoint)
            return True
        return renewed

    def _url(self, path: str, query: Query) -> yarl.URL:
        return self._base.joinpath(path.lstrip("/"), encoded=True).with_query(list(query))

    def _trouble(self, error: BaseException) -> TransportError:
        host = self._endpoint.host
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return TransportError(f"{host} showed a certificate that the CA of the kubeconfig did not sign: {error}")
        if isinstance(error, TimeoutError):
            return TransportError(f"{host} did not answer in time")
        return TransportError(f"{host}: {str(error) or type(error).__name__}")

    async def close(self) -> None:
        """Close all connections. Waits until they are closed."""
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
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._transport._trouble(error) from error

    async def read(self) -> bytes:
        try:
            return await self._answer.content.read(2**20)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._transport._trouble(error) from error


def _base_url(endpoint: Endpoint) -> yarl.URL:
    try:
        url = yarl.URL(endpoint.host)
    except ValueError as error:
        raise ConfigurationError(f"the server address {endpoint.host!r} is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"the server address {endpoint.host!r} is not an http(s) URL")
    return url


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext | bool:
    """Return the one context of this transport; False switches verification off, as the kubeconfig asked."""
    if not endpoint.host.startswith("https"):
        return True
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_file)
        if not endpoint.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if endpoint.cert_file:
            context.load_cert_chain(endpoint.cert_file, endpoint.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the certificates for {endpoint.host} cannot be loaded: {error}") from error
    return context
