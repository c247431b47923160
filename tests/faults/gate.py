"""What stands on TCP between an operator and real API servers: it chooses one per connection, and cuts connections."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final, Literal

import attrs

from tests.acceptance.balancer import CHUNK_BYTES, Balancer, Side

# Linger on, for no time: closing sends RST.
NO_LINGER: Final = struct.pack("ii", 1, 0)

Cut = Literal["RST", "FIN"]


@attrs.define(eq=False)
class Gate(Balancer):
    """A balancer that cuts.

    Attributes:
        cut: how each connection ends in the middle of the next bytes that the server sends; None: it goes on.
        cuts: how many it ended.
    """

    cut: Cut | None = None
    cuts: int = 0

    async def answer(self, server: Side, client: Side) -> None:
        reader, writer = server[0], client[1]
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.cut is not None:
                    self.cuts += 1
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    if self.cut == "RST":
                        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                    return
                writer.write(data)
                await writer.drain()
