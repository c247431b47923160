"""Answers probes and scrapes over HTTP: /healthz, /readyz, /metrics.

`/healthz` says that the loop turns. `/readyz` shows as JSON what a person would ask, 503 while not ready. Loopback
unless told otherwise; the probes of a kubelet come from outside the Pod's loopback, so give `0.0.0.0:8081` there.
Imported only where something listens: it brings a web server along.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from aiohttp import web

from ...errors import ConfigurationError
from ...metrics import Sample
from .bind_address import BindAddress
from .prometheus_text import CONTENT_TYPE, prometheus_text


class HealthServer:
    """Serves what it is given; use it with `async with`. A page that it was given nothing for is a 404.

    Args:
        address: see `BindAddress.parse`.
        ready: tells whether the process does its work; gives /healthz and /readyz.
        state: what /readyz shows, as plain data; called for each request.
        samples: what /metrics shows.
    """

    def __init__(
        self,
        address: str | int | BindAddress,
        *,
        ready: Callable[[], bool] | None = None,
        state: Callable[[], Mapping[str, Any]] | None = None,
        samples: Iterable[Sample] | None = None,
    ) -> None:
        self._wanted = BindAddress.parse(address)
        self._ready = ready
        self._state = state
        self._samples = samples
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> HealthServer:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be used; names it and what to do.
        """
        runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._wanted.host, self._wanted.port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(_trouble(self._wanted, error)) from error
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def address(self) -> BindAddress:
        """Return where it listens, with the port that port 0 became."""
        if self._runner is None or not self._runner.addresses:
            return self._wanted
        host, port, *_ = self._runner.addresses[0]
        return BindAddress(host, port)

    def _application(self) -> web.Application:
        application = web.Application()
        if self._ready is not None:
            application.router.add_get("/healthz", self._healthz)
            application.router.add_get("/readyz", self._readyz)
        if self._samples is not None:
            application.router.add_get("/metrics", self._metrics)
        return application

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._ready is not None and self._ready()
        body = {"ready": ready, **(self._state() if self._state else {})}
        text = json.dumps(plain(body), indent=2) + "\n"
        return web.Response(text=text, status=200 if ready else 503, content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=prometheus_text(self._samples or ()).encode(), headers={"Content-Type": CONTENT_TYPE})

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
