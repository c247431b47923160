"""A load balancer on loopback: each new connection goes to the next API server that takes it.

What stands in front of a highly available control plane: replicas that know of a change at different moments, one that
just restarted beside one that did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import attrs


@attrs.define(eq=False)
class Balancer:
    """Passes bytes on, round-robin. TLS goes through: the servers' certificate is for the address, not the port."""

    upstreams: Sequence[tuple[str, int]]
    connections: int = 0
    _pipes: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    async def serve(self, started: threading.Event, ports: list[int], stop: asyncio.Event) -> None:
        """Listen on a free port until told to stop."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await self._connect()
        if upstream is None:
            writer.close()
            return
        pipe = asyncio.ensure_future(self._pipe((reader, writer), upstream))
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self.upstreams:
            host, port = self.upstreams[self.connections % len(self.upstreams)]
            self.connections += 1
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, port)
        return None

    async def _pipe(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = [asyncio.ensure_future(pour(client[0], server[1])), asyncio.ensure_future(pour(server[0], client[1]))]
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
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """Run a balancer in front of API servers in a thread of its own; yield its URL."""
    upstreams = [(parts.hostname or "", parts.port or 443) for parts in map(urlsplit, urls)]
    started, ports = threading.Event(), list[int]()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    serving = Balancer(upstreams).serve(started, ports, stop)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,), name="balancer", daemon=True)
    thread.start()
    try:
        if not started.wait(5.0):
            raise RuntimeError("the balancer did not start")
        yield f"https://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5.0)
        loop.close()
