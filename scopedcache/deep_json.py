"""Cut JSON into its members or elements without going into them: for what is nested deeper than a decoder dares.

An API server takes objects nested ten thousand levels deep, a decoder that recurses gives up at a thousand, and whoever
may create one custom resource could blind everybody who watches its kind. The same goes for one object with a number
or a word that JSON does not know. This is the slow way around: it counts brackets, and looks at nothing between them.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Final, TypeVar

import msgspec

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},:"]', re.DOTALL)
_MEMBER: Final = re.compile(rb'("(?:[^"\\]++|\\.)*+")\s*:', re.DOTALL)
_CLOSED_BY: Final = {b"["[0]: b"]"[0], b"{"[0]: b"}"[0]}
_CLOSING: Final = frozenset(b"]}")
_COMMA: Final = b","[0]
_QUOTE: Final = b'"'[0]
# Some hundred microseconds of work.
TOKENS_PER_STEP: Final = 512

T = TypeVar("T")


def members(body: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object, their values as they are written; none for anything else.

    Raises:
        DecodeError: its brackets do not close, something follows them, or a name is no text.
    """
    return finish(member_steps(body))


def elements(body: bytes) -> list[bytes]:
    """Return the elements of a JSON array as they are written; none for anything else.

    Raises:
        DecodeError: its brackets do not close, or something follows them.
    """
    return finish(element_steps(body))


def member_steps(body: bytes) -> Generator[None, None, dict[str, bytes]]:
    """Do what `members` does in steps; megabytes take longer than the loop may be held."""
    values: dict[str, bytes] = {}
    for part in _parts(body, b"{"):
        if part is None:
            yield
            continue
        found = _MEMBER.match(part)
        if found is not None:
            values[msgspec.json.decode(found[1], type=str)] = part[found.end() :].strip()
        elif part:
            raise msgspec.DecodeError("a member of an object has no name")
    return values


def element_steps(body: bytes) -> Generator[None, None, list[bytes]]:
    """Do what `elements` does in steps."""
    found = []
    for part in _parts(body, b"["):
        if part is None:
            yield
        elif part:
            found.append(part)
    return found


def finish(steps: Generator[None, None, T]) -> T:
    """Take all steps now, and return what they end with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: T = end.value
            return answer


def _parts(body: bytes, opening: bytes) -> Iterator[bytes | None]:
    """Yield what stands between the commas of the outermost brackets, and None now and then."""
    if not body.lstrip().startswith(opening):
        return
    closing: list[int] = []
    begin = 0
    for number, token in enumerate(_TOKEN.finditer(body), 1):
        if number % TOKENS_PER_STEP == 0:
            yield None
        mark = body[token.start()]
        if mark == _QUOTE and token.end() - token.start() == 1:
            raise msgspec.DecodeError("a text does not end")
        if mark in _CLOSED_BY:
            closing.append(_CLOSED_BY[mark])
            if len(closing) == 1:
                begin = token.end()
        elif mark in _CLOSING:
            if not closing or closing.pop() != mark:
                raise msgspec.DecodeError("a bracket closes that was not opened")
            if not closing:
                yield body[begin : token.start()].strip()
                if body[token.end() :].strip():
                    raise msgspec.DecodeError("something follows the last bracket")
                return
        elif mark == _COMMA and len(closing) == 1:
            yield body[begin : token.start()].strip()
            begin = token.end()
    raise msgspec.DecodeError("the brackets do not close")
