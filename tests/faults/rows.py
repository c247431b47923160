"""The faults, as a table of data: what goes wrong, what may be seen of it, and how soon it is over."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs

from scopedcache.api.transport import Response
from scopedcache.errors import TransportError
from scopedcache.testing import virtual_time
from scopedcache.testing.embedded import Fault

from .credentials import expired_token
from .gate import Cut
from .servers import OPERATOR, Embedded, Real
from .stage import KINDS, Stage
from .wire import JSON, Bend, Chunks, status_body

Act = Callable[[Stage], Awaitable[None]]
BOTH: Final = ("embedded", "real")
# A review comes round in 5.5 s, its answer wakes watches within a second, and another second is the list's.
AFTER_OUTAGE_SECONDS: Final = 8.0
# The longest pause of the back-off, and a second to spare: where the server answers everybody else, it is hammered
# by nobody.
BACKOFF_SECONDS: Final = 46.0
VERSIONS_BACK: Final = 300
# Changes elsewhere by which a restored server has written its way past what was seen, before it is asked.
OVERTAKEN_BY: Final = 30


@attrs.frozen
class Row:
    """One fault.

    Attributes:
        fault: does it, from its beginning to its end.
        reads: what readers may be told meanwhile.
        recovery: seconds after its end in which the cache is the server again.
        rate: requests per second meanwhile, at most; an operator at rest sends 0.4.
        on: the servers it can be done on.
        members: API servers behind a balancer.
        places: namespaces that the operator works in.
        denies: rights are lost by it, and that is right.
        by_certificate: on the real server, the operator shows a client certificate instead of a token.
        through_gate: there, it connects through what can cut its connections.
    """

    name: str
    fault: Act
    reads: tuple[str, ...] = ("served",)
    recovery: float = AFTER_OUTAGE_SECONDS
    rate: float = 4.0
    on: tuple[str, ...] = ("embedded",)
    members: int = 1
    places: int = 1
    denies: bool = False
    by_certificate: bool = False
    through_gate: bool = False


# -- what happens on the wire ----------------------------------------------------------------------------------------


async def bent(stage: Stage, *, make: Callable[[], Bend], seconds: float = 20.0, cut: bool = True) -> None:
    """Bend the wire for some seconds, changes in the middle; watches end first, so that they meet it."""
    with stage.wire.bent(make()):
        if cut:
            await end_watches(stage)
        await stage.pause(seconds / 2)
        await stage.change()
        await stage.pause(seconds / 2)


async def end_watches(stage: Stage) -> None:
    """End all watches, as far as the server lets us; on the wire where it does not."""
    if isinstance(stage.server, Embedded):
        await stage.server.end_watches()
    else:
        stage.wire.hang_up()


def answering(code: int, body: bytes, kind: str = JSON, **headers: str) -> Callable[[], Bend]:
    """Answer lists and watches with this."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: Bend(answer=Response(code, kind, named, body))


def everything(code: int, body: bytes, kind: str = JSON) -> Callable[[], Bend]:
    """Answer everything with this, reviews too."""
    return lambda: Bend(others=True, answer=Response(code, kind, {}, body))


def raising(error: Callable[[], Exception], *, everything: bool = True) -> Callable[[], Bend]:
    return lambda: Bend(others=everything, error=error)


def carrying(make: Callable[[Chunks], Chunks], times: float = float("inf")) -> Callable[[], Bend]:
    return lambda: Bend(lists=False, chunks=make, times=times)


def error_event(code: int, reason: str) -> Callable[[], Bend]:
    """Accept a watch, send an ERROR event, and end it: client and server may go on like that."""
    line = b'{"type":"ERROR","object":' + status_body(code, reason) + b"}\n"
    return lambda: Bend(lists=False, answer=Response(200, JSON, {}, line))


def lost(cause: OSError, words: str) -> Callable[[], Exception]:
    """Return what makes the error of a connection that does not come about."""

    def make() -> Exception:
        error = TransportError(words)
        error.__cause__ = cause
        return error

    return make


def lines_of(chunk_bend: Callable[[list[bytes]], list[bytes]]) -> Callable[[Chunks], Chunks]:
    """Return what bends the lines of a watch; a chunk of either server ends with a line."""

    async def bend(chunks: Chunks) -> Chunks:
        rest = b""
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in chunk_bend([line + b"\n" for line in lines if line]):
                yield line

    return bend


