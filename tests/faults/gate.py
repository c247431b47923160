"""What stands on TCP between an operator and real API servers: it chooses one per connection, and cuts connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal
from urllib.parse import urlsplit

import attrs

CHUNK_BYTES: Final = 65_536
# Linger on, for no time: closing sends RST.
NO_LINGER: Final = struct.pack("ii", 1, 0)

Cut = Literal["RST", "FIN"]
Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@attrs.define(eq=False)
class Gate:
    """Passes bytes on, round-robin; a server that takes no connection is passed over. TLS goes through.

    Attributes:
        cut: how each connection ends in the middle of the next bytes that the server sends; None: it goes on.
        cuts: how many it ended.
    """

    servers: Sequence[tuple[str, int]]
    cut: Cut | None = None
    cuts: int = 0
    port: int = 0
    _turns: int = 0
    _pipes: set[asyncio.Task[None]] = attrs.field(factory=set)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Gate]:
        """Listen on a free port for the length of a block."""
        listening = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)

    @classmethod
    def to(cls, urls: Sequence[str]) -> Gate:
        """Return one that leads to these servers."""
        return cls([(parts.hostname or "", parts.port or 443) for parts in map(urlsplit, urls)])

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = asyncio.current_task()
        assert pipe is not None
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)
        server = await self._connect()
        if server is None:
            writer.close()
            return
        await self._pipe((reader, writer), server)

    async def _connect(self) -> Side | None:
        for _ in self.servers:
            host, port = self.servers[self._turns % len(self.servers)]
            self._turns += 1
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, port)
        return None

    async def _pipe(self, client: Side, server: Side) -> None:
        ways = [asyncio.ensure_future(_pour(client[0], server[1])), asyncio.ensure_future(self._answer(server, client))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for writer in (client[1], server[1]):
                writer.close()

    async def _answer(self, server: Side, client: Side) -> None:
        reader, writer = server[0], client[1]
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.cut is not None:
                    await self._break(writer, data)
                    return
                writer.write(data)
                await writer.drain()

    async def _break(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send half of it, and end the connection."""
        self.cuts += 1
        writer.write(data[: len(data) // 2])
        await writer.drain()
        if self.cut == "RST":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
