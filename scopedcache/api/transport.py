"""The seam between the client and a way to the API server: bytes, and nothing about what they mean.

`api/http_transport.py` is the way over the network; the testing kit has one in process.
Every failure to get an answer is a `TransportError`; any answer at all is handed on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol

import attrs

Query = Sequence[tuple[str, str]]
# What is asked on the lane of the reviews goes over one connection, one after the other: the same server answers them
# all for as long as the connection lasts, whatever balancer stands between.
Lane = Literal["calls", "reviews"]

REQUEST_TIMEOUT_SECONDS: Final = 30.0
# Bookmarks come about once a minute: a watch silent for longer than this is dead (design §2, informer).
IDLE_TIMEOUT_SECONDS: Final = 75.0


@attrs.frozen
class Response:
    """A whole answer."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


class Stream(Protocol):
    """An answer that is read piece by piece.

    One that knows whether its next chunk is there already, so that taking it does not wait, may say so in an attribute
    `ready`; it saves a turn of the loop for an event that comes alone.
    """

    status: int
    content_type: str
    headers: Mapping[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield bytes as they come; end at the end of the stream.

        Raises:
            TransportError: the connection was lost, or was silent for longer than the idle time-out.
        """

    async def read(self) -> bytes:
        """Return what is left, at most 1 MiB of it: for the bodies of errors."""


class Transport(Protocol):
    """What the client needs of a way to the server. Implementations: HTTP here, in-process in `testing`."""

    async def request(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        lane: Lane = "calls",
    ) -> Response: ...

    def stream(
        self, path: str, query: Query = (), *, accept: str = "application/json", idle_timeout: float
    ) -> AbstractAsyncContextManager[Stream]: ...

    async def close(self) -> None: ...


class TokenSource(Protocol):
    """Where the bearer token of somebody else comes from."""

    async def token(self, refused: str | None = None) -> str:
        """Return it, renewed where it is due; `refused` is one that was answered 401.

        Raises:
            ForbiddenError, TransportError: it cannot be had, for want of a right or otherwise.
        """


@attrs.frozen
class Acting:
    """As whom a transport sends: by impersonation headers beside its own login, or by a token in the place of that."""

    headers: Sequence[tuple[str, str]] = ()
    tokens: TokenSource | None = None


class ActingTransport(Transport, Protocol):
    """A transport that can send as somebody else."""

    def acting_as(self, acting: Acting) -> Transport:
        """Return a transport to the same server that sends as somebody else. Waits for nothing, and reads no file.

        To close it leaves this one open; it ends with this one.

        Raises:
            ConfigurationError: this one acts as somebody else itself.
        """
