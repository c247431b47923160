"""The real server behind the seam of the contract: urllib3 over TLS on loopback."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import urllib3

from scopedcache.testing import ControlPlane, Identity, wait_for
from tests.contract.server import Answer, Callback, Server, Watch
from tests.contract.webhook import registered, webhook

T = TypeVar("T")
DEADLINE = 20.0


class RealWatch(Watch):
    """A streamed answer, cut into lines."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self._events = self._read()

    def next(self) -> dict[str, Any] | None:
        return next(self._events, None)

    def close(self) -> None:
        self._answer.close()

    def _read(self) -> Iterator[dict[str, Any]]:
        rest = b""
        for chunk in self._answer.stream(amt=None):
            *complete, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in complete)
        if rest.strip():
            yield json.loads(rest)


class RealServer(Server):
    name = "real"

    def __init__(self, control_plane: ControlPlane) -> None:
        super().__init__()
        self.control_plane = control_plane
        # No retries, and a read that hangs fails the case.
        self._pool = urllib3.PoolManager(
            ca_certs=str(control_plane.ca_file), retries=False, timeout=urllib3.Timeout(DEADLINE), maxsize=8
        )

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        answer = self._pool.request(method, self.control_plane.url + target, body=body, headers=headers)
        return Answer(answer.status, answer.headers, answer.data)

    def open(self, target: str, headers: Mapping[str, str]) -> Watch:
        url = self.control_plane.url + target
        return RealWatch(self._pool.request("GET", url, headers=headers, preload_content=False))

    def eventually(self, check: Callable[[], T | Literal[False] | None], timeout: float = DEADLINE) -> T:
        answer = wait_for(check, timeout=timeout)
        assert answer
        return answer

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def compact(self) -> None:
        etcd = self.control_plane.layout.etcd_url
        revision = int(self.request("GET", "/api/v1/namespaces")["metadata"]["resourceVersion"])
        body = json.dumps({"revision": str(revision), "physical": True}).encode()
        answer = self._pool.request("POST", f"{etcd}/v3/kv/compaction", body=body)
        assert answer.status == 200, answer.data

    def outdated(self, token: str) -> str:
        # Not enough to compact: recent moments are served from memory. A token of long ago is made from this one.
        self.compact()
        inside = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return base64.urlsafe_b64encode(json.dumps({**inside, "rv": 2}).encode()).decode().rstrip("=")

    @contextmanager
    def admission(self, resource: str, callback: Callback, *, operations: Iterable[str]) -> Iterator[None]:
        with webhook(callback) as (url, ca_bundle), registered(self, resource, list(operations), url, ca_bundle):
            yield

    def token_of(self, who: Identity | None) -> str:
        return (who or self.control_plane.admin).token

    def close(self) -> None:
        self._pool.clear()
