"""Cut JSON into its members or elements without going into them: for what is nested deeper than a decoder dares.

An API server takes objects nested ten thousand levels deep, a decoder that recurses gives up at a thousand, and whoever
may create one custom resource could blind everybody who watches its kind. This is the slow way around: it counts
brackets. What it is given must be JSON, as it is when a decoder went that deep into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},:]', re.DOTALL)
_OPEN, _CLOSE = frozenset(b"[{"), frozenset(b"]}")


def members(body: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object, their values as they are written."""
    values: dict[str, bytes] = {}
    for part in _parts(body):
        name = _TOKEN.match(part)
        if name is not None:
            values[msgspec.json.decode(name.group())] = part[part.index(b":", name.end()) + 1 :].strip()
    return values


def elements(body: bytes) -> list[bytes]:
    """Return the elements of a JSON array as they are written; none for anything else."""
    return [part for part in _parts(body) if part] if body[:1] == b"[" else []


def _parts(body: bytes) -> Iterator[bytes]:
    """Yield what stands between the commas of the outermost brackets."""
    depth, begin = 0, 0
    for token in _TOKEN.finditer(body):
        mark = body[token.start()]
        if mark in _OPEN:
            depth += 1
            if depth == 1:
                begin = token.end()
        elif mark in _CLOSE:
            depth -= 1
            if depth == 0:
                yield body[begin : token.start()].strip()
                return
        elif mark == 0x2C and depth == 1:  # a comma
            yield body[begin : token.start()].strip()
            begin = token.end()
