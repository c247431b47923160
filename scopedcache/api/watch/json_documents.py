"""Lines of a watch that are not one document each: blanks, several documents on a line, one over several lines.

The API promises a series of JSON documents, and every API server ends each with a newline, which is what the fast way
relies on. Proxies send blanks to keep a connection alive; servers in other languages leave newlines out or add some.
"""

from __future__ import annotations

import json
import re
from typing import Final

from ...errors import ProtocolError
from .line_splitter import LINE_LIMIT_BYTES

_BLANKS: Final = b" \t\r\n"
# Outside of a text, and only there, one document ends and the next one begins like this.
_BETWEEN: Final = re.compile(rb'\}\s*\{\s*"')
# It reads control characters in texts, NaN and halves of surrogate pairs: whether those may be is for others to say.
_document = json.JSONDecoder(strict=False).raw_decode


def may_be_several(line: bytes) -> bool:
    """Tell whether a line may hold more than one document."""
    return _BETWEEN.search(line) is not None


class JSONDocuments:
    """Give it a line that cannot be read, take the documents it completes."""

    def __init__(self, limit: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._look_at = 0  # parts held when to look next: at ever longer distances, so that the cost stays linear

    @property
    def begun(self) -> bool:
        """Tell whether the lines so far end within a document: the next line belongs to it."""
        return bool(self._parts)

    @property
    def rest(self) -> int:
        """Return how many bytes of an unfinished document are held."""
        return self._size

    def take(self, line: bytes) -> list[bytes]:
        """Return the documents that a line completes; none where it is blank, or the middle of one.

        Raises:
            ProtocolError: it is no JSON, whatever came after it.
        """
        if not self._parts and not line.strip(_BLANKS):
            return []
        self._parts.append(line)
        self._size += len(line)
        if self._size > self._limit:
            raise ProtocolError(f"a document of the watch is over the limit of {self._limit} bytes; raise line_limit=")
        closes = line.rstrip(_BLANKS).endswith(b"}")
        if len(self._parts) < self._look_at and not (closes and self._opens_at_the_left(line)):
            return []
        return self._look()

    def _opens_at_the_left(self, line: bytes) -> bool:
        """Tell whether a closing line stands as far to the left as the first one: there a document may end."""
        return _indent(line) <= _indent(self._parts[0])

    def _look(self) -> list[bytes]:
        text = b"\n".join(self._parts)
        found: list[bytes] = []
        at = 0
        # Each byte as one character: positions are those of the bytes, and what a text says does not matter here.
        characters = text.decode("latin-1")
        while at < len(text):
            if characters[at] in " \t\r\n":
                at += 1
                continue
            try:
                if characters[at] != "{":
                    raise json.JSONDecodeError("a document is an object", characters, at)
                _, end = _document(characters, at)
            except json.JSONDecodeError as error:
                if error.pos < len(text.rstrip(_BLANKS)):
                    raise ProtocolError(f"a line of the watch is not a watch event: {text[:120]!r}") from error
                self._hold([text[at:]] if found else self._parts)
                return found
            except RecursionError:
                raise ProtocolError("a line of the watch is nested too deep to be told from others") from None
            found.append(text[at:end])
            at = end
        self._parts, self._size, self._look_at = [], 0, 0
        return found

    def _hold(self, parts: list[bytes]) -> None:
        self._parts, self._size, self._look_at = parts, sum(map(len, parts)), 2 * len(parts)


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(_BLANKS))
