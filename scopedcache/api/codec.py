"""JSON to entries and back, the slow and certain way: one typed pass, managedFields cut from the bytes that are kept.

The pass decodes `{type, object: {apiVersion, kind, metadata}}` and skips the rest; the object's own bytes are sliced
out of the line. event_reader.py reads watches faster. Measured in docs/decisions/0002-records.md.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw

from ..errors import ProtocolError
from ..kinds import GVK
from ..objects import NOTHING, Entry, Metadata
from .deep_json import elements, members

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
# Changes the bytes of an object before they are kept: takes and returns a dict.
Transform = Callable[[dict[str, Any]], dict[str, Any]]

_FIELD = b'"managedFields":'
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class WatchEvent(NamedTuple):
    """One line of a watch."""

    type: str
    entry: Entry
    kind: str
    api_version: str


class Status(msgspec.Struct, frozen=True):
    """The body of a refusal."""

    kind: str = ""
    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class _Partial(msgspec.Struct, gc=False, rename="camel"):
    metadata: Metadata
    api_version: str = ""
    kind: str = ""


class _Line(msgspec.Struct, gc=False):
    type: str
    object: _Partial


class _ErrorLine(msgspec.Struct):
    object: Status


class _ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")
    remaining_item_count: int | None = None


class ListPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of a list; the items are still bytes."""

    items: list[msgspec.Raw] | None = None
    metadata: _ListMetadata = _ListMetadata()
    kind: str = ""
    api_version: str = ""


class _BookmarkMetadata(msgspec.Struct, frozen=True):
    annotations: dict[str, str] | None = None


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: _BookmarkMetadata


class _BookmarkLine(msgspec.Struct, frozen=True):
    object: _BookmarkObject


# What decoding foreign bytes may raise; a ValidationError is a DecodeError.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)

_line = msgspec.json.Decoder(_Line).decode
_error_line = msgspec.json.Decoder(_ErrorLine).decode
_bookmark_line = msgspec.json.Decoder(_BookmarkLine).decode
_partial = msgspec.json.Decoder(_Partial).decode
_list_metadata = msgspec.json.Decoder(_ListMetadata).decode
_page = msgspec.json.Decoder(ListPage).decode
_status = msgspec.json.Decoder(Status).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode
_reset = msgspec.structs.force_setattr
encode = msgspec.json.Encoder().encode


def decode_event(line: bytes) -> WatchEvent:
    """Read one line of a watch. The entry of a BOOKMARK or an ERROR carries no bytes worth keeping.

    Raises:
        ProtocolError: the line is not a watch event.
    """
    try:
        event = _line(line)
    except msgspec.ValidationError:
        return _unusual(line)
    except _UNREADABLE as error:
        raise ProtocolError(f"a line of the watch is not JSON: {error}") from error
    except RecursionError:
        return _deep_event(line)
    part = event.object
    return WatchEvent(event.type, _entry(part.metadata, _object_bytes(line, event.type)), part.kind, part.api_version)


def decode_error(line: bytes) -> Status:
    """Read the Status that an ERROR line carries."""
    try:
        return _error_line(line).object
    except _UNREADABLE as error:
        raise ProtocolError(f"an ERROR line of the watch is not readable: {error}") from error


