"""What lies between a client and its server, and bends what passes: the same on the embedded cluster and a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import attrs

from scopedcache.api.transport import REQUEST_TIMEOUT_SECONDS, Query, Response, Stream, Transport
from scopedcache.errors import TransportError

JSON: Final = "application/json"
Chunks = AsyncIterator[bytes]
Bent = Callable[[Chunks], Chunks]


def status_body(code: int, reason: str, *, seconds: int = 0) -> bytes:
    """Return a Status, as servers write it."""
    details = {"retryAfterSeconds": seconds} if seconds else {}
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return json.dumps({**body, "message": f"a fault: {reason}", "details": details}).encode()


@attrs.define(eq=False)
class Bend:
    """What happens to requests while it is in force; the first that fits counts.

    Attributes:
        watches, lists, others: whether it is for watches, for lists of objects, for everything else.
        error: makes what is raised instead of an answer.
        answer: what is answered instead.
        chunks: makes of what a watch carries what its reader gets.
        frozen: nothing passes; requests wait until it is over, or for their time-out.
        times: so often, then never again.
    """

    watches: bool = True
    lists: bool = True
    others: bool = False
    error: Callable[[], Exception] | None = None
    answer: Response | None = None
    chunks: Bent | None = None
    frozen: bool = False
    times: float = float("inf")
    struck: int = 0
    over: asyncio.Event = attrs.field(factory=asyncio.Event)

    def fits(self, method: str, path: str, *, watch: bool) -> bool:
        """Tell whether it is for a request."""
        if self.struck >= self.times:
            return False
        if watch:
            return self.watches
        listed = method == "GET" and "/namespaces/" in path
        return self.lists if listed else self.others


class Wire:
    """A transport over another one.

    Attributes:
        asked: when something was asked, in the time of the loop, and what.
    """

    def __init__(self, way: Transport) -> None:
        self._way = way
        self._bends: list[Bend] = []
        self.asked: list[tuple[float, str]] = []
        self.hung_up = asyncio.Event()

    @contextmanager
    def bent(self, bend: Bend) -> Iterator[Bend]:
        """Let something go wrong for the length of a block."""
        self._bends.append(bend)
        try:
            yield bend
        finally:
            self._bends.remove(bend)
            bend.over.set()

    async def request(self, method: str, path: str, query: Query = (), **options: Any) -> Response:
        bend = self._note(method, path, watch=False)
        if bend is not None and bend.frozen:
            await _thaw(bend, options.get("timeout", REQUEST_TIMEOUT_SECONDS))
        if bend is not None and bend.error is not None:
            raise bend.error()
        if bend is not None and bend.answer is not None:
            await asyncio.sleep(0)
            return bend.answer
        return await self._way.request(method, path, query, **options)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = JSON, idle_timeout: float
    ) -> AsyncIterator[Stream]:
        bend = self._note("GET", path, watch=True)
        if bend is not None and bend.frozen:
            await _thaw(bend, idle_timeout)
        if bend is not None and bend.error is not None:
            raise bend.error()
        if bend is not None and bend.answer is not None:
            yield _Answered(bend.answer)
            return
        async with self._way.stream(path, query, accept=accept, idle_timeout=idle_timeout) as stream:
            yield _Carried(stream, self, bend, idle_timeout)

    async def close(self) -> None:
        await self._way.close()

    def hang_up(self) -> None:
        """End all open streams in good order."""
        hung_up, self.hung_up = self.hung_up, asyncio.Event()
        hung_up.set()

    def freezes(self) -> Bend | None:
        """Return what lets nothing pass now."""
        return next((bend for bend in self._bends if bend.frozen and bend.watches), None)

    def _note(self, method: str, path: str, *, watch: bool) -> Bend | None:
        self.asked.append((asyncio.get_running_loop().time(), f"{'WATCH' if watch else method} {path}"))
        bend = next((bend for bend in self._bends if bend.fits(method, path, watch=watch)), None)
        if bend is not None:
            bend.struck += 1
        return bend


async def _thaw(bend: Bend, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await bend.over.wait()
    except TimeoutError as error:
        raise TransportError("no answer in time", connected=True) from error


class _Answered:
    """An answer of a bend, as a stream."""

    def __init__(self, answer: Response) -> None:
        self.status, self.content_type, self.headers = answer.status, answer.content_type, answer.headers
        self._body = answer.body

    async def chunks(self) -> Chunks:
        if self._body:
            yield self._body

    async def read(self) -> bytes:
        return self._body


class _Carried:
    """The stream of the server, bent."""

    def __init__(self, stream: Stream, wire: Wire, bend: Bend | None, idle_timeout: float) -> None:
        self.status, self.content_type = stream.status, stream.content_type
        self.headers: Mapping[str, str] = stream.headers
        self._stream, self._wire, self._bend, self._idle_timeout = stream, wire, bend, idle_timeout

    async def chunks(self) -> Chunks:
        carried = self._stream.chunks()
        if self._bend is not None and self._bend.chunks is not None:
            carried = self._bend.chunks(carried)
        async for chunk in self._until_hung_up(carried):
            if (frozen := self._wire.freezes()) is not None:
                await _thaw(frozen, self._idle_timeout)
            yield chunk

    async def _until_hung_up(self, carried: Chunks) -> Chunks:
        hung_up = asyncio.ensure_future(self._wire.hung_up.wait())
        try:
            while True:
                coming = asyncio.ensure_future(_next(carried))
                try:
                    await asyncio.wait({coming, hung_up}, return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done() or (chunk := await coming) is None:
                        return
                finally:
                    coming.cancel()
                yield chunk
        finally:
            hung_up.cancel()

    async def read(self) -> bytes:
        return await self._stream.read()


async def _next(chunks: Chunks) -> bytes | None:
    return await anext(chunks, None)
