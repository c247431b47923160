"""The server as a recording knows it: a `Transport` that answers as was answered, when it was answered.

    recorded = read_recording("bug.jsonl")
    async with Client(ReplayTransport(recorded)) as client, ScopedCache(client) as cache: …

Run it in virtual time (`virtual_time.run`): a recording of an hour is over in a second. Who asks what was asked gets
what was answered then; who asks more often than the recorded one, what was answered last; who asks earlier, what comes
next. A request that nobody made then is a TransportError, and is counted in `unknown`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from .. import errors
from ..api.recorded_bodies import reduced_body, reduced_query
from ..api.transport import REQUEST_TIMEOUT_SECONDS, Lane, Query, Response
from ..errors import ScopedCacheError, TransportError
from .recorded import Exchange, Question, Recorded, body_bytes, question

# What is asked again, earlier than then by so much, is taken for the same: pauses have jitter.
EARLY_SECONDS: Final = 2.0


class ReplayTransport:
    """A way to what a recording holds. Belongs to the running loop; its time begins with the first request.

    Attributes:
        recorded: what is played.
        unknown: what was asked and is not in the recording, with how often.
    """

    def __init__(self, recorded: Recorded) -> None:
        self.recorded: Final = recorded
        self.unknown: Final[Counter[str]] = Counter()
        self._exchanges: defaultdict[Question, list[Exchange]] = defaultdict(list)
        for exchange in recorded.exchanges:
            self._exchanges[exchange.question].append(exchange)
        self._used: Counter[Question] = Counter()
        self._began: float | None = None
        self._closed = False

    def now(self) -> float:
        """Return the seconds since the first request, as the recording counts them."""
        loop_time = asyncio.get_running_loop().time()
        if self._began is None:
            first = self.recorded.exchanges[0].asked if self.recorded.exchanges else 0.0
            self._began = loop_time - first
        return loop_time - self._began

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
    ) -> Response:
        """Answer as was answered, after as long as it took then."""
        exchange = self._find(method, path, query, body, is_watch=False)
        if exchange.failed == "cancelled" or (exchange.failed is None and exchange.answer is None):
            await asyncio.sleep(timeout)
            raise TransportError("the recording holds no answer to this request")
        took = exchange.answered - exchange.asked
        await asyncio.sleep(min(took, timeout))
        if exchange.failed is not None or exchange.answer is None or took > timeout:
            raise _error(exchange.failed)
        answer = exchange.answer
        return Response(answer["status"], answer["type"], answer["headers"], body_bytes(answer.get("body")))

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query = (), *, accept: str = "application/json", idle_timeout: float
    ) -> AsyncIterator[ReplayedStream]:
        """Open a stream that brings what was brought then, when it was."""
        exchange = self._find("GET", path, query, None, is_watch=True)
        await asyncio.sleep(max(0.0, exchange.asked - self.now()))
        if exchange.failed is not None or exchange.answer is None:
            await asyncio.sleep(max(0.0, exchange.answered - exchange.asked))
            raise _error(exchange.failed)
        await asyncio.sleep(max(0.0, exchange.answered - self.now()))
        yield ReplayedStream(self, exchange, idle_timeout)

    async def close(self) -> None:
        """Answer nothing any more."""
        self._closed = True

    def _find(self, method: str, path: str, query: Query, body: bytes | None, *, is_watch: bool) -> Exchange:
        if self._closed:
            raise TransportError("this client is closed")
        now = self.now()
        asked = question(method, path, reduced_query(query), is_watch=is_watch, body=reduced_body(body, path))
        known = self._exchanges.get(asked)
        if not known:
            self.unknown[str(asked)] += 1
            raise TransportError(f"the recording holds no such request: {asked}")
        used = self._used[asked]
        if is_watch:
            return self._next_stream(asked, known, used)
        due = sum(exchange.asked <= now + EARLY_SECONDS for exchange in known[used:])
        if due == 0:
            if used:  # more often than then
                return known[used - 1]
            due = 1
        elif due > 1 and method == "GET":  # less often than then: what is known by now
            due = max(1, sum(exchange.asked <= now for exchange in known[used:]))
        else:
            due = 1
        self._used[asked] = used + due
        return known[used + due - 1]

    def _next_stream(self, asked: Question, known: list[Exchange], used: int) -> Exchange:
        if used < len(known):
            self._used[asked] = used + 1
            return known[used]
        last = known[-1]
        if last.answer is None or last.answer["status"] >= 300:
            return last
        # The recording has nothing more to say of it: a stream that is open, and silent.
        return Exchange(asked, self.now(), answer={**last.answer, "body": None}, answered=self.now())

    def __repr__(self) -> str:
        return f"<ReplayTransport of {len(self.recorded.exchanges)} exchanges, {self.recorded.seconds:.1f} s>"


class ReplayedStream:
    """A stream of then, read piece by piece."""

    ready = False

    def __init__(self, transport: ReplayTransport, exchange: Exchange, idle_timeout: float) -> None:
        answer = exchange.answer or {}
        self.status: int = answer["status"]
        self.content_type: str = answer["type"]
        self.headers: Mapping[str, str] = answer["headers"]
        self._transport = transport
        self._exchange = exchange
        self._idle_timeout = idle_timeout

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what came then; a stream that was closed by who asked, or is not over, stays silent."""
        for at, lines in self._exchange.lines:
            await self._wait(at)
            yield b"".join(body_bytes(line) + b"\n" for line in lines)
        at, how = self._exchange.ended or (0.0, "client")
        if how == "client":
            await asyncio.sleep(self._idle_timeout)
            raise TransportError("the recorded stream has nothing more to say")
        await self._wait(at)
        if self._exchange.rest:
            yield b"{".ljust(self._exchange.rest, b" ")
        if how != "server":
            raise _error(how)

    async def read(self) -> bytes:
        """Return the body of a refusal."""
        return body_bytes((self._exchange.answer or {}).get("body"))

    async def _wait(self, at: float) -> None:
        left = at - self._transport.now()
        if left > self._idle_timeout:
            await asyncio.sleep(self._idle_timeout)
            raise TransportError("the recorded stream was silent for too long")
        await asyncio.sleep(max(0.0, left))


def summary(recorded: Recorded) -> list[str]:
    """Return a recording in lines: what was asked, how often, and how it was answered."""
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for exchange in recorded.exchanges:
        status = exchange.failed or str((exchange.answer or {"status": "no answer"})["status"])
        answers[str(exchange.question)][status] += 1
    lines = [f"{len(recorded.exchanges)} exchanges in {recorded.seconds:.1f} s"]
    lines += [
        f"  {asked}: {', '.join(f'{count} × {status}' for status, count in sorted(counts.items()))}"
        for asked, counts in sorted(answers.items())
    ]
    return lines


def _error(name: str | None) -> ScopedCacheError:
    """Return the failure of then. Its words were not kept: they may name what is nobody else's business."""
    kind = getattr(errors, name or "", TransportError)
    if not (isinstance(kind, type) and issubclass(kind, errors.TransportError | errors.ProtocolError)):
        kind = TransportError
    made: ScopedCacheError = kind(f"as recorded: {json.dumps(name or 'it took too long')}")
    return made