def ends_initial_events(line: bytes) -> bool:
    """Tell whether this BOOKMARK line is the marked end of a streaming list."""
    if INITIAL_EVENTS_END.encode() not in line:
        return False
    try:
        return (_bookmark_line(line).object.metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
    except _UNREADABLE:
        return False


def decode_object(body: bytes) -> tuple[Entry, GVK]:
    """Read one object.

    Raises:
        ProtocolError: the body is not an API object.
    """
    try:
        try:
            part = _partial(body)
        except RecursionError:
            part = _partial(metadata_bytes(body))
    except _UNREADABLE as error:
        raise ProtocolError(f"the answer is not an API object: {error}") from error
    return _entry(part.metadata, bytes(body)), GVK.of(part.api_version, part.kind)


def decode_page(body: bytes) -> ListPage:
    """Read one page of a list.

    Raises:
        ProtocolError: the body is not a list.
    """
    try:
        try:
            page = _page(body)
        except RecursionError:
            page = _deep_page(body)
    except _UNREADABLE as error:
        raise ProtocolError(f"the answer is not a list: {error}") from error
    # Go writes a nil slice as null, so a list may come without items; anything else must not read as an empty one.
    if page.items is None and not page.kind.endswith("List"):
        raise ProtocolError(f"the answer is not a list: it is a {page.kind or 'document without a kind'}")
    return page


def decode_status(body: bytes) -> Status | None:
    """Read a Status; None where the body is anything else."""
    try:
        status = _status(body)
    except _UNREADABLE:
        return None
    return status if status.kind == "Status" else None


def metadata_bytes(body: bytes) -> bytes:
    """Keep of an object its apiVersion, kind and metadata alone."""
    fields = members(body)
    return encode({name: Raw(fields[name]) for name in ("apiVersion", "kind", "metadata") if name in fields})


def transformed(entry: Entry, transform: Transform) -> Entry:
    """Return the entry with its bytes passed through a user's transform. The metadata record stays the server's."""
    return Entry(entry.metadata, encode(transform(_any(entry.raw))))


def _deep_event(line: bytes) -> WatchEvent:
    """Read an event whose object is nested deeper than the typed pass goes, though it only passes over it."""
    fields = members(line)
    try:
        type_ = msgspec.json.decode(fields.get("type", b""), type=str)
    except _UNREADABLE as error:
        raise ProtocolError(f"a line of the watch is not a watch event: {error}") from error
    entry, gvk = decode_object(fields.get("object", b""))
    return WatchEvent(type_, entry, gvk.kind, gvk.api_version)


def _deep_page(body: bytes) -> ListPage:
    fields = members(body)
    metadata = _list_metadata(fields.get("metadata", b"{}"))
    kind = msgspec.json.decode(fields.get("kind", b'""'), type=str)
    items = [Raw(item) for item in elements(fields["items"])] if "items" in fields else None
    return ListPage(items, metadata, kind)


def _unusual(line: bytes) -> WatchEvent:
    """Read what the typed pass refused: an ERROR line (its Status has list metadata), or nonsense."""
    try:
        kind = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if msgspec.json.decode(kind["type"], type=str) == "ERROR":
            return WatchEvent("ERROR", Entry(Metadata(), b""), "Status", "v1")
    except (*_UNREADABLE, KeyError, RecursionError):
        pass
    raise ProtocolError(f"a line of the watch is not a watch event: {line[:120]!r}")


def _object_bytes(line: bytes, type_: str) -> bytes:
    """Slice the object out of `{"type":"ADDED","object":{…}}`, which is how every API server writes it."""
    start = 9 + len(type_) + 11  # {"type":" + type + ","object":
    if line.startswith(b'","object":', 9 + len(type_)) and line.endswith(b"}}"):
        return line[start:-1]
    return bytes(_fields(line)["object"])


def _entry(metadata: Metadata, body: bytes) -> Entry:
    if metadata.labels is not None:
        _reset(metadata, "labels", MappingProxyType(metadata.labels))
    managed = metadata.managed_fields
    if managed is NOTHING:
        return Entry(metadata, body)
    _reset(metadata, "managed_fields", NOTHING)
    return Entry(metadata, _without(body, bytes(managed)))


def _without(body: bytes, managed: bytes) -> bytes:
    """Cut `"managedFields":…` from metadata.

    An unescaped `"managedFields":` cannot stand inside a JSON string, and labels and annotations hold strings only, so
    the first `"managedFields":` followed by these very bytes is metadata's own, provided that metadata comes before
    every other field of the object, as API servers write it. Anything else takes the slow and certain way.
    """
    start = body.find(_FIELD)
    head = body.find(b'"metadata":{')
    after = start + len(_FIELD)
    if not (0 <= head < start and body.startswith(managed, after) and managed[:1] == b"["):
        return _without_slowly(body)
    if body[head - 1 : head] not in (b"{", b",") or body.find(b"{", 1) != head + 11:
        return _without_slowly(body)
    end = after + len(managed)
    if body[start - 1 : start] == b",":
        start -= 1
    elif body[end : end + 1] == b",":
        end += 1
    return body[:start] + body[end:]


def _without_slowly(body: bytes) -> bytes:
    fields = members(body)
    metadata = {name: Raw(value) for name, value in members(fields["metadata"]).items() if name != "managedFields"}
    return encode({name: metadata if name == "metadata" else Raw(value) for name, value in fields.items()})
