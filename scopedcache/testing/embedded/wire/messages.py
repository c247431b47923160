"""What goes in and out of the core: a request, and a whole answer to it. (An answer that goes on is a `Watch`.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from .status_errors import StatusError

JSON: Final = "application/json"
Query = Sequence[tuple[str, str]]


@attrs.frozen
class Request:
    """One request as bytes and words. The names of headers are lower case; the path is decoded.

    `server` is the number of the front end that it goes to.
    """

    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    server: int = 0

    def asked(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def without(self, name: str) -> Request:
        """Return it without a query parameter."""
        if not self.asked(name):
            return self
        return attrs.evolve(self, query=tuple(pair for pair in self.query if pair[0] != name))


@attrs.frozen
class Answer:
    """A whole answer."""

    code: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = attrs.field(factory=dict)


def of_json(body: Any, code: int = 200) -> Answer:
    return Answer(code, msgspec.json.encode(body))


def of_status_error(refusal: StatusError) -> Answer:
    if refusal.text:
        return Answer(refusal.code, refusal.message.encode(), "text/plain; charset=utf-8", refusal.headers)
    return Answer(refusal.code, msgspec.json.encode(refusal.status()), JSON, refusal.headers)
