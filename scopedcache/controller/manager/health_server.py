"""Answers probes and scrapes over HTTP: /healthz, /readyz, /metrics.

`/healthz` says that the loop turns. `/readyz` shows as JSON what a person would ask first, 503 while not ready, and
`/readyz?verbose` the details. An address without a host is every interface: what a kubelet's probes need, which come
from outside the Pod's loopback. Connections are few and short (`short_connections.py`).
Imported only where something listens: it brings a web server along.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from aiohttp import web

from ...errors import ConfigurationError
from ...metrics import Counters
from ..reporting.page.rights_page import RightsPage
from .bearer_token import refusal_of
from .bind_address import ALL_INTERFACES, BindAddress
from .serving_certificate import ServingCertificate
from .short_connections import CONNECTIONS_AT_MOST, LIFE_SECONDS, ShortConnections
from .token_access import TokenAccess

# Said by the kernel where IPv6 is built in and switched off.
NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

PAGE_IS_OFF: Final = "the permission page is off: Manager(rights_page=True) serves it here\n"
NO_PROMETHEUS_CLIENT: Final = "this page needs prometheus-client: pip install 'scopedcache[metrics]'\n"


class HealthServer:
    """Serves what it is given; use it with `async with`. A page that it was given nothing for is a 404.

    Args:
        address: see `BindAddress.parse`.
        ready: tells whether the process does its work; gives /healthz and /readyz.
        state: what /readyz shows, as plain data; called for each request.
        details: what /readyz?verbose shows instead; the same, unless told otherwise.
        numbers: what /metrics shows; called for each request.
        tls: serve over TLS with this certificate.
        metrics_access: says whose bearer token may see /metrics; without it, everybody's eyes may.
        page: the permission page; gives /debug/rights, which says how to get it where there is none.
    """

    def __init__(
        self,
        address: str | int | BindAddress,
        *,
        ready: Callable[[], bool] | None = None,
        state: Callable[[], Mapping[str, Any]] | None = None,
        details: Callable[[], Mapping[str, Any]] | None = None,
        numbers: Callable[[], Counters] | None = None,
        tls: ServingCertificate | None = None,
        metrics_access: TokenAccess | None = None,
        page: RightsPage | None = None,
    ) -> None:
        self._wanted = BindAddress.parse(address)
        self._ready = ready
        self._state = state
        self._details = details or state
        self._numbers = numbers
        self._tls = tls
        self._metrics_access = metrics_access
        self._page = page
        self._connections: ShortConnections | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> HealthServer:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be used; names it and what to do.
        """
        runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        serve = runner.server
        assert serve is not None
        self._connections = ShortConnections(serve)
        try:
            self._server = await _listen(self._connections, self._wanted, self._tls)
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(_trouble(self._wanted, error)) from error
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def address(self) -> BindAddress:
        """Return where it listens, with the port that port 0 became."""
        if self._server is None or not self._server.sockets:
            return self._wanted
        host, port, *_ = self._server.sockets[0].getsockname()
        return BindAddress(host if self._wanted.host else ALL_INTERFACES, port)

    def _application(self) -> web.Application:
        application = web.Application()
        if self._ready is not None:
            application.router.add_get("/healthz", self._healthz)
            application.router.add_get("/readyz", self._readyz)
        if self._page is not None:
            application.router.add_routes(self._page.routes(self._keep))
            application.on_shutdown.append(self._page.end)
        elif self._ready is not None:
            application.router.add_get("/debug/rights", self._page_is_off)
        if self._numbers is not None:
            application.router.add_get("/metrics", self._metrics)
        return application

    def _keep(self, transport: asyncio.BaseTransport) -> None:
        if self._connections is not None:
            self._connections.keep(transport)

    async def _page_is_off(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE_IS_OFF, status=404)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        ready = self._ready is not None and self._ready()
        state = self._details if "verbose" in request.query else self._state
        body = {"ready": ready, **(state() if state else {})}
        text = json.dumps(plain(body), indent=2) + "\n"
        return web.Response(text=text, status=200 if ready else 503, content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        assert self._numbers is not None
        if (
            self._metrics_access is not None
            and (refusal := await refusal_of(request, self._metrics_access)) is not None
        ):
            return refusal
        try:
            from .prometheus_page import prometheus_page
        except ImportError:
            return web.Response(text=NO_PROMETHEUS_CLIENT, status=501)
        body, content_type = prometheus_page(self._numbers(), request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    def __repr__(self) -> str:
        return f"<HealthServer on {self.address}>"


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: attrs values by field, mappings with text keys, the rest as its text."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if hasattr(value, "_fields"):  # a key reads better as `a/b` than as a list
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    return str(value)


async def _listen(
    connections: ShortConnections, address: BindAddress, tls: ServingCertificate | None
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    secured: dict[str, Any] = {}
    if tls is not None:
        secured = {"ssl": tls.context, "ssl_handshake_timeout": LIFE_SECONDS}
    if address.host:
        return await loop.create_server(connections, address.host, address.port, backlog=CONNECTIONS_AT_MOST, **secured)
    return await loop.create_server(connections, sock=_socket_on_all_interfaces(address.port), **secured)


def _socket_on_all_interfaces(port: int) -> socket.socket:
    """Return one socket for IPv4 and IPv6, so that port 0 is one port; for IPv4 alone where there is no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=CONNECTIONS_AT_MOST
            )
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=CONNECTIONS_AT_MOST)


def _trouble(address: BindAddress, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        fix = "another process listens there; stop it, or choose another port (0 is any free one)"
    elif error.errno == errno.EADDRNOTAVAIL:
        fix = "this machine has no such address; use 127.0.0.1 or 0.0.0.0"
    elif error.errno == errno.EACCES:
        fix = "ports below 1024 need rights; choose a higher one"
    else:
        fix = error.strerror or str(error)
    return f"cannot listen on {address}: {fix}"
