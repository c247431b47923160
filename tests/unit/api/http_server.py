"""A small HTTP server on loopback, and configurations that lead to it."""

import contextlib
from typing import Any

from aiohttp import web
from kubernetes.client import Configuration as Given

from scopedcache.api.configuration import Configuration
from tests.unit.informer.fake_transport import bytes_of


class Server:
    """Answers as the test's handler says; `seen` are the requests it got."""

    def __init__(self):
        self.url = ""
        self.seen: list[web.BaseRequest] = []
        self.handler: Any = None
        self.connections: set[Any] = set()

    async def answer(self, request):
        self.seen.append(request)
        self.connections.add(request.transport)
        return await self.handler(request)

    @property
    def open(self):
        return sum(not connection.is_closing() for connection in self.connections)


@contextlib.asynccontextmanager
async def serving(tls=None):
    server = Server()
    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    scheme = "https" if tls else "http"
    server.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def given_for(url, **settings):
    """Return a configuration of the `kubernetes` client."""
    given = Given(host=url)
    given.proxy = None
    for name, value in settings.items():
        setattr(given, name, value)
    return given


def configured(url, **settings):
    given = given_for(url, **settings)
    return Configuration(lambda: given)


def always(body, code=200, content_type="application/json", headers=None):
    async def handler(request):
        return web.Response(body=bytes_of(body), status=code, content_type=content_type, headers=headers)

    return handler


async def stream_of(request, *chunks, code=200, content_type="application/json") -> web.StreamResponse:
    answer = web.StreamResponse(status=code, headers={"Content-Type": content_type})
    await answer.prepare(request)
    for chunk in chunks:
        await answer.write(chunk)
    return answer
