"""An HTTP server as a part of an operator: it runs until it is cancelled, and ends in peace."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final, Protocol

from aiohttp import web

from ..controller.manager.bind_address import BindAddress
from ..errors import ConfigurationError
from .open_streams import OPEN_STREAMS, OpenStreams

logger = logging.getLogger("scopedcache.web")

# A webhook is answered in milliseconds; what takes longer is a watch, which is ended, or hangs.
STOP_TIMEOUT_SECONDS: Final = 1.0
BACKLOG: Final = 128


class TLS(Protocol):
    """Where a server has its certificate from: `Certificates` is one."""

    async def loaded(self) -> ssl.SSLContext:
        """Wait until there is one; what is loaded later is in the same context."""


class Server:
    """Serves an application of aiohttp, or some routes; a runnable for a Manager, on all replicas.

        routes = [aiohttp.web.post("/namespaces", admission(decide))]
        Manager(cache, runnables=[Server(":9443", routes, tls=certificates)])

    At the end it takes no new requests, ends the watches that it passes on, and lets the others finish.

    Args:
        address: `host:port`; all interfaces without a host, port 0 is any free one.
        application: what answers; one of aiohttp, or its routes.
        tls: None serves plain HTTP.
        stop_timeout: seconds that requests get at the end.
    """

    def __init__(
        self,
        address: str | int,
        application: web.Application | Iterable[web.RouteDef],
        *,
        tls: TLS | ssl.SSLContext | None = None,
        stop_timeout: float = STOP_TIMEOUT_SECONDS,
    ) -> None:
        self._wanted = BindAddress.parse(address)
        self._application = application if isinstance(application, web.Application) else _routed(application)
        self._tls = tls
        self._stop_timeout = stop_timeout
        self._address: asyncio.Future[BindAddress] | None = None

    async def __call__(self) -> None:
        """Serve until cancelled.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        context = self._tls if isinstance(self._tls, ssl.SSLContext | None) else await self._tls.loaded()
        streams = OpenStreams()
        self._application[OPEN_STREAMS] = streams

        async def end_watches(_: web.Application) -> None:
            streams.end_watches()

        self._application.on_shutdown.append(end_watches)
        runner = web.AppRunner(
            self._application, access_log=None, handle_signals=False, handler_cancellation=True,
            shutdown_timeout=self._stop_timeout,
        )  # fmt: skip
        async with AsyncExitStack() as stack:
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            site = web.TCPSite(runner, self._wanted.host, self._wanted.port, ssl_context=context, backlog=BACKLOG)
            try:
                await site.start()
            except OSError as error:
                why = error.strerror or error
                raise ConfigurationError(f"cannot listen on {self._wanted}: {why}; choose another address") from error
            host, port, *_ = runner.addresses[0]
            logger.info("server.started", extra={"address": str(BindAddress(host, port)), "tls": context is not None})
            self._listens(BindAddress(host, port))
            await asyncio.Event().wait()

    async def wait_address(self) -> BindAddress:
        """Wait until it listens; return where, with the port that port 0 became."""
        return await asyncio.shield(self._future())

    def _listens(self, address: BindAddress) -> None:
        if not self._future().done():
            self._future().set_result(address)

    def _future(self) -> asyncio.Future[BindAddress]:
        if self._address is None:
            self._address = asyncio.get_running_loop().create_future()
        return self._address

    def __repr__(self) -> str:
        return f"<Server on {self._wanted}>"


def _routed(routes: Iterable[web.RouteDef]) -> web.Application:
    application = web.Application()
    application.add_routes(list(routes))
    return application
