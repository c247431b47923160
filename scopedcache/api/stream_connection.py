"""One connection that carries one watch: from the socket to the bytes of a body, with no buffer of its own.

asyncio keeps 256 KiB for each TLS connection and aiohttp copies what comes three times; of a watch, which is idle for
most of its life, both would be most of the cost (docs/decisions/0017-own-streams.md). Here the buffers belong to all
connections of a loop, because whatever is read is consumed before the call that brought it returns. The protocol is
asyncio's `BufferedProtocol`; TLS is `ssl.SSLObject` over memory that is empty between two calls; HTTP is read by
`http_response`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Self

import attrs
from aiohappyeyeballs import start_connection
from multidict import CIMultiDict

from .http_response import Body, BrokenOffError, Head, HeadReader, NotHTTPError, body_of

CONNECT_TIMEOUT_SECONDS: Final = 10.0
# As long as asyncio's own: a machine that opens thousands of watches has other things to do than this handshake.
HANDSHAKE_TIMEOUT_SECONDS: Final = 60.0
# How long one address has until the next is tried beside it (RFC 8305).
EYEBALLS_DELAY_SECONDS: Final = 0.25
BUFFER_BYTES: Final = 2**18
# What may wait for its reader before the socket is read no further.
HIGH_WATER_BYTES: Final = 2**19
# A record of TLS holds no more.
_RECORD_BYTES: Final = 2**14

Stage = Literal["connect to proxy", "connect", "tunnel", "refused by proxy", "answer", "body"]


class StreamError(Exception):
    """A stream could not be opened, or was lost.

    Attributes:
        stage: how far it had come.
        cause: what the system, the time or the peer did; None where we closed it ourselves.
        status: what a proxy answered.
    """

    def __init__(self, stage: Stage, cause: Exception | None, status: int = 0) -> None:
        super().__init__(stage)
        self.stage: Final = stage
        self.cause: Final = cause
        self.status: Final = status


@attrs.frozen
class Peer:
    """Where a TCP connection leads; `tls` is None where it is plain."""

    host: str
    port: int
    tls: ssl.SSLContext | None = attrs.field(default=None, eq=id)


class SharedBuffers:
    """What the connections of one loop read into. Nothing stays in here between two calls."""

    def __init__(self) -> None:
        self.socket = memoryview(bytearray(BUFFER_BYTES))
        self.plain = bytearray(BUFFER_BYTES)
        self.plain_view = memoryview(self.plain)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


class StreamConnection(asyncio.BufferedProtocol):
    """One request, and its answer as it comes; made by `connect`.

    Its life: connected, perhaps through a tunnel; shaken hands; asked; head; body; ended. What goes wrong at any time
    is kept as a StreamError, and raised to whoever waits, or waits next, once what came before was taken.
    """

    def __init__(self, buffers: SharedBuffers, on_closed: Callable[[StreamConnection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffers = buffers
        self._on_closed = on_closed
        self._transport: Any = None
        self._tls: ssl.SSLObject | None = None
        self._shaken = True
        self._stage: Stage = "connect"
        self._head_reader: HeadReader | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._parts: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = False
        self._error: StreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._closed: asyncio.Future[None] | None = None

    @classmethod
    async def connect(
        cls, peer: Peer, buffers: SharedBuffers, on_closed: Callable[[StreamConnection], None], *, stage: Stage
    ) -> Self:
        """Connect; TLS with the peer is asyncio's here, see `start_tls` for our own.

        Raises:
            StreamError: nobody answered.
        """
        made = cls(buffers, on_closed)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                connected = await start_connection(await _addresses(peer), happy_eyeballs_delay=EYEBALLS_DELAY_SECONDS)
            name = peer.host if peer.tls else None
            try:
                await loop.create_connection(lambda: made, sock=connected, ssl=peer.tls, server_hostname=name)
            except BaseException:
                connected.close()
                raise
        except (OSError, ssl.CertificateError) as error:
            failure = StreamError(stage, error)
        else:
            return made
        made.close()
        raise failure

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Shake hands with the server, which is whoever is at the other end by now.

        Raises:
            StreamError: it is not whom we trust, or it gave up.
        """
        buffers = self._buffers
        self._stage = "connect"
        self._tls = context.wrap_bio(buffers.incoming, buffers.outgoing, server_hostname=server_name)
        self._shaken = False
        self._shake()
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_SECONDS):
                await self._until(lambda: self._shaken)
            return
        except TimeoutError as error:
            failure = StreamError("connect", error)
        raise failure

    async def ask(self, request: bytes, *, idle_timeout: float, stage: Stage = "answer") -> Head:
        """Send a request and return the head of its answer; cut when no byte came for `idle_timeout` seconds.

        Raises:
            StreamError: none came.
        """
        self._stage = stage
        self._head_reader, self._head = HeadReader(), None
        self._watch_silence(idle_timeout)
        self._write(request)
        await self._until(lambda: self._head is not None)
        assert self._head is not None
        return self._head

    def leave_tunnel(self) -> None:
        """The answer of the proxy was read: from here on the server is at the other end."""
        self._stop_watching()
        self._body, self._head = None, None

    @property
    def ready(self) -> bool:
        """Tell whether `read` returns, or raises, without a wait."""
        return bool(self._parts) or self._error is not None or (self._body is not None and self._body.ended)

    async def read(self) -> bytes | None:
        """Return what came of the body since; None at its end.

        Raises:
            StreamError: it did not come to its end.
        """
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._body is not None and self._body.ended:
                return None
            await self._wait()
        parts, self._parts, self._waiting_bytes = self._parts, [], 0
        if self._paused:
            self._paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close it at once. Whoever waits is told."""
        self._fail(None)
        self._stop_watching()
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._tls is not None and self._shaken:
            self._say_goodbye(transport)
        transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        if self._closed is not None:
            await asyncio.shield(self._closed)

    # -- what asyncio tells --------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        if self._error is not None:  # given up meanwhile
            transport.abort()
            return
        self._transport = transport
        self._closed = self._loop.create_future()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)
        self._transport = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        self._on_closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffers.socket

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = self._loop.time()
        if self._tls is None:
            self._take(self._buffers.socket, nbytes)
        elif self._transport is not None:
            buffers = self._buffers
            buffers.incoming.write(buffers.socket[:nbytes])
            try:
                if self._shaken or self._shake():
                    self._decrypt(self._tls)
            finally:
                if buffers.incoming.pending:  # of a connection that is no more: the next must not read it
                    buffers.incoming.read()

    def eof_received(self) -> bool:
        self._end(None)
        return False

    # -- TLS -----------------------------------------------------------------------------------------------------

    def _shake(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._fail(error)
            return False
        finally:
            self._flush()
        self._shaken = True
        self._wake()
        return True

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        read: Callable[[int, memoryview], int] = tls.read  # type: ignore[assignment]  # with a buffer, it returns a number
        view, at = self._buffers.plain_view, 0
        try:
            while count := read(_RECORD_BYTES, view[at:] if at else view):
                at += count
                if at > BUFFER_BYTES - _RECORD_BYTES:
                    self._take(view, at)
                    at = 0
        except ssl.SSLWantReadError:
            count = 1
        except ssl.SSLError as error:
            self._take(view, at)
            self._end(None if isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError) else error)
            return
        if at:
            self._take(view, at)
        if self._buffers.outgoing.pending:
            self._flush()
        if not count:
            self._end(None)

    def _flush(self) -> None:
        """Send what TLS has to say."""
        data = self._buffers.outgoing.read()
        if data and self._transport is not None:
            self._transport.write(data)

    def _write(self, data: bytes) -> None:
        if self._error is not None or self._transport is None:
            return
        if self._tls is None:
            self._transport.write(data)
            return
        self._tls.write(data)
        self._flush()

    def _say_goodbye(self, transport: Any) -> None:
        assert self._tls is not None
        with contextlib.suppress(ssl.SSLError, OSError, ValueError):
            self._tls.unwrap()
        data = self._buffers.outgoing.read()
        if data:
            transport.write(data)

    # -- the answer ----------------------------------------------------------------------------------------------

    def _take(self, view: memoryview, size: int) -> None:
        """Take in bytes of the answer: those of a shared buffer, which is another's after this call."""
        if self._error is not None or not size:
            return
        try:
            if self._body is not None:
                self._take_body(view.obj, view, 0, size)  # type: ignore[arg-type]  # both are bytearrays
            elif self._head_reader is not None:
                found = self._head_reader.take(view[:size])
                if found is not None:
                    self._head, rest = found
                    self._head_reader = None
                    self._body = body_of(self._head) if self._stage != "tunnel" else None
                    if self._body is not None:
                        self._stage = "body"
                        self._take_body(rest, memoryview(rest), 0, len(rest))
                    self._wake()
            else:
                raise NotHTTPError  # nobody has asked for anything
        except NotHTTPError as error:
            self._fail(error)

    def _take_body(self, buffer: bytes | bytearray, view: memoryview, start: int, stop: int) -> None:
        body = self._body
        assert body is not None
        spans = body.cut(buffer, start, stop)
        if spans:
            part = (
                bytes(view[spans[0][0] : spans[0][1]]) if len(spans) == 1 else b"".join([view[a:b] for a, b in spans])
            )
            self._parts.append(part)
            self._waiting_bytes += len(part)
            if self._waiting_bytes > HIGH_WATER_BYTES and not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        if spans or body.ended:
            self._wake()

    def _end(self, error: Exception | None) -> None:
        """Take in that nothing more comes."""
        if self._error is not None or (self._body is not None and self._body.ended):
            return
        try:
            if error is None and self._body is not None:
                self._body.end()
                self._wake()
                return
        except BrokenOffError as broken:
            error = broken
        self._fail(error or BrokenOffError())

    # -- who waits -----------------------------------------------------------------------------------------------

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            if self._error is not None:
                raise self._error
            await self._wait()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, cause: Exception | None) -> None:
        if self._error is None and not (self._body is not None and self._body.ended):
            self._error = StreamError(self._stage, cause)
            self._wake()

    # -- silence -------------------------------------------------------------------------------------------------

    def _watch_silence(self, seconds: float) -> None:
        """Fail once nothing was heard for so long; one timer, set anew only when it fires."""
        self._heard = self._loop.time()
        self._silence = self._loop.call_later(seconds, self._look_for_silence, seconds)

    def _look_for_silence(self, seconds: float) -> None:
        left = seconds if self._paused else self._heard + seconds - self._loop.time()
        if left <= 0:
            self._silence = None
            self._fail(TimeoutError())
        else:
            self._silence = self._loop.call_later(left, self._look_for_silence, seconds)

    def _stop_watching(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


async def _addresses(peer: Peer) -> Any:
    """Return the addresses of a peer; an address needs no look-up, and no thread for it."""
    try:
        return socket.getaddrinfo(
            peer.host, peer.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)


def request_text(method: str, target: str, headers: Mapping[str, str] | CIMultiDict[str]) -> bytes:
    """Return the text of a request without a body.

    Raises:
        ValueError: a header holds a line break; what it holds is not said.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("a header of the request holds a line break")
    return "\r\n".join(lines).encode()
