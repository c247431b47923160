"""A proxy that forwards, in front of a server of the test or of an embedded cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from scopedcache import Client
from scopedcache.api.http_transport import HTTPTransport
from scopedcache.web import Server, forward
from tests.unit.api.http_server import configured

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def client_of(url: str, token: str = "own") -> Client:
    """Return a client of a server, with a token of its own."""
    settings = {"api_key": {"authorization": token}, "api_key_prefix": {"authorization": "Bearer"}}
    return Client(HTTPTransport(configured(url, **settings)))


@asynccontextmanager
async def serving_with(handler: Handler) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve a handler for all paths; yield the address, and what runs the server."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    server = Server("127.0.0.1:0", application)
    running = asyncio.create_task(server())
    try:
        yield f"http://{await server.wait_address()}", running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def proxied(client: Client, **options: object) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Yield the address of a proxy that forwards everything, and a session to ask it with."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return await forward(client, request, **options)  # type: ignore[arg-type]

    async with serving_with(handler) as (url, _), aiohttp.ClientSession() as session:
        yield url, session
