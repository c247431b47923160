"""The embedded cluster behind the seam of the contract: no loop, no socket, and time passes by being waited for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from urllib3 import HTTPHeaderDict

from scopedcache.testing import Identity, WaitTimeoutError
from scopedcache.testing.embedded import EmbeddedCluster
from scopedcache.testing.embedded.server import watches as core
from scopedcache.testing.embedded.wire.messages import Answer as CoreAnswer
from scopedcache.testing.embedded.wire.messages import Request
from tests.contract.server import Answer, Callback, Server, Watch

T = TypeVar("T")
DEADLINE = 60.0
MOMENT = 0.05


class EmbeddedWatch(Watch):
    """An open watch; waiting for its next event lets time pass for the cluster."""

    def __init__(self, cluster: EmbeddedCluster, reply: CoreAnswer | core.Watch) -> None:
        self._cluster = cluster
        self._reply = reply
        self._lines: list[bytes] = []
        if isinstance(reply, CoreAnswer):
            self.status = reply.code
            self._lines = [reply.body]
        else:
            self.status = 200

    def next(self) -> dict[str, Any] | None:
        waited = 0.0
        while not self._lines:
            if isinstance(self._reply, CoreAnswer):
                return None
            self._lines = [line for chunk in self._cluster.take(self._reply) for line in chunk.splitlines() if line]
            if not self._lines:
                if self._reply.ended:
                    return None
                assert waited < DEADLINE, "the watch told nothing, and did not end"
                self._cluster.advance(MOMENT)
                waited += MOMENT
        event: dict[str, Any] = json.loads(self._lines.pop(0))
        return event

    def close(self) -> None:
        if isinstance(self._reply, core.Watch):
            self._reply.close()


class EmbeddedServer(Server):
    name = "embedded"

    def __init__(self, cluster: EmbeddedCluster) -> None:
        super().__init__()
        self.cluster = cluster

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        reply = self._answer(method, target, body, headers)
        if isinstance(reply, CoreAnswer):
            return Answer(reply.code, HTTPHeaderDict({**reply.headers, "Content-Type": reply.content_type}), reply.body)
        watch = EmbeddedWatch(self.cluster, reply)
        lines = [json.dumps(event) for event in watch]
        watch.close()
        return Answer(200, HTTPHeaderDict({"Content-Type": "application/json"}), "\n".join(lines).encode())

    def open(self, target: str, headers: Mapping[str, str]) -> Watch:
        return EmbeddedWatch(self.cluster, self._answer("GET", target, None, headers))

    def eventually(self, check: Callable[[], T | Literal[False] | None], timeout: float = DEADLINE) -> T:
        waited = 0.0
        while not (answer := check()):
            if waited > timeout:
                raise WaitTimeoutError(f"waited {timeout:g} s; the last answer was {answer!r}")
            self.cluster.advance(MOMENT)
            waited += MOMENT
        return answer

    def pass_time(self, seconds: float) -> None:
        self.cluster.advance(seconds)

    def compact(self) -> None:
        self.cluster.compact()

    def outdated(self, token: str) -> str:
        self.cluster.compact()
        return token

    def admission(
        self, resource: str, callback: Callback, *, operations: Iterable[str]
    ) -> AbstractContextManager[None]:
        return self.cluster.admission(resource, callback, operations=operations)

    def token_of(self, who: Identity | None) -> str:
        return (who or self.cluster.admin).token

    def _answer(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> CoreAnswer | core.Watch:
        parts = urlsplit(target)
        lower = {name.lower(): value for name, value in headers.items()}
        query = parse_qsl(parts.query, keep_blank_values=True)
        _, question = self.cluster.begin(Request(method, unquote(parts.path), query, lower, body or b""))
        return self.cluster.finish(question)


@contextmanager
def embedded_server() -> Iterator[Server]:
    """Yield a server of its own."""
    with EmbeddedCluster.start() as cluster:
        yield EmbeddedServer(cluster)
