"""Cut a byte stream into lines, over any chunking, in one linear pass.

A watch is one JSON document per line. A half line at the end of a stream is never an event; `rest` tells of it.
"""

from __future__ import annotations

from typing import Final

from ...errors import ProtocolError

# A line as a span of the buffer it came in: (buffer, start, stop).
Line = tuple[bytes, int, int]

# An object may be 1.5 MiB in etcd (its default limit) and a few times that as JSON; 64 MiB only stops nonsense.
LINE_LIMIT_BYTES: Final = 64 * 2**20


class LineSplitter:
    """Give it chunks, take whole lines (without their newline).

    A long line that comes in many chunks is joined once, at its end, so its cost stays linear.
    """

    def __init__(self, limit: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0

    def spans(self, chunk: bytes) -> list[Line]:
        """Return the lines this chunk completes; empty ones are left out, and only what came in pieces is copied.

        Raises:
            ProtocolError: a line is longer than the limit.
        """
        lines: list[Line] = []
        start, stop = 0, chunk.find(b"\n")
        if stop >= 0 and self._pending:
            self._pending.append(chunk[:stop])
            line = b"".join(self._pending)
            self._pending, self._size = [], 0
            self._check(len(line))
            lines.append((line, 0, len(line)))
            start, stop = stop + 1, chunk.find(b"\n", stop + 1)
        while stop >= 0:
            if stop > start:
                lines.append((chunk, start, stop))
            start, stop = stop + 1, chunk.find(b"\n", stop + 1)
        if len(chunk) > self._limit:  # only then can a line that came whole be too long
            for _, begin, end in lines:
                self._check(end - begin)
        if start < len(chunk):
            self._keep(chunk[start:])
        return lines

    @property
    def rest(self) -> int:
        """Return how many bytes of an unfinished line are held."""
        return self._size

    def _keep(self, part: bytes) -> None:
        self._pending.append(part)
        self._size += len(part)
        self._check(self._size)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise ProtocolError(f"a line of the watch is over the limit of {self._limit} bytes; raise line_limit=")
