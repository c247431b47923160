"""A recording as it is read: exchanges, in the order in which they were begun."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from ..api.recording import VERSION
from ..errors import ConfigurationError

Json = dict[str, Any]
# What an exchange is known by. Versions and time-outs differ from run to run; what else a query says does not.
CHANGING: Final = frozenset({"resourceVersion", "resourceVersionMatch", "timeoutSeconds", "allowWatchBookmarks"})
REVIEWS: Final = "/apis/authorization.k8s.io/"
FILLER: Final = b"?"
# The namespace that is never used, whose rules are those of the whole cluster: another one in each process.
UNUSED: Final = re.compile('"scopedcache-[0-9a-f]{16}"')


@attrs.frozen
class Question:
    """What is asked, without what differs from run to run."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    is_watch: bool
    review: str = ""

    def __str__(self) -> str:
        verb = "WATCH" if self.is_watch else self.method
        return " ".join(filter(None, (verb, self.path, "&".join(f"{k}={v}" for k, v in self.query), self.review)))


@attrs.define(eq=False)
class Exchange:
    """One request, and everything that came of it; times are seconds since the beginning of the recording.

    Attributes:
        answer: its head and, unless it is a stream, its body; None where nobody answered.
        failed: how it failed, by the name of the error; None where it was answered.
        lines: what a stream brought, and when.
        ended: how a stream ended; None where the recording ended before it.
        rest: how many bytes of a half line there were at its end.
    """

    question: Question
    asked: float
    answer: Json | None = None
    answered: float = 0.0
    failed: str | None = None
    lines: list[tuple[float, list[Json]]] = attrs.field(factory=list)
    ended: tuple[float, str] | None = None
    rest: int = 0


@attrs.frozen
class Recorded:
    """A whole recording.

    Attributes:
        bodies: whether it holds whole objects.
        exchanges: everything that was asked.
        seconds: how long it lasted.
    """

    bodies: bool
    exchanges: list[Exchange]
    seconds: float


def read_recording(path: str | os.PathLike[str]) -> Recorded:
    """Read a file; a last line that is cut off is the end.

    Raises:
        ConfigurationError: it cannot be read, is no recording, or is one of a version that is not known here.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigurationError(f"{os.fspath(path)} cannot be read: {error.strerror}") from error
    begin = _parse(lines[0])
    if begin is None or begin.get("recording") != "scopedcache":
        raise ConfigurationError(f"{os.fspath(path)} is no recording: its first line does not say so")
    if begin.get("version") != VERSION:
        raise ConfigurationError(
            f"{os.fspath(path)} is of version {begin.get('version')}; this release reads version {VERSION}"
        )
    exchanges: dict[int, Exchange] = {}
    seconds = 0.0
    for number, raw in enumerate(lines[1:-1], 2):  # what follows the last newline is cut off, or nothing
        line = _parse(raw)
        try:
            seconds = max(seconds, _take(exchanges, line))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{os.fspath(path)}, line {number}: not a line of a recording") from error
    return Recorded(bool(begin.get("bodies")), list(exchanges.values()), seconds)


def question(method: str, path: str, query: Any, *, is_watch: bool, body: Json | None) -> Question:
    """Return what an exchange is known by; `body` is as a recording keeps it."""
    kept = tuple(sorted((str(name), str(value)) for name, value in query if name not in CHANGING))
    if is_watch and any(name == "resourceVersion" for name, _ in query):
        kept += (("resourceVersion", "some"),)  # one that goes on from there is another than one that only tries
    spec = (body or {}).get("json", {}).get("spec") if path.startswith(REVIEWS) else None
    review = UNUSED.sub('"unused"', json.dumps(spec, sort_keys=True)) if spec else ""
    return Question(method, path, kept, is_watch, review)


def body_bytes(body: Json | None) -> bytes:
    """Return the bytes that stand for a body: as many where it could not be read, or was not kept."""
    if body is None:
        return b""
    if "json" in body:
        return json.dumps(body["json"], separators=(",", ":")).encode()
    if "text" in body:
        return str(body["text"]).encode()
    return FILLER * int(body["bytes"])


def _take(exchanges: dict[int, Exchange], line: Json | None) -> float:
    if line is None:
        raise ValueError("no object")
    at = float(line["t"])
    if "stopped" in line:
        return at
    number = int(line["n"])
    if "ask" in line:
        asked = line["ask"]
        is_watch = asked["lane"] == "watch"
        what = question(asked["method"], asked["path"], asked["query"], is_watch=is_watch, body=asked["body"])
        exchanges[number] = Exchange(what, at)
        return at
    exchange = exchanges[number]
    if "answer" in line:
        exchange.answer, exchange.answered = dict(line["answer"]), at
    elif "failed" in line:
        exchange.failed, exchange.answered = str(line["failed"]), at
    elif "lines" in line:
        exchange.lines.append((at, list(line["lines"])))
    else:
        exchange.ended, exchange.rest = (at, str(line["end"])), int(line["rest"])
    return at


def _parse(raw: bytes) -> Json | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return dict(found) if isinstance(found, Mapping) else None
