"""HTTP/1.1 over real sockets on loopback: time-outs, lost connections, other servers, credentials that change."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from scopedcache.api.configuration import Configuration
from scopedcache.api.http_transport import BODY_LIMIT_BYTES, HTTPTransport
from scopedcache.api.identity.rest_config import Endpoint, RestConfig, TokenFile
from scopedcache.errors import TransportError
from tests.unit.api.http_server import always, configured, given_for, serving, stream_of
from tests.unit.informer.fake_transport import bytes_of, status

SELECTORS = [
    ("labelSelector", "a in (b,c),!d,e!=f"),
    ("fieldSelector", "spec.nodeName=n+1 &é"),
    ("continue", "a/b+c=="),
]


@pytest.fixture
async def server():
    async with serving() as made:
        yield made


@pytest.fixture
async def transport(server):
    made = HTTPTransport(configured(server.url))
    yield made
    await made.close()


# -- requests --------------------------------------------------------------------------------------------------------


async def test_what_is_asked_arrives_as_it_was_meant(server, transport):
    server.handler = always({"kind": "PodList"})
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%2Fb"
    answer = await transport.request("PATCH", path, SELECTORS, body=b"{}", content_type="application/merge-patch+json")
    request = server.seen[0]
    assert (request.method, request.raw_path.partition("?")[0], list(request.query.items())) == (
        "PATCH",
        path,
        SELECTORS,
    )
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", b'{"kind":"PodList"}')


async def test_the_address_may_have_a_path(server):
    server.handler = always({})
    transport = HTTPTransport(configured(server.url + "/k8s/clusters/c-1/"))
    await transport.request("GET", "/api/v1/pods")
    await transport.close()
    assert server.seen[0].path == "/k8s/clusters/c-1/api/v1/pods"


async def test_a_redirect_is_not_followed(server, transport):
    server.handler = always(b"", 302, headers={"Location": "https://elsewhere"})
    assert (await transport.request("GET", "/")).status == 302


async def test_an_answer_that_does_not_come_is_a_TransportError(server, transport):
    forever = asyncio.Event()

    async def silence(request):
        await forever.wait()

    server.handler = silence
    with pytest.raises(TransportError, match="did not answer in time"):
        await transport.request("GET", "/", timeout=0.05)


async def test_a_connection_lost_before_or_within_the_answer_is_a_TransportError(server, transport):
    async def half(request):
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.close()
        return answer

    async def none(request):
        request.transport.abort()

    for handler in (none, half):
        server.handler = handler
        with pytest.raises(TransportError):
            await transport.request("POST", "/", body=b"{}")


async def test_nobody_there_is_a_TransportError_that_names_the_place():
    transport = HTTPTransport(configured("http://127.0.0.1:9"))
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:9"):
        await transport.request("GET", "/")
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:9"):
        async with transport.stream("/", idle_timeout=1):
            pass
    await transport.close()


async def test_a_server_that_speaks_no_HTTP_is_a_TransportError():
    async def greet(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        transport = HTTPTransport(configured(f"http://127.0.0.1:{port}"))
        with pytest.raises(TransportError):
            await transport.request("GET", "/")
        await transport.close()


async def test_a_closed_client_says_so_instead_of_failing_oddly(server, transport):
    await transport.close()
    with pytest.raises(TransportError, match="this client is closed"):
        await transport.request("GET", "/")
    with pytest.raises(TransportError, match="this client is closed"):
        async with transport.stream("/", idle_timeout=1):
            pass


# -- streams ---------------------------------------------------------------------------------------------------------


async def test_a_stream_is_read_to_its_end(server, transport):
    server.handler = lambda request: stream_of(request, b"one\n", b"two\n")
    async with transport.stream("/", idle_timeout=5) as stream:
        assert b"".join([chunk async for chunk in stream.chunks()]) == b"one\ntwo\n"


async def test_a_silent_stream_is_cut(server, transport):
    forever = asyncio.Event()

    async def stall(request):
        answer = await stream_of(request, b"one\n")
        await forever.wait()
        return answer

    server.handler = stall
    async with transport.stream("/", idle_timeout=0.1) as stream:
        chunks = stream.chunks()
        assert await anext(chunks) == b"one\n"
        with pytest.raises(TransportError, match="did not answer in time"):
            await anext(chunks)


async def test_a_stream_that_breaks_off_is_a_TransportError(server, transport):
    async def broken(request):
        answer = await stream_of(request, b'{"type":"AD')
        request.transport.abort()
        return answer

    server.handler = broken
    async with transport.stream("/", idle_timeout=5) as stream:
        with pytest.raises(TransportError):
            async for _ in stream.chunks():
                pass


async def test_the_body_of_a_refusal_is_read_whole_whatever_its_pieces(server, transport):
    """A Status cut in two would not be read as one, and the 403 would pass for that of a proxy."""
    body = bytes_of(status(403, "Forbidden", "no" * 50))
    written = asyncio.Event()

    async def in_pieces(request):
        answer = await stream_of(request, body[:20], code=403)
        await written.wait()
        await answer.write(body[20:])
        return answer

    server.handler = in_pieces
    async with transport.stream("/", idle_timeout=5) as stream:
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        written.set()
        assert await reading == body


async def test_no_more_than_a_mebibyte_of_a_refusal_is_read(server, transport):
    server.handler = lambda request: stream_of(request, *[b"x" * 2**18] * 6, code=500)
    async with transport.stream("/", idle_timeout=5) as stream:
        assert len(await stream.read()) == BODY_LIMIT_BYTES


async def test_leaving_a_stream_closes_its_connection_at_once():
    gone = asyncio.Event()

    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"
        )
        await reader.read()  # ends with the connection
        gone.set()
        writer.close()

    async with await asyncio.start_server(endless, "127.0.0.1", 0) as listening:
        transport = HTTPTransport(configured(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"))
        async with transport.stream("/", idle_timeout=5) as stream:
            assert await anext(stream.chunks()) == b"one\n"
        async with asyncio.timeout(5):
            await gone.wait()
        await transport.close()


async def test_giving_up_while_a_stream_opens_closes_its_connection_too():
    asked, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()  # ends with the connection
        gone.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        transport = HTTPTransport(configured(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"))
        opening = asyncio.ensure_future(transport.stream("/", idle_timeout=60).__aenter__())
        async with asyncio.timeout(5):
            await asked.wait()
            opening.cancel()
            await gone.wait()
        assert opening.cancelled()
        await transport.close()


async def test_closing_a_client_ends_its_streams_with_a_TransportError(server, transport):
    forever = asyncio.Event()

    async def endless(request):
        answer = await stream_of(request, b"one\n")
        await forever.wait()
        return answer

    server.handler = endless
    async with transport.stream("/", idle_timeout=5) as stream:
        chunks = stream.chunks()
        await anext(chunks)
        reading = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(TransportError):
            await reading
    forever.set()


async def test_requests_and_streams_go_through_the_proxy(server):
    server.handler = always({})
    transport = HTTPTransport(configured("http://kube.invalid:6443", proxy=server.url.replace("//", "//me:pw@")))
    await transport.request("GET", "/api/v1/pods", [("limit", "1")])
    async with transport.stream("/api/v1/nodes", idle_timeout=5) as stream:
        assert stream.status == 200
    await transport.close()
    assert [request.raw_path for request in server.seen] == [
        "http://kube.invalid:6443/api/v1/pods?limit=1",
        "http://kube.invalid:6443/api/v1/nodes",
    ]
    assert {request.headers["Proxy-Authorization"] for request in server.seen} == {"Basic bWU6cHc="}


async def test_a_hundred_and_fifty_watches_are_open_at_the_same_time(server, transport):
    """A pool of 100 connections would let the 101st wait for ever, without a word."""
    forever = asyncio.Event()

    async def endless(request):
        answer = await stream_of(request, b"one\n")
        await forever.wait()
        return answer

    server.handler = endless
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(150):
            stream = await stack.enter_async_context(transport.stream("/", idle_timeout=30))
            assert await anext(stream.chunks()) == b"one\n"
        assert server.open == 150
        forever.set()


# -- credentials -----------------------------------------------------------------------------------------------------


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    return file


@pytest.fixture
async def with_token(server, token):
    config = RestConfig(Endpoint(server.url), TokenFile(str(token)))
    made = HTTPTransport(Configuration(lambda: config))
    yield made
    await made.close()


def only_for(expected):
    async def handler(request):
        ok = request.headers.get("Authorization") == f"Bearer {expected}"
        body = status(200) if ok else status(401, "Unauthorized", "Unauthorized")
        return web.Response(body=bytes_of(body), status=200 if ok else 401, content_type="application/json")

    return handler


async def test_a_401_is_tried_once_more_with_the_new_token(server, with_token, token):
    server.handler = only_for("old")
    await with_token.request("GET", "/")
    token.write_text("new")
    server.handler = only_for("new")
    assert (await with_token.request("GET", "/")).status == 200
    async with with_token.stream("/", idle_timeout=5) as stream:
        assert stream.status == 200


async def test_a_stream_that_is_answered_401_is_tried_once_more_and_the_first_one_is_closed(server, with_token, token):
    server.handler = only_for("new")
    await with_token.request("GET", "/")  # the old token is now the one remembered
    token.write_text("new")
    async with with_token.stream("/", idle_timeout=5) as stream:
        assert stream.status == 200


async def test_a_401_without_new_credentials_is_the_answer(server, with_token):
    server.handler = only_for("other")
    assert (await with_token.request("GET", "/")).status == 401
    assert len(server.seen) == 1
    async with with_token.stream("/", idle_timeout=5) as stream:
        assert stream.status == 401


async def test_a_server_that_moved_is_found_with_the_new_configuration(server):
    async with serving() as other:
        server.handler, other.handler = always(status(401), 401), always({})
        addresses = iter([server.url])
        clock = [0.0]
        configuration = Configuration(lambda: given_for(next(addresses, other.url)), timer=lambda: clock[0])
        transport = HTTPTransport(configuration)
        clock[0] += 60
        answer = await transport.request("GET", "/api/v1/pods")
        await transport.close()
    assert (answer.status, len(server.seen), [request.path for request in other.seen]) == (200, 1, ["/api/v1/pods"])
