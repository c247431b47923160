"""Cut a byte stream into lines, over any chunking, in one linear pass.

A watch is one JSON document per line. A half line at the end of a stream is never an event: it is dropped and said.
"""

from __future__ import annotations

from ..errors import ProtocolError

# An object may be 1.5 MiB in etcd (its default limit) and a few times that as JSON; 64 MiB only stops nonsense.
LINE_LIMIT = 64 * 2**20


class LineSplitter:
    """Feed it chunks, take whole lines (without their newline).

    A long line that comes in many chunks is joined once, at its end, so its cost stays linear.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines this chunk completes; empty lines are left out.

        Raises:
            ProtocolError: a line is longer than the limit.
        """
        lines = chunk.split(b"\n")
        if len(lines) == 1:
            self._keep(chunk)
            return []
        if self._pending:
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
            self._pending, self._size = [], 0
            self._check(len(lines[0]))
        rest = lines.pop()
        if len(chunk) > self._limit:  # only then can a line that came whole be too long
            for line in lines:
                self._check(len(line))
        if rest:
            self._keep(rest)
        return [line for line in lines if line] if b"" in lines else lines

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
