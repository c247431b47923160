"""A server as a part of an operator."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from scopedcache import ConfigurationError
from scopedcache.clock import wall_time
from scopedcache.web import KeyPair, Server, admission, allow, forward, new_authority, new_leaf
from scopedcache.web.admission_webhook import REVIEW_LIMIT_BYTES
from scopedcache.web.certificates import load_pair
from tests.unit.api.http_server import stream_of
from tests.unit.web.proxies import client_of, serving_with
from tests.unit.web.test_admission_review import review


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def test_it_says_where_it_listens_and_ends_when_it_is_cancelled() -> None:
    async with serving_with(hello) as (url, running), aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert await answer.text() == "hello"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)


async def test_an_address_that_is_taken_is_named() -> None:
    async with serving_with(hello) as (url, _):
        with pytest.raises(ConfigurationError, match="cannot listen on"):
            await Server(url.rpartition("/")[2], web.Application())()


async def test_what_is_under_way_at_the_end_is_finished() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="done")

    async with serving_with(slow) as (url, running), aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(url))
        await begun.wait()
        running.cancel()
        go_on.set()
        answer = await asking
        assert await answer.text() == "done"


async def test_watches_that_are_passed_on_end_with_the_server() -> None:
    async def watch(request: web.Request) -> web.StreamResponse:
        answer = await stream_of(request, b"one\n")
        await asyncio.Event().wait()
        return answer

    async with serving_with(watch) as (upstream, _), client_of(upstream) as client:

        async def passed_on(request: web.Request) -> web.StreamResponse:
            return await forward(client, request)

        async with serving_with(passed_on) as (url, running), aiohttp.ClientSession() as session:
            async with session.get(f"{url}/api/v1/pods?watch=1") as answer:
                first = await answer.content.readline()
                running.cancel()
                assert (first, await answer.content.read()) == (b"one\n", b"")


class Pairs:
    """Certificates of the test's own."""

    def __init__(self) -> None:
        self.authority = new_authority("test", wall_time())
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    def serve(self, *hosts: str) -> None:
        load_pair(self.context, new_leaf(self.authority, hosts, wall_time()))

    async def loaded(self) -> ssl.SSLContext:
        return self.context


async def test_a_new_certificate_is_served_without_a_restart() -> None:
    tls = Pairs()
    tls.serve("127.0.0.1")
    application = web.Application()
    application.router.add_get("/", hello)
    server = Server("127.0.0.1:0", application, tls=tls)
    running = asyncio.create_task(server())
    address = await server.wait_address()
    trusting = ssl.create_default_context(cadata=tls.authority.certificate.decode())
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"https://{address}/", ssl=trusting) as answer:
                assert await answer.text() == "hello"
        tls.serve("elsewhere")
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"https://{address}/", ssl=trusting)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_webhook_answers_reviews_and_nothing_else() -> None:
    def decide(request):
        if request.name == "defect":
            raise KeyError(request.name)
        return allow()

    async with serving_with(admission(decide)) as (url, _), aiohttp.ClientSession() as session:
        good = await (await session.post(url, json=review())).json()
        statuses = [
            (await session.post(url, data=body)).status
            for body in (b"[]", b"nonsense", b" " * (REVIEW_LIMIT_BYTES + 1))
        ]
        defect = await session.post(url, json=review(name="defect"))
    assert (good["response"], statuses, defect.status) == ({"uid": "u-1", "allowed": True}, [400, 400, 413], 500)


def test_a_pair_that_is_none_is_not_parsed() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert KeyPair(new_authority("a", now).certificate, new_authority("b", now).key).parsed() is None