def padded(size: int) -> Callable[[Chunks], Chunks]:
    """Make the first line of each watch so long."""
    pad = b'"object":{"pad":"' + b"x" * size + b'",'

    async def bend(chunks: Chunks) -> Chunks:
        begun = False
        async for chunk in chunks:
            yield chunk if begun else chunk.replace(b'"object":{', pad, 1)
            begun = True

    return bend


def backward() -> Callable[[Chunks], Chunks]:
    """Tell every line again, and the first one again after each."""
    kept: list[bytes] = []

    def bend(lines: list[bytes]) -> list[bytes]:
        told = []
        for line in lines:
            if b'"BOOKMARK"' not in line:
                kept.append(line)
            told += [line, *kept[:1]]
        return told

    return lines_of(bend)


async def torn(chunks: Chunks) -> Chunks:
    """End well in the middle of a line."""
    async for chunk in chunks:
        yield chunk[: len(chunk) // 2]
        return


async def cut(chunks: Chunks) -> Chunks:
    """Lose the connection in the middle of a line."""
    async for chunk in chunks:
        yield chunk[: len(chunk) // 2]
        raise TransportError("connection reset", connected=True)


async def garbage(chunks: Chunks) -> Chunks:
    """Send what is no event."""
    async for chunk in chunks:
        yield b"\x00\xff\xfe not an event {{{\n"
        yield chunk


def dripping() -> Bend:
    """Send single bytes, a hundred a second."""
    bend = Bend(lists=False)

    async def drip(chunks: Chunks) -> Chunks:
        async for chunk in chunks:
            for byte in chunk:
                yield bytes([byte])
                if not bend.over.is_set():
                    await asyncio.sleep(0.01)

    bend.chunks = drip
    return bend


# -- what happens to the server --------------------------------------------------------------------------------------


async def ended(stage: Stage) -> None:
    """End all watches in good order, over and over."""
    for _ in range(5):
        await stage.pause(6.0)
        await stage.server.end_watches()
        await stage.change()


async def away(stage: Stage, seconds: float) -> None:
    await stage.change()
    await stage.server.away(seconds)
    await stage.server.act(lambda: stage.server.admin.list("namespaces"))


async def forgotten(stage: Stage) -> None:
    """Lose history in a gap in which things changed and went."""
    with stage.wire.bent(Bend(others=True, error=lambda: TransportError("refused"))):
        await end_watches(stage)
        await stage.change()
        await stage.pause(2.0)
        await stage.server.forget()
        await stage.change()


async def struck(stage: Stage, *, seconds: float = 20.0, **what: Any) -> None:
    """Let a fault of the embedded cluster be in force for some seconds."""
    assert isinstance(stage.server, Embedded)
    fault = stage.server.cluster.faults.add(Fault(user=stage.server.operator.username, **what))
    await stage.server.end_watches()
    await stage.pause(seconds / 2)
    await stage.change()
    await stage.pause(seconds / 2)
    stage.server.cluster.faults.remove(fault)


async def frozen(stage: Stage, seconds: float) -> None:
    """Let nothing pass, and close nothing."""
    with stage.wire.bent(Bend(others=True, frozen=True)):
        await stage.pause(seconds / 2)
        await stage.change()
        await stage.pause(seconds / 2)


async def stopped(stage: Stage, seconds: float, member: int = 0) -> None:
    """Suspend an API server."""
    assert isinstance(stage.server, Real)
    process = stage.server.plane.apiservers[member]
    await stage.change()
    process.pause()
    if member:
        await stage.change()
    await stage.pause(seconds)
    process.resume()


async def restored(stage: Stage, *, versions: int) -> None:
    """Put an old state of etcd back: what was created, changed and deleted since has never been, versions included."""
    await stage.server.act(stage.server.back_up)
    await stage.settled()
    for _ in range(versions // 3):
        await stage.change()
    await stage.settled()
    await stage.server.act(stage.server.restore)


async def restored_and_overtaken(stage: Stage) -> None:
    """Put a state of three versions ago back, and let the server write its way past what was seen, unheard."""
    await stage.server.act(stage.server.back_up)
    await stage.settled()
    await stage.change()
    await stage.settled()
    with stage.wire.bent(Bend(others=True, error=RESET)):
        await end_watches(stage)
        await stage.server.act(stage.server.restore)
        await stage.server.act(lambda: _write(stage.server.admin, OVERTAKEN_BY))
        await stage.pause(5.0)


def _write(admin: Any, times: int) -> None:
    """Write where nobody looks."""
    for number in range(times):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"unseen-{number}"}}
        admin.create(body, "default")


async def trusted_anew(stage: Stage) -> None:
    """Give the API server another certificate and CA."""
    assert isinstance(stage.server, Real)
    await stage.change()
    await stage.server.act(stage.server.new_certificate)


async def token_renewed(stage: Stage) -> None:
    assert isinstance(stage.server, Real)
    await stage.server.act(stage.server.operator.refresh)
    stage.wire.hang_up()
    await stage.change()
    await stage.pause(10.0)


async def token_expired(stage: Stage, seconds: float) -> None:
    """Let the token run out, a new one come late, and watches end in between."""
    server = stage.server
    assert isinstance(server, Real)
    good = server.operator.token
    server.operator.token_file.write_text(expired_token(good, server.plane.layout.key_file), encoding="utf-8")
    stage.wire.hang_up()
    await stage.change()
    await stage.pause(seconds)
    await server.act(server.operator.refresh)


async def account_goes(stage: Stage) -> None:
    """Delete the operator's ServiceAccount, and make it again: the bindings name it still, its tokens are void."""
    server = stage.server
    assert isinstance(server, Real)
    await server.act(lambda: server.plane.delete("serviceaccounts", OPERATOR, OPERATOR))
    stage.wire.hang_up()
    await stage.change()
    await stage.pause(20.0)
    await server.act(server.operator_again)


async def certificate_renewed(stage: Stage, expired_seconds: float = 0.0) -> None:
    """Replace the client certificate; where told so, by one that has run out, first."""
    server = stage.server
    assert isinstance(server, Real)
    if expired_seconds:
        server.authority.issue(server.operator.username, expired=True)
        stage.wire.hang_up()
        await stage.pause(expired_seconds)
    server.authority.issue(server.operator.username)
    stage.wire.hang_up()
    await stage.change()
    await stage.pause(5.0 if not expired_seconds else 0.0)


async def cut_on_tcp(stage: Stage, how: Cut) -> None:
    """Cut every connection in the middle of what the server sends, for some seconds."""
    assert isinstance(stage.server, Real)
    gate = stage.server.gate
    assert gate is not None
    gate.cut = how
    for _ in range(4):
        await stage.change()
        await stage.pause(5.0)
    gate.cut = None
    assert gate.cuts >= len(KINDS)


async def without_etcd(stage: Stage) -> None:
    assert isinstance(stage.server, Real)
    await stage.change()
    async with stage.server.without(stage.server.plane.etcd):
        await stage.pause(10.0)


async def clock_jumps(stage: Stage, seconds: float) -> None:
    assert isinstance(stage.server, Embedded)
    stage.server.cluster.clock.jump(seconds)
    await stage.change()
    await stage.pause(20.0)


async def suspended(stage: Stage) -> None:
    """Let the operator's machine sleep for an hour."""
    virtual_time.suspend(3600.0)
    await stage.change()
    await stage.pause(20.0)


async def member_flaps(stage: Stage) -> None:
    """Kill one of two API servers and start it, over and over."""
    assert isinstance(stage.server, Real)
    for _ in range(3):
        async with stage.server.without(stage.server.plane.apiservers[1]):
            await stage.change()
            await stage.pause(3.0)
        await stage.change()
        await stage.pause(5.0)


async def lagging(stage: Stage) -> None:
    assert isinstance(stage.server, Embedded)
    stage.server.members[1].lag = 2.0
    for _ in range(5):
        await stage.server.end_watches()
        await stage.change()
        await stage.pause(4.0)
    stage.server.members[1].lag = 0.0


async def flapping(stage: Stage) -> None:
    assert isinstance(stage.server, Embedded)
    for _ in range(6):
        stage.server.members[1].restart(down=4.0, unready=0.5)
        await stage.change()
        await stage.pause(8.0)


class FullDisk(logging.Handler):
    """Where logs cannot be written."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Write nothing about it either."""


async def full_disk(stage: Stage) -> None:
    logger, handler = logging.getLogger("scopedcache"), FullDisk()
    logger.addHandler(handler)
    try:
        await ended(stage)
    finally:
        logger.removeHandler(handler)


HTML: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
NO_NAME: Final = lost(socket.gaierror(-3, "Temporary failure in name resolution"), "the name is not known")
NO_FILES: Final = lost(OSError(errno.EMFILE, "Too many open files"), "no file descriptor is left")
RESET: Final = lost(ConnectionResetError(104, "Connection reset by peer"), "connection reset")
OLD_TOKEN: Final = json.loads(status_body(410, "Expired")) | {"metadata": {"continue": "a-fresh-one"}}

EVENTS: Final[Sequence[tuple[int, str]]] = (
    (400, "BadRequest"), (401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (408, "Timeout"),
    (409, "Conflict"), (410, "Expired"), (410, "Gone"), (422, "Invalid"), (429, "TooManyRequests"),
    (500, "InternalError"), (503, "ServiceUnavailable"), (504, "Timeout"), (0, ""),
)  # fmt: skip

ROWS: Final[Sequence[Row]] = (
    Row("clean end of all watches, five times", ended, recovery=2.0),
    Row("clean end of 200 watches at once", ended, recovery=2.0, places=67, rate=80.0),
    Row("410: history gone, changes and deletions in the gap", forgotten, on=BOTH),
    Row(
        "410 as status of lists and watches, 20 s",
        partial(bent, make=answering(410, status_body(410, "Expired"))),
        recovery=BACKOFF_SECONDS,
    ),
    Row(
        "410 with a fresh continue token, 20 s",
        partial(bent, make=answering(410, json.dumps(OLD_TOKEN).encode())),
        recovery=BACKOFF_SECONDS,
    ),
    *(
        Row(
            f"ERROR event {code} {reason}".rstrip(),
            partial(bent, make=error_event(code, reason)),
            recovery=BACKOFF_SECONDS,
        )
        for code, reason in EVENTS
    ),
    Row("cut in the middle of a line, 20 s", partial(bent, make=carrying(cut)), recovery=BACKOFF_SECONDS),
    Row("well-ended in the middle of a line, 20 s", partial(bent, make=carrying(torn)), recovery=BACKOFF_SECONDS),
    Row("a line of 2 MB", partial(bent, make=lambda: Bend(lists=False, chunks=padded(2 << 20)))),
    Row("a line of 5 MB", partial(bent, make=lambda: Bend(lists=False, chunks=padded(5 << 20)))),
    Row("a line of 60 MB", partial(bent, make=lambda: Bend(lists=False, chunks=padded(60 << 20), times=3))),
    Row(
        "lines over the limit, 20 s",
        partial(bent, make=lambda: Bend(lists=False, chunks=padded(65 << 20))),
        recovery=BACKOFF_SECONDS,
    ),
    Row("lines of rubbish between events, 20 s", partial(bent, make=carrying(garbage)), recovery=BACKOFF_SECONDS),
    Row(
        "every event twice, and the first one again after each",
        partial(bent, make=lambda: Bend(lists=False, chunks=backward())),
    ),
    Row(
        "watch of another content type, 20 s",
        partial(bent, make=answering(200, b"hello", "text/plain")),
        recovery=BACKOFF_SECONDS,
    ),
    Row("200 with HTML, 20 s", partial(bent, make=answering(200, HTML, "text/html")), recovery=BACKOFF_SECONDS),
    Row("200 with nothing, 20 s", partial(bent, make=answering(200, b"")), recovery=BACKOFF_SECONDS),
    Row("byte by byte, 20 s", partial(bent, make=dripping)),
    Row("half-open: nothing passes for 10 s", partial(frozen, seconds=10.0)),
    Row("half-open: nothing passes for 200 s", partial(frozen, seconds=200.0)),
    Row(
        "500 to lists and watches, 60 s",
        partial(bent, make=answering(500, status_body(500, "InternalError")), seconds=60.0),
        recovery=BACKOFF_SECONDS,
        on=BOTH,
    ),
    Row("500 to everything, 60 s", partial(bent, make=everything(500, b"internal error", "text/plain"), seconds=60.0)),
    Row("502 with HTML to everything, 60 s", partial(bent, make=everything(502, HTML, "text/html"), seconds=60.0)),
    Row(
        "503 to everything, 60 s",
        partial(bent, make=everything(503, status_body(503, "ServiceUnavailable")), seconds=60.0),
        on=BOTH,
    ),
    Row("504 to everything, 60 s", partial(bent, make=everything(504, status_body(504, "Timeout")), seconds=60.0)),
    Row(
        "429, Retry-After: 2", partial(bent, make=answering(429, b"busy", "text/plain", Retry_After="2")), recovery=3.5
    ),
    Row(
        "429, Retry-After as a date",
        partial(bent, make=answering(429, b"busy", "text/plain", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")),
        recovery=3.5,
    ),
    Row("429 without Retry-After", partial(bent, make=answering(429, b"busy", "text/plain")), recovery=3.5),
    Row(
        "429, Retry-After: soon",
        partial(bent, make=answering(429, b"busy", "text/plain", Retry_After="soon")),
        recovery=3.5,
    ),
    Row(
        "429, Retry-After: -5",
        partial(bent, make=answering(429, b"busy", "text/plain", Retry_After="-5")),
        recovery=3.5,
    ),
    Row(
        "429 in a Status, two seconds",
        partial(bent, make=answering(429, status_body(429, "TooManyRequests", seconds=2))),
        recovery=3.5,
    ),
    Row(
        "429, Retry-After: 86400 (five minutes are waited)",
        partial(bent, make=answering(429, b"busy", "text/plain", Retry_After="86400")),
        recovery=302.0,
    ),
    Row("server gone for 3 s", partial(away, seconds=3.0), on=BOTH),
    Row("server gone for 20 s", partial(away, seconds=20.0), on=BOTH),
    Row("server gone for 60 s", partial(away, seconds=60.0), on=BOTH),
    Row("server gone for 600 s", partial(away, seconds=600.0)),
    Row("connections reset, 60 s", partial(bent, make=raising(RESET), seconds=60.0)),
    Row("DNS fails, 60 s", partial(bent, make=raising(NO_NAME), seconds=60.0), on=BOTH),
    Row(
        "no file descriptor for watches, 60 s",
        partial(bent, make=raising(NO_FILES, everything=False), seconds=60.0),
        recovery=BACKOFF_SECONDS,
    ),
    Row("API server frozen for 3 s (SIGSTOP)", partial(stopped, seconds=3.0), on=("real",)),
    Row("API server frozen for 30 s (SIGSTOP)", partial(stopped, seconds=30.0), on=("real",)),
    Row("etcd gone for 10 s", without_etcd, on=("real",), recovery=30.0),
    Row(
        f"etcd restored from a state {VERSIONS_BACK} versions older",
        partial(restored, versions=VERSIONS_BACK),
        on=BOTH,
        recovery=30.0,
    ),
    Row("etcd restored from a state 3 versions older", partial(restored, versions=3), on=BOTH, recovery=30.0),
    Row(
        "etcd restored from a state 3 versions older, and written past what was seen before anybody asks",
        restored_and_overtaken,
        on=BOTH,
        recovery=30.0,
    ),
    Row(
        "connections cut by RST in the middle of a record, 20 s",
        partial(cut_on_tcp, how="RST"),
        on=("real",),
        through_gate=True,
    ),
    Row(
        "connections cut by FIN in the middle of a record, 20 s",
        partial(cut_on_tcp, how="FIN"),
        on=("real",),
        through_gate=True,
    ),
    Row("server certificate and CA replaced", trusted_anew, on=("real",)),
    Row("token replaced in its file", token_renewed, on=("real",)),
    Row("token expired for 3 s", partial(token_expired, seconds=3.0), on=("real",)),
    Row(
        "token expired for 20 s",
        partial(token_expired, seconds=20.0),
        on=("real",),
        reads=("UnauthorizedError", "served", "closed"),
        denies=True,
        recovery=BACKOFF_SECONDS,
    ),
    Row(
        "the operator's ServiceAccount deleted and made again",
        account_goes,
        on=("real",),
        reads=("UnauthorizedError", "served", "closed"),
        denies=True,
        recovery=BACKOFF_SECONDS,
    ),
    Row("client certificate replaced", certificate_renewed, on=("real",), by_certificate=True),
    Row(
        "client certificate expired for 20 s",
        partial(certificate_renewed, expired_seconds=20.0),
        on=("real",),
        by_certificate=True,
        reads=("UnauthorizedError", "served", "closed"),
        denies=True,
        recovery=BACKOFF_SECONDS,
    ),
    Row("401 for 3 s", partial(struck, seconds=3.0, code=401)),
    Row(
        "401 for 60 s: credentials expired",
        partial(struck, seconds=60.0, code=401),
        reads=("UnauthorizedError", "served", "closed"),
        denies=True,
        recovery=BACKOFF_SECONDS,
    ),
    Row("the server's clock jumps an hour ahead", partial(clock_jumps, seconds=3600.0)),
    Row("the server's clock jumps an hour back", partial(clock_jumps, seconds=-3600.0)),
    Row("our machine is suspended for an hour", suspended),
    Row("HA: a member that lags by 2 s", lagging, members=2, recovery=10.0),
    Row("HA: a member that flaps", flapping, members=2),
    Row("HA: a member killed and started three times", member_flaps, on=("real",), members=2, recovery=10.0),
    Row(
        "HA: a member frozen for 20 s (SIGSTOP)",
        partial(stopped, seconds=20.0, member=1),
        on=("real",),
        members=2,
        recovery=BACKOFF_SECONDS,
    ),
    Row("no disk for logs", full_disk, recovery=2.0),
)
