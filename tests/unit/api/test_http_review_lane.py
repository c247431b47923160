"""Reviews, and whether the server is ready, are asked over one connection: the same server answers them."""

import asyncio

import pytest
from aiohttp import web

from scopedcache import Client
from scopedcache.api.http_transport import HTTPTransport
from scopedcache.api.permission import Permission
from scopedcache.errors import TransportError
from tests.unit.api.http_server import configured, serving

LIST = Permission("list", "", "pods", "a")
RULES = {"status": {"resourceRules": [], "incomplete": False}}


@pytest.fixture
async def server():
    async with serving() as made:
        made.handler = noted(made, answer)
        yield made


def noted(server, handler):
    """Let the handler answer, and note the port that each request came from."""
    server.ports = []

    async def answered(request):
        server.ports.append((request.path, request.transport.get_extra_info("peername")[1]))
        return await handler(request)

    return answered


async def answer(request):
    await asyncio.sleep(0.005)  # long enough for others to come meanwhile, and to want a connection of their own
    if request.path == "/readyz":
        return web.Response(text="ok")
    return web.json_response(RULES if "rules" in request.path else {"status": {"allowed": False}, "items": []})


def connections(server, *words):
    return {port for path, port in server.ports if any(word in path for word in words)}


async def test_reviews_and_readyz_share_a_single_connection_that_nothing_else_uses(server):
    async with Client(HTTPTransport(configured(server.url))) as client:
        for _ in range(3):
            others = [client.transport.request("GET", "/api/v1/pods") for _ in range(5)]
            asked = [client.review_rules("a"), client.review_access(LIST), client.ready()]
            await asyncio.gather(*others, *asked)

    assert len(connections(server, "selfsubject", "readyz")) == 1
    assert len(connections(server, "pods")) > 1
    assert not connections(server, "selfsubject", "readyz") & connections(server, "pods")


async def test_a_review_that_is_never_answered_ends_with_its_time_out_and_the_next_has_a_new_connection(server):
    forever, first = asyncio.Event(), [True]

    async def frozen(request):
        if first:
            first.clear()
            await forever.wait()
        return await answer(request)

    server.handler = noted(server, frozen)
    async with Client(HTTPTransport(configured(server.url))) as client:
        with pytest.raises(TransportError, match="in time"):
            await client.review_rules("a", timeout=0.1)
        await client.review_rules("a", timeout=5.0)
        forever.set()

    assert len(connections(server, "selfsubject")) == 2


async def test_readyz_refused_in_any_form_and_no_answer_at_all_are_told_apart(server):
    async def refused(request):
        return web.Response(status=403, text="<html>forbidden</html>", content_type="text/html")

    server.handler = refused
    async with Client(HTTPTransport(configured(server.url))) as client:
        assert await client.ready() == "refused"
    async with Client(HTTPTransport(configured("http://127.0.0.1:1"))) as client:
        assert await client.ready() == "not ready"
