"""Whether a request that got no answer may have been heard: what a watch makes of it differs."""

import asyncio
import socket

import pytest

from scopedcache.api.http_transport import HTTPTransport
from scopedcache.errors import TransportError
from tests.unit.api.http_server import configured


async def trouble_of(port):
    transport = HTTPTransport(configured(f"http://127.0.0.1:{port}"))
    try:
        with pytest.raises(TransportError) as caught:
            async with transport.stream("/api/v1/pods", idle_timeout=0.2):
                raise AssertionError("there is no answer")
        return caught.value
    finally:
        await transport.close()


async def test_where_nobody_listens_there_was_no_connection():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    assert not (await trouble_of(port)).connected


@pytest.mark.parametrize("way", ["closes", "hangs"])
async def test_who_takes_a_request_and_gives_no_answer_was_connected(way):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if way == "hangs":
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        error = await trouble_of(server.sockets[0].getsockname()[1])

    assert error.connected
