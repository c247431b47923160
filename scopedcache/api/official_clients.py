"""`kubernetes` and `kubernetes_asyncio` over our credentials: the only module that imports them, and only when asked.

Their `ApiClient` keeps its ways (serialisation, models, errors); where it would open a connection, it comes to us. So
tokens are renewed, plugins run once for all, certificates replaced in place are taken, and impersonation is sent,
also several groups, which their own headers cannot hold.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import aiohttp
from multidict import CIMultiDict

from ..errors import ConfigurationError, TransportError
from .http_transport import Connection, HTTPTransport
from .identity.tls import tls_context
from .transport import REQUEST_TIMEOUT_SECONDS

T = TypeVar("T")

# kubernetes_asyncio reads a watch line by line, and a line may be as long as an object.
LINE_BUFFER_BYTES: Final = 2**21
USER_AGENT: Final = "scopedcache"


def blocking_client(transport: Any) -> Any:
    """Return an ApiClient of `kubernetes`; its calls block the thread they are made in."""
    from kubernetes import client

    given = _over_http(transport)
    made = client.ApiClient(_configuration(client, given))
    made.user_agent = USER_AGENT
    made.rest_client.pool_manager = _BlockingPool(given, asyncio.get_running_loop())
    return made


def asyncio_client(transport: Any) -> Any:
    """Return an ApiClient of `kubernetes_asyncio`."""
    from kubernetes_asyncio import client

    given = _over_http(transport)
    made = client.ApiClient(_configuration(client, given))
    made.user_agent = USER_AGENT
    own, made.rest_client.pool_manager = made.rest_client.pool_manager, _AsyncioPool(given)
    own.detach()  # nothing was opened yet; what is left of it must not complain
    return made


def _over_http(transport: Any) -> HTTPTransport:
    if not isinstance(transport, HTTPTransport):
        raise ConfigurationError("this client does not speak HTTP: other libraries' clients cannot use its way")
    return transport


def _configuration(library: Any, transport: HTTPTransport) -> Any:
    """Return a configuration that says where the server is; who we are is said per request."""
    return library.Configuration(host=transport.configuration.endpoint.host)


class _Place:
    """Where the requests of one ApiClient are to go: it knows only the address it was made with."""

    def __init__(self, transport: HTTPTransport) -> None:
        self._first = transport.configuration.endpoint.host

    def url(self, connection: Connection, url: str) -> str:
        base = connection.endpoint.host
        return base + url.removeprefix(self._first) if url.startswith(self._first) else url


def _headers(connection: Connection, given: Mapping[str, str] | None) -> CIMultiDict[str]:
    """Return the headers to send: theirs, and who we are unless they said so themselves."""
    sent = CIMultiDict(given or {})
    named = {name.lower() for name in sent}
    sent.extend([(name, value) for name, value in connection.headers.items() if name.lower() not in named])
    return sent


class _AsyncioPool:
    """Stands where an `aiohttp.ClientSession` stood."""

    def __init__(self, transport: HTTPTransport) -> None:
        self._transport = transport
        self._place = _Place(transport)
        self._session = transport.session(limit=0, read_bufsize=LINE_BUFFER_BYTES)

    async def request(self, method: str, url: str, *, headers: Any = None, **more: Any) -> aiohttp.ClientResponse:
        for theirs in ("proxy", "proxy_headers", "server_hostname"):
            more.pop(theirs, None)
        connection = await self._transport.connection()
        answer = await self._send(connection, method, url, headers, more)
        if answer.status == 401:
            renewed = await self._transport.connection(refused=connection)
            if renewed != connection:
                answer.release()
                answer = await self._send(renewed, method, url, headers, more)
        return answer

    async def _send(
        self, connection: Connection, method: str, url: str, headers: Any, more: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        sent = _headers(connection, headers)
        sent.setdefault("Accept-Encoding", "identity")
        try:
            return await self._session.request(
                method, self._place.url(connection, url), headers=sent, **connection.options, **more
            )
        except (aiohttp.ClientError, OSError) as error:
            failure = self._transport._trouble(error)
        raise failure

    async def close(self) -> None:
        await self._session.close()


class _BlockingPool:
    """Stands where a `urllib3.PoolManager` stood."""

    def __init__(self, transport: HTTPTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._place = _Place(transport)
        self._lock = threading.Lock()
        self._made: tuple[Connection, Any] | None = None

    def request(self, method: str, url: str, *, headers: Any = None, **more: Any) -> Any:
        connection = self._connection()
        answer = self._send(connection, method, url, headers, more)
        if answer.status == 401 and threading.get_ident() != self._loop_thread:
            renewed = self._waited(lambda: self._transport.connection(refused=connection))
            if renewed != connection:
                answer.drain_conn()
                answer = self._send(renewed, method, url, headers, more)
        return answer

    def clear(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made[1].clear()

    def _send(self, connection: Connection, method: str, url: str, headers: Any, more: dict[str, Any]) -> Any:
        import urllib3

        sent = urllib3.HTTPHeaderDict()
        for name, value in _headers(connection, headers).items():
            sent.add(name, value)
        return self._manager(connection).request(method, self._place.url(connection, url), headers=sent, **more)

    def _connection(self) -> Connection:
        if threading.get_ident() == self._loop_thread:  # whoever blocks the loop cannot be waited for on it
            return self._transport.connection_at_once()
        return self._waited(self._transport.connection)

    def _waited(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def asked() -> T:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                return await ask()

        try:
            return asyncio.run_coroutine_threadsafe(asked(), self._loop).result()
        except TimeoutError:
            raise TransportError("the credentials were not there in time") from None

    def _manager(self, connection: Connection) -> Any:
        """Return the pool for a connection: another one where the certificates have changed."""
        with self._lock:
            made = self._made
            if made is None or (made[0].tls, made[0].endpoint) != (connection.tls, connection.endpoint):
                made = self._made = (connection, _pool_manager(connection))
            return made[1]


def _pool_manager(connection: Connection) -> Any:
    import urllib3

    endpoint = connection.endpoint
    # One of its own: urllib3 changes the context it is given.
    tls = tls_context(endpoint, connection.credential.certificate)
    options: dict[str, Any] = {"maxsize": 10}
    if not isinstance(tls, bool):
        options |= {"ssl_context": tls, "cert_reqs": "CERT_REQUIRED" if endpoint.verify else "CERT_NONE"}
        options |= {} if endpoint.check_hostname else {"assert_hostname": False}
        options |= {"server_hostname": endpoint.server_name} if endpoint.server_name else {}
        if endpoint.server_name:
            options["assert_hostname"] = endpoint.server_name
    if endpoint.proxy is None:
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(endpoint.proxy, proxy_headers=dict(endpoint.proxy_headers), **options)
