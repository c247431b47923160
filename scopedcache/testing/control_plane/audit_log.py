"""Who asked what: requests read back from the API servers' audit logs, exactly.

A server writes a request's line before its answer ends, so a request whose answer was read to the end is in the log.
A watch has two lines, one when it starts and one when it ends; what has only the first is open now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import attrs
import msgspec

from ..audit_request import AuditRequest, Mark, Stage, Wanted, matching


@attrs.define(eq=False)
class Source:
    """The log of one API server, and whether that server runs."""

    path: Path
    running: Callable[[], bool]
    offset: int = 0


@attrs.define(eq=False, repr=False)
class AuditLog:
    """The audit logs of all API servers of one control plane, as one list. Safe to use from any thread.

    Not in it: the requests of the control plane itself (controllers, fake kubelet, `kube-system` ServiceAccounts).
    """

    sources: list[Source]
    _requests: dict[str, AuditRequest] = attrs.field(factory=dict, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def mark(self) -> Mark:
        """Return a point in the log; `since=` it means requests that were written later."""
        with self._lock:
            self._read()
            return Mark(len(self._requests))

    def requests(self, since: Mark | None = None, **wanted: Unpack[Wanted]) -> list[AuditRequest]:
        """Return the requests that agree with `wanted`, in the order in which the server wrote them."""
        with self._lock:
            self._read()
            found = list(self._requests.values())[since or 0 :]
        return matching(found, wanted)

    def count(self, since: Mark | None = None, **wanted: Unpack[Wanted]) -> int:
        """Return how many requests agree with `wanted`."""
        return len(self.requests(since, **wanted))

    def open_watches(self, **wanted: Unpack[Wanted]) -> list[AuditRequest]:
        """Return the watches that are open now; a refused one never was."""
        return [r for r in self.requests(**wanted) if r.verb == "watch" and r.is_open and r.code == 200]

    def restarted(self, server: int) -> None:
        """Take note that a server starts anew: what was open on it has ended."""
        with self._lock:
            self._read()
            self._end_open(server)

    def _read(self) -> None:
        for server, source in enumerate(self.sources):
            running = source.running()
            for line in self._new_lines(source):
                request = parse(line, server)
                self._requests[request.id] = request
            if not running:
                self._end_open(server)

    def _new_lines(self, source: Source) -> list[bytes]:
        if not source.path.exists():
            return []
        with source.path.open("rb") as log:
            log.seek(source.offset)
            content = log.read()
        complete = content[: content.rfind(b"\n") + 1]
        source.offset += len(complete)
        return complete.splitlines()

    def _end_open(self, server: int) -> None:
        now = datetime.now(UTC)
        for request in list(self._requests.values()):
            if request.is_open and request.server == server:
                self._requests[request.id] = attrs.evolve(request, ended=now)

    def __repr__(self) -> str:
        return f"<AuditLog of {len(self.sources)} servers: {len(self._requests)} requests read>"


class _User(msgspec.Struct):
    username: str = ""


class _ObjectRef(msgspec.Struct, rename="camel"):
    resource: str = ""
    api_group: str = ""
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None


class _Status(msgspec.Struct):
    code: int = 0


class _Event(msgspec.Struct, rename="camel"):
    stage: Stage
    verb: str
    audit_id: str = msgspec.field(name="auditID")
    uri: str = msgspec.field(name="requestURI")
    received: datetime = msgspec.field(name="requestReceivedTimestamp")
    written: datetime = msgspec.field(name="stageTimestamp")
    user: _User = msgspec.field(default_factory=_User)
    impersonated_user: _User | None = None
    user_agent: str = ""
    object_ref: _ObjectRef = msgspec.field(default_factory=_ObjectRef)
    response_status: _Status = msgspec.field(default_factory=_Status)


_decoder = msgspec.json.Decoder(_Event)


def parse(line: bytes, server: int = 0) -> AuditRequest:
    """Return the request that a line of an audit log tells of."""
    event = _decoder.decode(line)
    place = event.object_ref
    return AuditRequest(
        id=event.audit_id,
        user=(event.impersonated_user or event.user).username,
        verb=event.verb,
        resource=f"{place.resource}.{place.api_group}" if place.api_group else place.resource,
        subresource=place.subresource,
        namespace=place.namespace,
        name=place.name,
        code=event.response_status.code,
        stage=event.stage,
        uri=event.uri,
        user_agent=event.user_agent,
        received=event.received,
        ended=None if event.stage == "ResponseStarted" else event.written,
        server=server,
    )
