"""What is fuzzed, and the law that each holds: a clear error or an answer, and the same answer by each way.

A target takes any bytes. It raises where the law is broken.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from scopedcache.api.http_response import BrokenOffError, HeadReader, NotHTTPError, body_of
from scopedcache.api.identity.documents import parse
from scopedcache.api.identity.kubeconfig import resolve
from scopedcache.api.recorded_bodies import reduced_body, reduced_line
from scopedcache.api.watch.event_decoder import EventDecoder, decode_error, decode_event, ends_initial_events
from scopedcache.api.watch.line_splitter import LineSplitter
from scopedcache.broken_text import repair_text
from scopedcache.errors import ConfigurationError, ProtocolError
from scopedcache.selectors import LabelSelector
from scopedcache.web.admission_review import allow, answer, patched

CORPUS: Final = Path(__file__).with_name("corpus")


def lines(data: bytes) -> None:
    """Lines do not depend on how they were cut into chunks; the first byte says how."""
    size, text = (data[0] % 7 + 1 if data else 1), data[1:]
    whole, pieces = LineSplitter(64), LineSplitter(64)
    assert _lines(whole, [text]) == _lines(pieces, [text[at : at + size] for at in range(0, len(text), size)])


def events(data: bytes) -> None:
    """A line of a watch is an event or a ProtocolError; the short way and the certain one say the same."""
    try:
        certain = decode_event(data)
    except ProtocolError:
        certain = None
    try:
        short = EventDecoder().read((b"\n" + data, 1, 1 + len(data)))
    except ProtocolError:
        short = None
    if certain is not None and short is not None and _says_all_once(data):
        assert short[0] == certain[0]
        if short[0] != "ERROR":  # whose entry nobody looks at: it is read as a Status
            assert short[1].metadata == certain[1].metadata
    ends_initial_events(data)
    with contextlib.suppress(ProtocolError):
        decode_error(data)


def http(data: bytes) -> None:
    """An answer is read to the same end however it comes in; what is none is said to be none."""
    size, text = (data[0] % 7 + 1 if data else 1), data[1:]
    assert _answer([text]) == _answer([text[at : at + size] for at in range(0, len(text), size)])


def selectors(data: bytes) -> None:
    """A selector that can be read is read again from its own text; anything else is a ValueError."""
    try:
        read = LabelSelector.parse(data.decode(errors="replace"))
    except ValueError:
        return
    assert LabelSelector.parse(str(read)).requirements == read.requirements
    read.matches({"app": "one"})


def kubeconfig(data: bytes) -> None:
    """A kubeconfig is read, or refused with a ConfigurationError that shows nothing of its secrets."""
    with contextlib.suppress(ConfigurationError):
        resolve([parse("/config", data)], None, {})


def admission(data: bytes) -> None:
    """A review is answered, or it is no AdmissionReview."""
    try:
        review = json.loads(data)
    except (ValueError, RecursionError):
        return
    for decide in (lambda asked: allow(), lambda asked: patched(asked, lambda draft: None)):
        with contextlib.suppress(ProtocolError):
            json.dumps(answer(decide, review))


def recordings(data: bytes) -> None:
    """What is kept of a body is JSON, and never more of a Secret than its metadata."""
    path = "/api/v1/namespaces/team/secrets/one"
    for kept in (reduced_body(data, path, bodies=True), reduced_line(data, path, bodies=True)):
        assert kept is None or '"stringData"' not in json.dumps(_values(kept))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (lines, events, http, selectors, kubeconfig, admission, recordings)
}


def corpus(name: str) -> list[bytes]:
    """Return the bytes that are kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def _says_all_once(line: bytes) -> bool:
    """Tell whether this is JSON in which no key stands twice: the short way reads the first of two."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    try:
        json.loads(repair_text(line), object_pairs_hook=once)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(splitter: LineSplitter, chunks: list[bytes]) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    try:
        for chunk in chunks:
            found += [buffer[start:stop] for buffer, start, stop in splitter.spans(chunk)]
    except ProtocolError:
        return [], True
    return found, False


def _answer(chunks: list[bytes]) -> tuple[Any, ...]:
    reader, body, head, found = HeadReader(), None, None, bytearray()
    try:
        for chunk in chunks:
            data = chunk
            if body is None:
                taken = reader.take(chunk)
                if taken is None:
                    continue
                head, data = taken
                body = body_of(head)
            if not body.ended:
                for start, stop in body.cut(data, 0, len(data)):
                    found += data[start:stop]
        if body is not None:
            body.end()
    except (NotHTTPError, BrokenOffError) as error:
        return (type(error).__name__,)
    return head and head.status, bytes(found), body is not None and body.ended


def _values(kept: Any) -> Any:
    """Return a body without labels and the like, which may be called anything."""
    if isinstance(kept, dict):
        return {name: _values(value) for name, value in kept.items() if name not in ("metadata", "status")}
    return [_values(one) for one in kept] if isinstance(kept, list) else kept
