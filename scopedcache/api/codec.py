"""The bodies of answers: objects, pages of lists and Statuses from JSON, and JSON again.

An object is read in one typed pass over its apiVersion, kind and metadata, which skips the rest; its bytes are kept,
without managedFields. Measured in docs/decisions/0002-records.md.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import ProtocolError
from ..kinds import GVK
from ..objects import NOTHING, Entry, Metadata
from .deep_json import elements, members
from .strip_managed_fields import strip_managed_fields

# Changes the bytes of an object before they are kept: takes and returns a dict.
Transform = Callable[[dict[str, Any]], dict[str, Any]]


class Status(msgspec.Struct, frozen=True):
    """The body of a refusal; what it leaves out, or writes as null, is empty."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


class _StatusBody(msgspec.Struct, frozen=True):
    """A Status as it comes, perhaps from a server that is not written in Go."""

    kind: str | None = None
    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: Any = None

    def to_status(self) -> Status:
        details = self.details if isinstance(self.details, dict) else None
        return Status(self.kind or "", self.message or "", self.reason or "", self.code or 0, details)


class _Partial(msgspec.Struct, gc=False, rename="camel"):
    metadata: Metadata
    api_version: str = ""
    kind: str = ""


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


# What decoding foreign bytes may raise; a ValidationError is a DecodeError.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)

_partial = msgspec.json.Decoder(_Partial).decode
_list_metadata = msgspec.json.Decoder(_ListMetadata).decode
_page = msgspec.json.Decoder(ListPage).decode
_status = msgspec.json.Decoder(_StatusBody, strict=False).decode
_any = msgspec.json.Decoder().decode
_reset = msgspec.structs.force_setattr
encode = msgspec.json.Encoder().encode


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
    except UNREADABLE as error:
        raise ProtocolError(f"the answer is not an API object: {error}") from error
    return entry_of(part.metadata, bytes(body)), GVK.of(part.api_version, part.kind)


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
    except UNREADABLE as error:
        raise ProtocolError(f"the answer is not a list: {error}") from error
    # Go writes a nil slice as null, so a list may come without items; anything else must not read as an empty one.
    if page.items is None and not page.kind.endswith("List"):
        raise ProtocolError(f"the answer is not a list: it is a {page.kind or 'document without a kind'}")
    return page


def decode_status(body: bytes) -> Status | None:
    """Read a Status; None where the body is anything else."""
    try:
        status = read_status(body)
    except (*UNREADABLE, RecursionError):
        return None
    return status if status.kind == "Status" else None


def read_status(body: bytes) -> Status:
    """Read a Status where there must be one; raises one of `UNREADABLE` where there is none."""
    return _status(body).to_status()


def entry_of(metadata: Metadata, body: bytes) -> Entry:
    """Return the entry to keep: the record with read-only labels, the bytes without managedFields."""
    if metadata.labels is not None:
        _reset(metadata, "labels", MappingProxyType(metadata.labels))
    managed = metadata.managed_fields
    if managed is NOTHING:
        return Entry(metadata, body)
    _reset(metadata, "managed_fields", NOTHING)
    return Entry(metadata, strip_managed_fields(body, bytes(managed)))


def metadata_bytes(body: bytes) -> bytes:
    """Keep of an object its apiVersion, kind and metadata alone."""
    fields = members(body)
    return encode({name: Raw(fields[name]) for name in ("apiVersion", "kind", "metadata") if name in fields})


def apply_transform(entry: Entry, transform: Transform) -> Entry:
    """Return the entry with its bytes passed through a user's transform. The metadata record stays the server's."""
    return Entry(entry.metadata, encode(transform(_any(entry.raw))))


def _deep_page(body: bytes) -> ListPage:
    fields = members(body)
    metadata = _list_metadata(fields.get("metadata", b"{}"))
    kind = msgspec.json.decode(fields.get("kind", b'""'), type=str)
    items = [Raw(item) for item in elements(fields["items"])] if "items" in fields else None
    return ListPage(items, metadata, kind)
