"""Read the lines of one watch as cheaply as they can be read: the hot path.

Three savings over `codec.decode_event`, which is the slow and certain way (docs/decisions/0002-records.md):
- Only the head of a line, up to `"spec"`, is decoded. A successful decode of the head, closed by three braces, proves
  that it ended where metadata ends. The tail is kept unread: that it is JSON shows when somebody reads the object.
- Labels, owner references and namespaces repeat from object to object; they are looked up by their bytes and shared.
- A line is a span of the buffer it came in, and is copied once, without its managedFields.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import msgspec

from ...objects import NOTHING, Entry, Metadata, OwnerReference
from ..codec import decode_event
from .line_splitter import Line

# Distinct label sets and owner references that one watch remembers; beyond that it starts anew.
REMEMBERED_VALUES = 8192

_MANAGED = b'"managedFields":'
_METADATA = b'"metadata":{'
_SPEC = b'},"spec":{'
_OBJECT = b'","object":{'
_COMMA = ord(",")
_BEFORE_TYPE = len(b'{"type":"')
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class _Wire(msgspec.Struct, gc=False, rename="camel"):
    """Metadata as it comes: what repeats stays bytes until it was looked up."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: msgspec.Raw = NOTHING
    owner_references: msgspec.Raw = NOTHING
    finalizers: tuple[str, ...] | None = None
    managed_fields: msgspec.Raw = NOTHING


class _WireObject(msgspec.Struct, gc=False, rename="camel"):
    metadata: _Wire
    api_version: str
    kind: str


class _WireLine(msgspec.Struct, gc=False):
    type: str
    object: _WireObject


_line = msgspec.json.Decoder(_WireLine).decode
_labels = msgspec.json.Decoder(dict[str, str] | None).decode
_owners = msgspec.json.Decoder(tuple[OwnerReference, ...] | None).decode


class EventDecoder:
    """Reads the lines of one kind; what they share is remembered here."""

    def __init__(self) -> None:
        self._labels: dict[bytes, Any] = {b"": None}
        self._owners: dict[bytes, tuple[OwnerReference, ...] | None] = {b"": None}
        self._namespaces: dict[str, str] = {}

    def read(self, line: Line) -> tuple[str, Entry]:
        """Return the type of an event and its entry.

        Raises:
            ProtocolError: the line is not a watch event.
        """
        buffer, start, stop = line
        end = buffer.find(_SPEC, start, stop)
        if end >= 0:
            try:
                event = _line(buffer[start:end] + b"}}}")
                body = _body(buffer, start, end, stop, event)
                if body is not None:
                    return event.type, Entry(self._record(event.object.metadata), body)
            except _UNREADABLE:
                pass  # not in the form it is usually written in
        slow = decode_event(buffer[start:stop])
        return slow.type, slow.entry

    def _record(self, wire: _Wire) -> Metadata:
        labels, owners = bytes(wire.labels), bytes(wire.owner_references)
        if labels not in self._labels:
            if len(self._labels) >= REMEMBERED_VALUES:
                self._labels = {b"": None}
            found = _labels(labels)
            self._labels[labels] = MappingProxyType(found) if found is not None else None
        if owners not in self._owners:
            if len(self._owners) >= REMEMBERED_VALUES:
                self._owners = {b"": None}
            self._owners[owners] = _owners(owners)
        return Metadata(
            wire.name,
            self._namespaces.setdefault(wire.namespace, wire.namespace),
            wire.uid,
            wire.resource_version,
            wire.generation,
            wire.creation_timestamp,
            wire.deletion_timestamp,
            self._labels[labels],
            self._owners[owners],
            wire.finalizers,
        )


def _body(buffer: bytes, start: int, end: int, stop: int, event: _WireLine) -> bytes | None:
    """Return the object's bytes without managedFields; None where they do not stand where they usually do."""
    first = start + _BEFORE_TYPE + len(event.type) + len(_OBJECT) - 1
    if not (buffer.startswith(_OBJECT, first - len(_OBJECT) + 1) and buffer.endswith(b"}}", start, stop)):
        return None
    managed = event.object.metadata.managed_fields
    if managed is NOTHING:
        return buffer[first : stop - 1]
    # The same reasoning as in codec._without: the first managedFields with these bytes, metadata being the first
    # object within the object.
    cut = buffer.find(_MANAGED, first, end)
    after = cut + len(_MANAGED)
    fields = bytes(managed)
    metadata_first = buffer.startswith(_METADATA, buffer.find(b"{", first + 1) - len(_METADATA) + 1)
    if cut < 0 or not metadata_first or not buffer.startswith(fields, after):
        return None
    after += len(fields)
    if buffer[cut - 1] == _COMMA:
        cut -= 1
    elif buffer[after] == _COMMA:
        after += 1
    return buffer[first:cut] + buffer[after : stop - 1]
