"""The connection of a watch, over real sockets: TLS in any pieces, tunnels, a reader that does not read."""

import asyncio
import contextlib
import ssl
import tracemalloc

import pytest
from aiohttp import web

from scopedcache.api.configuration import Configuration
from scopedcache.api.http_transport import HTTPTransport
from scopedcache.api.identity.rest_config import Endpoint, Pem, RestConfig
from scopedcache.api.stream_connection import BUFFER_BYTES, HIGH_WATER_BYTES
from scopedcache.errors import TransportError
from tests.unit.api.certificates import Authority
from tests.unit.api.http_server import serving, stream_of

LINES = [b'{"line":%d}\n' % number for number in range(200)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def context_of(issued):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


@pytest.fixture
async def tls_server(authority):
    async with serving(context_of(authority.issue("kube"))) as made:
        made.handler = lambda request: stream_of(request, *LINES)
        yield made


@contextlib.asynccontextmanager
async def transport_to(url, authority, **endpoint):
    config = RestConfig(Endpoint(url, Pem(str(authority.certificate)), **endpoint))
    made = HTTPTransport(Configuration(lambda: config))
    yield made
    await made.close()


async def content_of(transport):
    async with transport.stream("/api/v1/pods", idle_timeout=5) as stream:
        return b"".join([chunk async for chunk in stream.chunks()])


@contextlib.asynccontextmanager
async def relay(port, *, piece=None, tls=None, tunnel=False, refuse=b""):
    """Stand between client and server: pass on what the server says in pieces, or be a proxy that makes tunnels."""
    asked = []
    writers = []

    async def pass_on(reader, writer, size):
        while data := await reader.read(size):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def serve(reader, writer):
        writers.append(writer)
        if tunnel:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(refuse or b"HTTP/1.1 200 Connection established\r\n\r\n")
            if refuse:
                writer.close()
                return
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            writers.append(back)
            await asyncio.gather(pass_on(reader, back, 2**16), pass_on(there, writer, piece or 2**16))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1], asked
        for writer in writers:
            writer.close()


def port_of(server):
    return int(server.url.rpartition(":")[2])


@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_TLS_may_come_in_any_pieces(tls_server, authority, piece):
    async with relay(port_of(tls_server), piece=piece) as (port, _):
        async with transport_to(f"https://127.0.0.1:{port}", authority) as transport:
            assert await content_of(transport) == b"".join(LINES)


async def test_many_streams_read_into_the_same_buffers_and_get_their_own(authority):
    async def own(request):
        line = request.query_string.encode() * 5000
        return await stream_of(request, *[line] * 40)

    async with serving(context_of(authority.issue("kube"))) as server:
        server.handler = own
        async with transport_to(server.url, authority) as transport:

            async def read(number):
                async with transport.stream("/", [("n", str(number))], idle_timeout=5) as stream:
                    return b"".join([chunk async for chunk in stream.chunks()])

            found = await asyncio.gather(*[read(number) for number in range(8)])
    assert found == [b"n=%d" % number * 200_000 for number in range(8)]


async def test_a_reader_that_does_not_read_stops_the_server(authority):
    sent = 0

    async def endless(request):
        nonlocal sent
        answer = await stream_of(request)
        while True:
            await answer.write(b"x" * BUFFER_BYTES)
            sent += BUFFER_BYTES

    async with serving(context_of(authority.issue("kube"))) as server:
        server.handler = endless
        async with transport_to(server.url, authority) as transport:
            async with transport.stream("/", idle_timeout=5) as stream:
                before, quiet = -1, 0
                while quiet < 50:  # turns of the loop in which nothing was sent any more
                    await asyncio.sleep(0)
                    quiet = quiet + 1 if sent == before else 0
                    before = sent
                first = await anext(stream.chunks())
    assert len(first) <= HIGH_WATER_BYTES + BUFFER_BYTES


@pytest.mark.parametrize("way", ["http", "https"])
async def test_a_proxy_makes_a_tunnel_and_the_server_behind_it_shows_its_own_certificate(tls_server, authority, way):
    outer = context_of(authority.issue("proxy")) if way == "https" else None
    async with relay(port_of(tls_server), tunnel=True, tls=outer) as (port, asked):
        proxied = {"proxy": f"{way}://127.0.0.1:{port}", "proxy_headers": (("Proxy-Authorization", "Basic eA=="),)}
        async with transport_to(tls_server.url, authority, **proxied) as transport:
            found = await content_of(transport)
    place = tls_server.url.removeprefix("https://").encode()
    assert found == b"".join(LINES)
    assert asked == [b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Basic eA==\r\n\r\n" % (place, place)]


async def test_a_proxy_that_makes_no_tunnel_is_named(tls_server, authority):
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    async with relay(0, tunnel=True, refuse=refusal) as (port, _):
        async with transport_to(tls_server.url, authority, proxy=f"http://127.0.0.1:{port}") as transport:
            with pytest.raises(TransportError, match=r"the proxy http://127.* refused to connect to https://.*: 403"):
                await content_of(transport)


async def test_a_proxy_that_is_not_there_is_named(tls_server, authority):
    async with transport_to(tls_server.url, authority, proxy="http://127.0.0.1:9") as transport:
        with pytest.raises(TransportError, match=r"^the proxy http://127.0.0.1:9 cannot be connected to: ") as caught:
            await content_of(transport)
    assert not caught.value.connected


@pytest.mark.parametrize(("shown", "expected", "fits"), [("DNS:kube.local", "kube.local", True), ("DNS:a", "b", False)])
async def test_the_name_that_the_kubeconfig_expects_is_what_counts(authority, shown, expected, fits):
    async with serving(context_of(authority.issue("kube", shown))) as server:
        server.handler = lambda request: stream_of(request, *LINES)
        async with transport_to(server.url, authority, server_name=expected) as transport:
            if fits:
                assert await content_of(transport) == b"".join(LINES)
                return
            with pytest.raises(TransportError, match="showed a certificate that the CA of the kubeconfig did not sign"):
                await content_of(transport)


async def test_a_server_that_ends_TLS_in_the_middle_of_a_body_broke_off(authority):
    async def half(request):
        answer = await stream_of(request, *LINES)
        request.transport.close()
        return answer

    async with serving(context_of(authority.issue("kube"))) as server:
        server.handler = half
        async with transport_to(server.url, authority) as transport:
            async with transport.stream("/", idle_timeout=5) as stream:
                chunks = stream.chunks()
                got = b""
                with pytest.raises(TransportError, match="broke off in the middle") as caught:
                    async for chunk in chunks:
                        got += chunk
    assert (got, caught.value.connected) == (b"".join(LINES), True)


async def test_an_idle_stream_over_TLS_keeps_little_memory_of_Python(authority):
    """asyncio alone would keep 256 KiB for each."""
    forever = asyncio.Event()

    async def endless(request):
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b"x" * BUFFER_BYTES)
        await forever.wait()
        return answer

    async with serving(context_of(authority.issue("kube"))) as server, contextlib.AsyncExitStack() as stack:
        server.handler = endless
        transport = await stack.enter_async_context(transport_to(server.url, authority))

        async def open_one():
            stream = await stack.enter_async_context(transport.stream("/", idle_timeout=60))
            chunks, size = stream.chunks(), 0
            while size < BUFFER_BYTES:
                size += len(await anext(chunks))

        await open_one()
        tracemalloc.start()
        for _ in range(10):
            await open_one()
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/scopedcache/*")])
        tracemalloc.stop()
        forever.set()
    assert sum(trace.size for trace in ours.traces) / 10 < 20_000
