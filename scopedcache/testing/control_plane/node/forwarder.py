"""Carries connections to the cluster's own address on to the API server: what kube-proxy does for one Service.

`python -m scopedcache.testing.control_plane.node.forwarder --listen 10.9.0.1:443 --to 127.0.0.1:6443`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Final

CHUNK_BYTES: Final = 65_536


def parse(address: str) -> tuple[str, int]:
    """Return host and port."""
    host, _, port = address.rpartition(":")
    return host, int(port)


async def serve(listen: tuple[str, int], target: tuple[str, int]) -> None:
    """Forward until cancelled."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection(*target)
            with contextlib.closing(forth):
                ways = [asyncio.create_task(copy(reader, forth)), asyncio.create_task(copy(back, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)

    server = await asyncio.start_server(connected, *listen)
    async with server:
        await server.serve_forever()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until either side ends."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=parse, required=True)
    parser.add_argument("--to", type=parse, required=True)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.listen, options.to))


if __name__ == "__main__":
    main()
