"""Limits on who connects to the health port: how many, for how long, and how much each may send.

A probe or a scrape is one short request. Whoever sends half of one, or nothing, would hold a file descriptor that a
watch needs. Every connection therefore ends after some seconds whatever it does, the oldest makes room for a new one,
and one that sends more than any request of ours is long is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

CONNECTIONS_AT_MOST: Final = 64
LIFE_SECONDS: Final = 10.0
# Connections that were let live on: pages that somebody looks at.
KEPT_AT_MOST: Final = 16
RECEIVED_BYTES_AT_MOST: Final = 16_384


class ShortConnections:
    """Makes the protocols of a server, and ends their connections.

    Args:
        make: makes the protocol that serves one connection.
    """

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._make = make
        self._open: dict[ShortConnection, None] = {}  # the oldest first
        self._kept: dict[ShortConnection, None] = {}

    def __call__(self) -> asyncio.Protocol:
        return ShortConnection(self._make(), self._opened, self._closed)

    def keep(self, transport: asyncio.BaseTransport) -> None:
        """Let a connection live on: it has shown that it may. The oldest of too many makes room."""
        for connection in [one for one in self._open if one.is_over(transport)]:
            del self._open[connection]
            self._kept[connection] = None
            connection.keep()
            if len(self._kept) > KEPT_AT_MOST:
                next(iter(self._kept)).abort()

    def _opened(self, connection: ShortConnection) -> None:
        self._open[connection] = None
        if len(self._open) > CONNECTIONS_AT_MOST:
            next(iter(self._open)).abort()

    def _closed(self, connection: ShortConnection) -> None:
        self._open.pop(connection, None)
        self._kept.pop(connection, None)

    def __len__(self) -> int:
        return len(self._open) + len(self._kept)


class ShortConnection(asyncio.Protocol):
    """One connection, which another protocol serves while the limits hold."""

    def __init__(
        self,
        served: asyncio.Protocol,
        opened: Callable[[ShortConnection], None],
        closed: Callable[[ShortConnection], None],
    ) -> None:
        self._served = served
        self._opened = opened
        self._closed = closed
        self._received = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(LIFE_SECONDS, self.abort)
        self._served.connection_made(transport)
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > RECEIVED_BYTES_AT_MOST:
            self.abort()
        else:
            self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def pause_writing(self) -> None:
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._served.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._closed(self)
        self._served.connection_lost(exc)

    def is_over(self, transport: asyncio.BaseTransport) -> bool:
        return self._transport is transport

    def keep(self) -> None:
        """Do not end it for its age."""
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """End the connection at once."""
        self._closed(self)
        if self._transport is not None:
            self._transport.abort()
