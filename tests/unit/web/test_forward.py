"""Forwarding: what the API server is sent, and what comes back."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from scopedcache import ConfigurationError, ForbiddenError, UnauthorizedError
from scopedcache.testing import EmbeddedCluster
from scopedcache.web import identify
from tests.unit.api.http_server import always, serving, stream_of
from tests.unit.web.proxies import client_of, proxied, serving_with

PATH = "/api/v1/namespaces/a%2Fb/pods"


async def test_a_request_goes_on_as_it_came() -> None:
    async def echo(request: web.Request) -> web.Response:
        seen = (request.method, request.raw_path, request.headers.get("Authorization"), (await request.read()).decode())
        return web.json_response(seen, status=201, headers={"Audit-Id": "7", "Warning": "299 - w"})

    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, session):
        upstream.handler = echo
        target = f"{url}{PATH}?labelSelector=a%3Db&limit=5"
        headers = {"Authorization": "Bearer alice"}
        async with session.post(URL(target, encoded=True), data=b"{}", headers=headers) as answer:
            assert (answer.status, answer.headers["Audit-Id"], answer.headers["Warning"]) == (201, "7", "299 - w")
            assert await answer.json() == ["POST", f"{PATH}?labelSelector=a%3Db&limit=5", "Bearer alice", "{}"]


async def test_whoever_brings_no_credentials_gets_none_of_ours() -> None:
    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, session):
        upstream.handler = always({})
        await session.get(url + PATH)
        assert "Authorization" not in upstream.seen[0].headers


async def test_in_our_own_name_nobody_is_somebody_else() -> None:
    async with serving() as upstream, client_of(upstream.url) as client:
        upstream.handler = always({})
        async with proxied(client, own_name=True, query=[("labelSelector", "x")]) as (url, session):
            spoofed = {"Authorization": "Bearer alice", "Impersonate-User": "admin", "X-Remote-User": "root"}
            await session.get(f"{url}{PATH}?labelSelector=mine", headers=spoofed)
    [seen] = upstream.seen
    assert seen.headers.getall("Authorization") == ["Bearer own"]
    assert not [name for name in seen.headers if name.lower().startswith(("impersonate", "x-remote"))]
    assert seen.raw_path == f"{PATH}?labelSelector=x"


async def test_where_our_own_credentials_are_refused_nobody_is_asked_for_theirs() -> None:
    async with serving() as upstream, client_of(upstream.url) as client:
        upstream.handler = always({"kind": "Status", "code": 401, "message": "Unauthorized"}, code=401)
        async with proxied(client, own_name=True) as (url, session), session.get(url + PATH) as answer:
            assert (answer.status, "our own credentials" in (await answer.json())["message"]) == (502, True)
        async with proxied(client) as (url, session), session.get(url + PATH) as answer:
            assert answer.status == 401


async def test_a_request_that_names_another_server_still_goes_to_ours() -> None:
    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, _):
        upstream.handler = always({})
        reader, writer = await asyncio.open_connection(*url.rpartition("/")[2].split(":"))
        writer.write(
            b"GET http://elsewhere/api/v1/pods?limit=1 HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n"
        )
        first = await reader.readline()
        writer.close()
    assert (first.split()[1], [seen.raw_path for seen in upstream.seen]) == (b"200", ["/api/v1/pods?limit=1"])


async def test_a_watch_comes_through_event_by_event() -> None:
    go_on = asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        answer = await stream_of(request, b"one\n")
        await go_on.wait()
        await answer.write(b"two\n")
        return answer

    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, session):
        upstream.handler = watch
        async with session.get(f"{url}{PATH}?watch=1") as answer:
            first = await answer.content.readline()
            go_on.set()
            assert (first, await answer.content.read()) == (b"one\n", b"two\n")


async def test_half_an_answer_is_not_passed_off_as_a_whole_one() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        answer = await stream_of(request, b"half")
        assert request.transport is not None
        request.transport.abort()
        return answer

    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, session):
        upstream.handler = broken
        with pytest.raises(aiohttp.ClientError):
            async with session.get(url + PATH) as answer:
                await answer.read()


async def test_who_leaves_a_watch_leaves_the_server_too() -> None:
    left = asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        await stream_of(request, b"one\n")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError("nobody has left")

    async with serving_with(watch) as (upstream, _), client_of(upstream) as client, proxied(client) as (url, session):
        async with session.get(f"{url}{PATH}?watch=1") as answer:
            await answer.content.readline()
        await left.wait()


async def test_where_nobody_answers_the_caller_is_told_in_a_status() -> None:
    async with client_of("http://127.0.0.1:1") as client, proxied(client) as (url, session):
        async with session.get(url + PATH) as answer:
            status = await answer.json()
    assert (answer.status, status["kind"], status["reason"]) == (502, "Status", "ServiceUnavailable")
    assert "cannot be connected to" in status["message"]


async def test_what_is_compressed_stays_so() -> None:
    import gzip

    body = gzip.compress(b"{}" * 100)

    async def compressed(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, _):
        upstream.handler = compressed
        async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(url + PATH) as answer:
            assert (answer.headers["Content-Encoding"], await answer.read()) == ("gzip", body)


async def test_a_websocket_goes_through_in_both_directions() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io"])
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data * 2)
        return socket

    async with serving_with(echo) as (upstream, _), client_of(upstream) as client, proxied(client) as (url, session):
        async with session.ws_connect(url + PATH, protocols=["v5.channel.k8s.io"], max_msg_size=0) as socket:
            await socket.send_bytes(b"small")
            small = await socket.receive_bytes()
            large = b"x" * 3_000_000
            await socket.send_bytes(large)
            assert (socket.protocol, small, await socket.receive_bytes() == large * 2) == (
                "v5.channel.k8s.io", b"smallsmall", True,
            )  # fmt: skip


async def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    async with serving() as upstream, client_of(upstream.url) as client, proxied(client) as (url, session):
        upstream.handler = always({"kind": "Status", "message": "no"}, code=403)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(url + PATH)


async def test_a_client_without_http_forwards_nothing() -> None:
    with EmbeddedCluster.start() as cluster:
        async with cluster.client() as client, proxied(client) as (url, session):
            async with session.get(url + PATH) as answer:
                assert answer.status == 500
        with pytest.raises(ConfigurationError, match="does not speak HTTP"):
            await identify(client, None)  # type: ignore[arg-type]


@pytest.fixture
def cluster():
    with EmbeddedCluster.start(http=True, users={"alice": ["oil"], "boss": ["system:masters"]}) as cluster:
        yield cluster


async def test_the_server_says_who_a_caller_is(cluster: EmbeddedCluster) -> None:
    seen: list[object] = []
    from scopedcache import Client

    async with Client.connect(kubeconfig=cluster.user("operator").kubeconfig) as client:

        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                seen.append(await identify(client, request))
            except (UnauthorizedError, ForbiddenError) as error:
                seen.append(type(error))
            return web.Response()

        tokens = {name: {"Authorization": f"Bearer {cluster.user(name).token}"} for name in ("alice", "boss")}
        as_alice = {"Impersonate-User": "alice"}
        async with serving_with(handler) as (url, _), aiohttp.ClientSession() as session:
            for headers in (
                tokens["alice"], {}, {"Authorization": "Bearer nonsense"}, tokens["boss"] | as_alice,
                tokens["alice"] | {"Impersonate-User": "boss"}, {"X-Remote-User": "boss"},
            ):  # fmt: skip
                await session.get(url, headers=headers)

    names = [getattr(each, "username", each) for each in seen]
    assert names == ["alice", UnauthorizedError, UnauthorizedError, "alice", ForbiddenError, UnauthorizedError]
    assert "oil" in getattr(seen[0], "groups")  # noqa: B009  # it may be an error's type
