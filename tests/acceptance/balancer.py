"""A load balancer on loopback: each new connection goes to the next API server that takes it.

What stands in front of a highly available control plane: replicas that know of a change at different moments, one that
just restarted beside one that did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Self
from urllib.parse import urlsplit

import attrs

CHUNK_BYTES: Final = 65_536
Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@attrs.define(eq=False)
class Balancer:
    """Passes bytes on, round-robin. TLS goes through: the servers' certificate is for the address, not the port.

    `url` is where it listens, once it does.
    """

    upstreams: Sequence[tuple[str, int]]
    connections: int = 0
    url: str = ""
    _pipes: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    @classmethod
    def to(cls, urls: Sequence[str]) -> Self:
        """Return one that leads to these servers."""
        return cls([(parts.hostname or "", parts.port or 443) for parts in map(urlsplit, urls)])

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Listen on a free port for the length of a block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Listen until told to stop."""
        async with self.listening():
            started.set()
            await stop.wait()

    async def answer(self, server: Side, client: Side) -> None:
        """Pass on what a server says."""
        await pour(server[0], client[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await self._connect()
        if upstream is None:
            writer.close()
            return
        pipe = asyncio.ensure_future(self._pipe((reader, writer), upstream))
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)

    async def _connect(self) -> Side | None:
        for _ in self.upstreams:
            host, port = self.upstreams[self.connections % len(self.upstreams)]
            self.connections += 1
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, port)
        return None

    async def _pipe(self, client: Side, server: Side) -> None:
        ways = [asyncio.ensure_future(pour(client[0], server[1])), asyncio.ensure_future(self.answer(server, client))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for writer in (client[1], server[1]):
                writer.close()


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until either side ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


@contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """Run a balancer in front of API servers in a thread of its own; yield its URL."""
    started, balancer = threading.Event(), Balancer.to(urls)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = balancer.serve(started, stop)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,), name="balancer", daemon=True)
    thread.start()
    try:
        if not started.wait(5.0):
            raise RuntimeError("the balancer did not start")
        yield balancer.url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5.0)
        loop.close()
