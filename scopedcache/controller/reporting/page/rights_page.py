"""Serves the permission page: the page itself, and what is new in it as server-sent events.

Who sees it knows what the operator may do everywhere, so it is for this machine alone (`kubectl port-forward` comes
from there too), or for a token that may `get` its path. On loopback the name that the browser asked for has to be
loopback's as well: a page of a stranger's, whose name was made to point here, is none. What a proxy on this machine
hands on is a stranger's too.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from ...manager.bearer_token import refusal_of
from ...manager.token_access import TokenAccess
from .rights_feed import RightsFeed, TooManyViewersError

PATH: Final = "/debug/rights"
# A proxy between us and the browser may close what is silent.
HEARTBEAT_SECONDS: Final = 15.0
FILES: Final = {
    "": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
REFUSED: Final = (
    "this page is for this machine alone (kubectl port-forward POD 8081, then http://localhost:8081/debug/rights),\n"
    f"or for a bearer token that may get {PATH}\n"
)

# Headers of proxies: what they hand on comes from loopback, and does not.
PROXIED: Final = ("forwarded", "via", "x-forwarded-", "x-envoy-", "x-real-ip")

Keep = Callable[[asyncio.BaseTransport], None]


class RightsPage:
    """The routes of the page.

    Args:
        feed: what is told to who looks.
        access: says whether a token may see it.
    """

    def __init__(self, feed: RightsFeed, access: TokenAccess) -> None:
        self._feed = feed
        self._access = access

    def routes(self, keep: Keep) -> Iterable[web.RouteDef]:
        """Return them; `keep` lets a connection last longer than a probe's."""

        async def events(request: web.Request) -> web.StreamResponse:
            return await self._events(request, keep)

        async def file(request: web.Request) -> web.StreamResponse:
            return await self._file(request)

        return [*(web.get(PATH + tail, file) for tail in FILES), web.get(f"{PATH}/events", events)]

    async def end(self, _: web.Application) -> None:
        """Tell the viewers that there is nothing more to come."""
        self._feed.end()

    async def _file(self, request: web.Request) -> web.Response:
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        name, content_type = FILES[request.path.removeprefix(PATH)]
        text = (Path(__file__).parent / name).read_text()
        return web.Response(text=text, content_type=content_type, headers=HEADERS)

    async def _events(self, request: web.Request, keep: Keep) -> web.StreamResponse:
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
        try:
            async with self._feed.viewer() as told:
                await response.prepare(request)
                if request.transport is not None:
                    keep(request.transport)
                with suppress(ConnectionError):  # the browser was closed
                    await _send_all(response, told)
        except TooManyViewersError as error:
            return web.Response(text=f"{error}\n", status=503)
        return response

    async def _refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to who may not see the page; None where they may."""
        if _is_local(request):
            return None
        if "Authorization" not in request.headers:
            return web.Response(text=REFUSED, status=401, headers={"WWW-Authenticate": "Bearer"})
        return await refusal_of(request, self._access)


async def _send_all(response: web.StreamResponse, told: asyncio.Queue[tuple[str, bytes] | None]) -> None:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                message = await told.get()
        except TimeoutError:
            await response.write(b":\n\n")
            continue
        if message is None:
            return
        event, data = message
        await response.write(b"event: " + event.encode() + b"\ndata: " + data + b"\n\n")


def _is_local(request: web.Request) -> bool:
    """Tell whether a request comes from this machine, and not through a proxy on it (a mesh's sidecar, for one)."""
    if any(name.lower().startswith(PROXIED) for name in request.headers):
        return False
    return _is_loopback(request.remote or "") and _is_loopback(request.url.host or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Not the rest of 127.0.0.0/8: sidecars hand strangers on from addresses there.
    return str(getattr(address, "ipv4_mapped", None) or address) in ("127.0.0.1", "::1")
