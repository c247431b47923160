"""An answer in HTTP/1.1, cut out of the bytes it comes in: its head, then the spans of its body, over any chunking.

Plain and synchronous; knows no connection. Spans point into the caller's buffer: nothing is copied here.
"""

from __future__ import annotations

import re
from typing import Final, Literal, Protocol

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

HEAD_LIMIT_BYTES: Final = 2**16
# A size of a chunk, with whatever extensions a proxy writes behind it.
LINE_LIMIT_BYTES: Final = 4096

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?")

# Parts of the caller's buffer, each from a start to a stop.
Spans = list[tuple[int, int]]


class NotHTTPError(Exception):
    """What came is no answer in HTTP/1.1."""


class BrokenOffError(Exception):
    """The connection ended before the answer did."""


@attrs.frozen
class Head:
    """The status and the headers of an answer."""

    status: int
    headers: CIMultiDictProxy[str]

    @property
    def content_type(self) -> str:
        """Return the media type, without its parameters."""
        return self.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()


class Body(Protocol):
    """Cuts a body out of the bytes that follow the head."""

    ended: bool

    def cut(self, buffer: bytes | bytearray, start: int, stop: int) -> Spans:
        """Return the spans of the body in the next bytes, which are those of a buffer from `start` to `stop`.

        Raises:
            NotHTTPError: they are framed as nothing known.
        """

    def end(self) -> None:
        """Take in that the connection ended.

        Raises:
            BrokenOffError: the body did not.
        """


class HeadReader:
    """Collects bytes until a head is complete; answers of the kind 1xx are passed by."""

    def __init__(self) -> None:
        self._held = bytearray()

    def take(self, data: bytes | bytearray | memoryview) -> tuple[Head, bytes] | None:
        """Return the head, and what came behind it; None where more has to come.

        Raises:
            NotHTTPError: this is no head, or it is over the limit of 64 KiB.
        """
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = read_head(bytes(self._held[:end]))
            del self._held[: end + 4]
            if head.status >= 200:
                return head, bytes(self._held)
        if len(self._held) > HEAD_LIMIT_BYTES or not _may_be_http(self._held):
            raise NotHTTPError
        return None


def read_head(text: bytes) -> Head:
    """Read a head, without the empty line that ends it.

    Raises:
        NotHTTPError: this is none.
    """
    first, *lines = text.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise NotHTTPError
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise NotHTTPError
        headers.add(header[1].decode("ascii"), header[2].decode("utf-8", "surrogateescape"))
    return Head(int(status[1]), CIMultiDictProxy(headers))


def body_of(head: Head) -> Body:
    """Return what cuts the body that belongs to a head (RFC 9112, 6.3).

    Raises:
        NotHTTPError: its length is said in a way that is not known, or in two ways.
    """
    coding = head.headers.get("Transfer-Encoding")
    lengths = set(head.headers.getall("Content-Length", ()))
    if head.status in (204, 304):
        return SizedBody(0)
    if coding is not None:
        if coding.strip().lower() != "chunked" or lengths:
            raise NotHTTPError
        return ChunkedBody()
    if not lengths:
        return EndlessBody()
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise NotHTTPError
    return SizedBody(int(length))


class EndlessBody:
    """Ends with the connection."""

    def __init__(self) -> None:
        self.ended = False

    def cut(self, buffer: bytes | bytearray, start: int, stop: int) -> Spans:
        return [(start, stop)] if stop > start else []

    def end(self) -> None:
        self.ended = True


class SizedBody:
    """Ends after so many bytes."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = not length

    def cut(self, buffer: bytes | bytearray, start: int, stop: int) -> Spans:
        stop = min(stop, start + self._left)
        self._left -= stop - start
        self.ended = not self._left
        return [(start, stop)] if stop > start else []

    def end(self) -> None:
        if not self.ended:
            raise BrokenOffError


class ChunkedBody:
    """Comes in chunks, each behind its size in hexadecimal; ends with one of size 0 and perhaps some headers."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # of the payload of the chunk that has begun
        self._line = b""  # the beginning of a line that did not come whole
        self._expects: Literal["size", "payload", "end of payload", "trailer"] = "size"

    def cut(self, buffer: bytes | bytearray, start: int, stop: int) -> Spans:
        spans: Spans = []
        while start < stop and not self.ended:
            if self._expects == "payload":
                end = start + self._left
                if end >= stop:
                    spans.append((start, stop))
                    self._left = end - stop
                    self._expects = "payload" if self._left else "end of payload"
                    break
                spans.append((start, end))
                start = end
                # What most servers write between two chunks, if it came whole: this is done once for each event.
                if buffer.startswith(b"\r\n", start) and (end := buffer.find(b"\r\n", start + 2, stop)) > 0:
                    self._begin_chunk(buffer[start + 2 : end])
                    start = end + 2
                    continue
                self._expects = "end of payload"
            start = self._take_line(buffer, start, stop)
        return spans

    def end(self) -> None:
        if not self.ended:
            raise BrokenOffError

    def _take_line(self, buffer: bytes | bytearray, start: int, stop: int) -> int:
        """Take one line that is no payload, or the part of it that is there; return where it ends."""
        newline = buffer.find(b"\n", start, stop)
        end = stop if newline < 0 else newline + 1
        self._line += buffer[start:end]
        if len(self._line) > LINE_LIMIT_BYTES:
            raise NotHTTPError
        if newline >= 0:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise NotHTTPError
            self._end_line(line[:-2])
        return end

    def _end_line(self, line: bytes) -> None:
        match self._expects:
            case "size":
                self._begin_chunk(line)
            case "end of payload" if line:
                raise NotHTTPError
            case "end of payload":
                self._expects = "size"
            case _:
                self.ended = not line

    def _begin_chunk(self, line: bytes | bytearray) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise NotHTTPError
        self._left = int(found[1], 16)
        self._expects = "payload" if self._left else "trailer"


def _may_be_http(begun: bytearray) -> bool:
    """Tell whether an answer may begin like this."""
    return begun[:7] == b"HTTP/1."[: len(begun[:7])]
