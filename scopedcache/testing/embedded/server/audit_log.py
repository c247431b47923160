"""Who asked what: the audit of an embedded cluster, in the shape of the real one's."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime
from typing import Unpack
from urllib.parse import urlencode

import attrs

from ...audit_request import AuditRequest, Mark, Wanted, matching
from ..clock import wall
from ..wire.messages import Query
from ..wire.request_attributes import Attributes
from .api_server import Question

Requests = list[AuditRequest]


class Audit:
    """Every request, in the order in which they were answered. Safe to use from any thread.

    Not in it: what the cluster's own controllers do, for they write to the storage.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._open: list[Record] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def mark(self) -> Mark:
        """Return a point in the log; `since=` it means requests that came later."""
        return Mark(len(self._records))

    def requests(self, since: Mark | None = None, **wanted: Unpack[Wanted]) -> Requests:
        """Return the requests that agree with `wanted`."""
        return [record.request for record in self._matching(since, wanted)]

    def count(self, since: Mark | None = None, **wanted: Unpack[Wanted]) -> int:
        """Return how many requests agree with `wanted`."""
        return len(self._matching(since, wanted))

    def open_watches(self, **wanted: Unpack[Wanted]) -> Requests:
        """Return the watches that are open now; a refused one never was."""
        with self._lock:
            self._open = [record for record in self._open if record.ended is None]
            open_records = matching(self._open, wanted)
        # Once more, of what is handed out: a watch may have ended in another thread since.
        requests = [record.request for record in open_records if record.verb == "watch" and record.code == 200]
        return [request for request in requests if request.is_open]

    def note(self, question: Question, code: int, now: float, *, is_open: bool = False) -> Record:
        """Write a request down; `end` of the result is for a watch that was open."""
        request, user = question.request, question.user.name if question.user is not None else ""
        agent = request.headers.get("user-agent", "")
        about = (user, question.asked, request.path, request.query, agent, request.server)
        record = Record(*about, code, wall(now), next(self._numbers), None if is_open else wall(now))
        with self._lock:
            self._records.append(record)
            if is_open:
                self._open.append(record)
        return record

    def _matching(self, since: Mark | None, wanted: Wanted) -> list[Record]:
        """Return the records that agree: only these are worth a description."""
        with self._lock:
            records = self._records[since or 0 :]
        return matching(records, wanted)

    def __repr__(self) -> str:
        return f"<Audit of {len(self._records)} requests>"


@attrs.define(eq=False)
class Record:
    """A request, described only when somebody asks for it: most are never looked at. Its body is not kept.

    What can be asked for (`Wanted`) is named as in the description.
    """

    user: str
    asked: Attributes
    path: str
    query: Query
    agent: str
    server: int
    code: int
    received: float
    number: int
    ended: float | None

    def end(self, now: float) -> None:
        """A watch has ended."""
        self.ended = self.ended or wall(now)

    @property
    def verb(self) -> str:
        return self.asked.verb

    @property
    def resource(self) -> str:
        return self.asked.subject if self.asked.is_resource else ""

    @property
    def subresource(self) -> str | None:
        return self.asked.subresource or None

    @property
    def namespace(self) -> str | None:
        return self.asked.namespace or None

    @property
    def name(self) -> str | None:
        return self.asked.name or None

    @property
    def request(self) -> AuditRequest:
        query, ended = urlencode(self.query), self.ended
        return AuditRequest(
            id=str(self.number),
            user=self.user,
            verb=self.verb,
            resource=self.resource,
            subresource=self.subresource,
            namespace=self.namespace,
            name=self.name,
            code=self.code,
            stage="ResponseStarted" if ended is None else "ResponseComplete",
            uri=self.path + (f"?{query}" if query else ""),
            user_agent=self.agent,
            received=datetime.fromtimestamp(self.received, UTC),
            ended=None if ended is None else datetime.fromtimestamp(ended, UTC),
            server=self.server,
        )
