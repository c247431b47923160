"""What is stripped from an object before it is kept: `metadata.managedFields`, half of its bytes and read by nobody.

It is cut out of the bytes as they came, without decoding the object. The fast way finds it by its own bytes; what does
not look as API servers write it is taken apart member by member, which is slow and certain.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from ..deep_json import members

_MANAGED_FIELDS: Final = b'"managedFields":['
_METADATA: Final = b'"metadata":{'
_BEFORE_MANAGED: Final = len(_MANAGED_FIELDS) - 1
_BEFORE_BRACE: Final = len(_METADATA) - 1
_COMMA, _BACKSLASH = b",\\"
_encode = msgspec.json.Encoder().encode


def strip_managed_fields(body: bytes, managed: bytes) -> bytes:
    """Return an object without its managedFields, whose value is `managed`."""
    size = len(body)
    stripped = strip_span(body, 0, size, size, managed)
    return _strip_slowly(body) if stripped is None else stripped


def strip_span(buffer: bytes, first: int, head_end: int, stop: int, managed: bytes) -> bytes | None:
    """Return the object in `buffer[first:stop]` without its managedFields, which end before `head_end`.

    None where that cannot be told at a glance: an unescaped `"managedFields":` cannot stand inside a JSON string, and
    labels and annotations hold strings only, so the first one within metadata that is followed by a bracket and these
    very bytes is metadata's own, provided that metadata is the first object within the object, as API servers write it.
    """
    metadata = buffer.find(b"{", first + 1) - _BEFORE_BRACE
    cut = buffer.find(_MANAGED_FIELDS, metadata, head_end)
    after = cut + _BEFORE_MANAGED
    if (
        metadata <= first
        or cut < 0
        or not (buffer.startswith(_METADATA, metadata) and buffer.startswith(managed, after))
    ):
        return None
    if buffer[metadata - 1] == _BACKSLASH:  # the end of another, longer name
        return None
    after += len(managed)
    if buffer[cut - 1] == _COMMA:
        cut -= 1
    elif buffer[after] == _COMMA:
        after += 1
    return buffer[first:cut] + buffer[after:stop]


def _strip_slowly(body: bytes) -> bytes:
    fields = members(body)
    metadata = {name: Raw(value) for name, value in members(fields["metadata"]).items() if name != "managedFields"}
    return _encode({name: metadata if name == "metadata" else Raw(value) for name, value in fields.items()})
