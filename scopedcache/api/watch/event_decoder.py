"""Read the lines of one watch as cheaply as they can be read (the hot path), and every odd one slowly and certainly.

Three savings over the slow way (docs/decisions/0002-records.md):
- Only the head of a line, up to `"spec"`, is decoded. A successful decode of the head, closed by three braces, proves
  that it ended where metadata ends. The tail is kept unread: that it is JSON shows when somebody reads the object.
- Labels, owner references and namespaces repeat from object to object; they are looked up by their bytes and shared.
- A line is a span of the buffer it came in, and is copied once, without its managedFields.

The slow way is one typed pass over `{type, object: {metadata}}`; the object's own bytes are sliced out of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ...broken_text import repair_text
from ...deep_json import members
from ...errors import ProtocolError
from ...objects import NOTHING, Entry, Metadata, OwnerReference
from ..codec import UNREADABLE, Status, decode_object, encode, entry_of, read_status
from ..odd_objects import identity_of
from ..strip_managed_fields import strip_span
from .line_splitter import Line

# The type of an event (`ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`, or one not invented yet), and what
# it is about. The entry of a BOOKMARK or an ERROR carries no bytes worth keeping.
WatchEvent = tuple[str, Entry]

# The type given to an event about an object that nobody can read: of its metadata there is what tells whose it is, and
# its bytes say, in words, why.
UNREADABLE_OBJECT: Final = "UNREADABLE_OBJECT"

# Distinct label sets, and as many owner references, that one watch remembers.
REMEMBERED_VALUES: Final = 8192
# Marks the BOOKMARK that ends the list with which a streaming watch begins (KEP-3157).
INITIAL_EVENTS_END_ANNOTATION: Final = "k8s.io/initial-events-end"

_SPEC: Final = b'},"spec":{'
_OBJECT: Final = b'","object":{'
_BEFORE_TYPE: Final = len(b'{"type":"')
_BEFORE_OBJECT: Final = len(_OBJECT) - 1


class _HeadMetadata(msgspec.Struct, gc=False, rename="camel"):
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


class _HeadObject(msgspec.Struct, gc=False, rename="camel"):
    metadata: _HeadMetadata
    api_version: str
    kind: str


class _Head(msgspec.Struct, gc=False):
    type: str
    object: _HeadObject


class _Partial(msgspec.Struct, gc=False, rename="camel"):
    metadata: Metadata
    api_version: str = ""
    kind: str = ""


class _Line(msgspec.Struct, gc=False):
    type: str
    object: _Partial


class _ErrorLine(msgspec.Struct):
    object: msgspec.Raw


class _BookmarkMetadata(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: _BookmarkMetadata


class _BookmarkLine(msgspec.Struct, frozen=True):
    object: _BookmarkObject


_head = msgspec.json.Decoder(_Head).decode
_labels = msgspec.json.Decoder(dict[str, str] | None).decode
_owners = msgspec.json.Decoder(tuple[OwnerReference, ...] | None).decode
_line = msgspec.json.Decoder(_Line).decode
_error_line = msgspec.json.Decoder(_ErrorLine).decode
_bookmark_line = msgspec.json.Decoder(_BookmarkLine).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_string = msgspec.json.Decoder(str).decode


class _SharedValues:
    """What was decoded from which bytes, so that the same bytes give the same value.

    In two generations: when the young one is full it becomes the old one, and what is asked for again comes back out of
    that. Values that nobody asks for go with it; those in use stay, however many there are of the others.
    """

    __slots__ = ("_decode", "_old", "young")

    def __init__(self, decode: Callable[[bytes], Any]) -> None:
        self._decode = decode
        self.young: dict[bytes, Any] = {b"": None}
        self._old: dict[bytes, Any] = {}

    def find(self, raw: bytes) -> Any:
        """Return the value of bytes that the young generation does not hold."""
        value = self._old[raw] if raw in self._old else self._decode(raw)
        if len(self.young) >= REMEMBERED_VALUES // 2:
            self._old, self.young = self.young, {b"": None}
        self.young[raw] = value
        return value

    def __len__(self) -> int:
        return len(self.young) + len(self._old)


class EventDecoder:
    """Reads the lines of one kind; what they share is remembered here."""

    def __init__(self) -> None:
        self._labels = _SharedValues(_frozen_labels)
        self._owners = _SharedValues(_owners)
        self._namespaces: dict[str, str] = {}

    def read(self, line: Line) -> WatchEvent:
        """Return the type of an event and its entry.

        Raises:
            ProtocolError: the line is not a watch event.
        """
        buffer, start, stop = line
        head_end = buffer.find(_SPEC, start, stop)
        if head_end >= 0:
            try:
                event = _head(buffer[start:head_end] + b"}}}")
                metadata = event.object.metadata
                first = start + _BEFORE_TYPE + len(event.type) + _BEFORE_OBJECT
                if buffer.startswith(_OBJECT, first - _BEFORE_OBJECT) and buffer.endswith(b"}}", start, stop):
                    managed = metadata.managed_fields
                    if managed is NOTHING:
                        body: bytes | None = buffer[first : stop - 1]
                    else:
                        body = strip_span(buffer, first, head_end, stop - 1, bytes(managed))
                    if body is not None:
                        return event.type, Entry(self._record(metadata), body)
            except UNREADABLE:
                pass  # not in the form it is usually written in
        return decode_event(buffer[start:stop])

    def _record(self, head: _HeadMetadata) -> Metadata:
        labels, owners = bytes(head.labels), bytes(head.owner_references)
        labels_of, owners_of = self._labels.young, self._owners.young
        return Metadata(
            head.name,
            self._namespaces.setdefault(head.namespace, head.namespace),
            head.uid,
            head.resource_version,
            head.generation,
            head.creation_timestamp,
            head.deletion_timestamp,
            labels_of[labels] if labels in labels_of else self._labels.find(labels),
            owners_of[owners] if owners in owners_of else self._owners.find(owners),
            head.finalizers,
        )

    def __len__(self) -> int:
        """Return how many values are remembered."""
        return len(self._labels) + len(self._owners)


def _frozen_labels(raw: bytes) -> Mapping[str, str] | None:
    decoded = _labels(raw)
    return None if decoded is None else MappingProxyType(decoded)


def decode_event(line: bytes) -> WatchEvent:
    """Read one line of a watch, the slow and certain way.

    Raises:
        ProtocolError: the line is not a watch event.
    """
    try:
        event = _line(line)
    except (*UNREADABLE, RecursionError) as error:
        return _odd_event(line, error)
    return event.type, entry_of(event.object.metadata, _object_bytes(line, event.type))


def decode_error(line: bytes) -> Status:
    """Read the Status that an ERROR line carries."""
    try:
        return read_status(bytes(_error_line(line).object))
    except (*UNREADABLE, RecursionError) as error:
        raise ProtocolError(f"an ERROR line of the watch is not readable: {error}") from error


def ends_initial_events(line: bytes) -> bool:
    """Tell whether this BOOKMARK line is the marked end of a streaming list."""
    if INITIAL_EVENTS_END_ANNOTATION.encode() not in line:
        return False
    try:
        return (_bookmark_line(line).object.metadata.annotations or {}).get(INITIAL_EVENTS_END_ANNOTATION) == "true"
    except UNREADABLE:
        return False


def _odd_event(line: bytes, refusal: Exception) -> WatchEvent:
    """Read what the typed pass refused: an ERROR (its Status has list metadata), an odd object, or nonsense."""
    nonsense = f"a line of the watch is not a watch event: {line[:120]!r}"
    try:
        fields = members(repair_text(line))
        type_, body = _string(fields["type"]), fields["object"]
    except (*UNREADABLE, KeyError) as error:
        raise ProtocolError(nonsense) from error
    if type_ == "ERROR":
        return type_, Entry(Metadata(), b"")
    try:
        return type_, decode_object(body)[0]
    except ProtocolError:
        identity = identity_of(body)
        if identity is None:  # it may be about any object: a list is what helps
            raise ProtocolError(nonsense) from refusal
        if type_ == "DELETED":
            return type_, Entry(identity, encode({"metadata": identity}))
        return UNREADABLE_OBJECT, Entry(identity, str(refusal).encode())


def _object_bytes(line: bytes, type_: str) -> bytes:
    """Slice the object out of `{"type":"ADDED","object":{…}}`, which is how every API server writes it."""
    start = _BEFORE_TYPE + len(type_) + _BEFORE_OBJECT
    if line.startswith(_OBJECT, start - _BEFORE_OBJECT) and line.endswith(b"}}"):
        return line[start:-1]
    return bytes(_fields(line)["object"])
