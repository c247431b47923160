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
RECEIVED_BYTES_AT_MOST: Final = 16_384


class ShortConnections:
    """Makes the protocols of a server, and ends their connections.

    Args:
        make: makes the protocol that serves one connection.
    """

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._make = make
        self._open: dict[ShortConnection, None] = {}  # the oldest first

    def __call__(self) -> asyncio.Protocol:
        return ShortConnection(self._make(), self._opened, self._closed)

    def _opened(self, connection: ShortConnection) -> None:
        self._open[connection] = None
        if len(self._open) > CONNECTIONS_AT_MOST:
            next(iter(self._open)).abort()

    def _closed(self, connection: ShortConnection) -> None:
        self._open.pop(connection, None)

    def __len__(self) -> int:
        return len(self._open)


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

    def abort(self) -> None:
        """End the connection at once."""
        self._closed(self)
        if self._transport is not None:
            self._transport.abort()
