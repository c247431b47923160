"""The bodies of answers: objects, pages of lists and Statuses from JSON, and JSON again.

An object is read in one typed pass over its apiVersion, kind and metadata, which skips the rest; its bytes are kept,
without managedFields. Measured in docs/decisions/0002-records.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..broken_text import repair_text
from ..deep_json import element_steps, finish, member_steps, members
from ..errors import ProtocolError
from ..kinds import GVK
from ..objects import NOTHING, Entry, Metadata
from .odd_objects import identity_of, members_of, read_odd_object
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


class Unreadable(msgspec.Struct, frozen=True):
    """An object that could not be read: whose it is, as far as that is known, and why."""

    identity: Metadata | None
    why: str


# What decoding foreign bytes may raise; a ValidationError is a DecodeError.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)

_partial = msgspec.json.Decoder(_Partial).decode
_list_metadata = msgspec.json.Decoder(_ListMetadata).decode
_page = msgspec.json.Decoder(ListPage).decode
_status = msgspec.json.Decoder(_StatusBody, strict=False).decode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_reset = msgspec.structs.force_setattr
encode = msgspec.json.Encoder().encode


def decode_object(body: bytes) -> tuple[Entry, GVK]:
    """Read one object.

    Raises:
        ProtocolError: the body is not an API object.
    """
    try:
        part = _partial(body)
    except (*UNREADABLE, RecursionError) as error:
        return _decode_odd_object(body, error)
    return entry_of(part.metadata, bytes(body)), GVK.of(part.api_version, part.kind)


def _decode_odd_object(body: bytes, refusal: Exception) -> tuple[Entry, GVK]:
    try:
        odd = read_odd_object(body)
    except (*UNREADABLE, RecursionError):
        raise ProtocolError(f"the answer is not an API object: {refusal}") from refusal
    return entry_of(odd.metadata, odd.body), GVK.of(odd.api_version, odd.kind)


def decode_items(page: ListPage) -> tuple[list[Entry], list[Unreadable]]:
    """Read the objects of a page; one that cannot be read takes none of the others with it."""
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    for raw in page.items or ():
        body = bytes(raw)
        if body == b"null":
            continue
        try:
            entries.append(decode_object(body)[0])
        except ProtocolError as error:
            unreadable.append(Unreadable(identity_of(body), str(error)))
    return entries, unreadable


def decode_page(body: bytes) -> ListPage:
    """Read one page of a list.

    Raises:
        ProtocolError: the body is not a list.
    """
    return finish(page_steps(body))


def page_steps(body: bytes) -> Generator[None, None, ListPage]:
    """Do what `decode_page` does in steps: one odd object among many makes it slow."""
    try:
        try:
            page = _page(body)
        except (*UNREADABLE, RecursionError):
            page = yield from _odd_page(body)
    except (*UNREADABLE, RecursionError) as error:
        raise ProtocolError(f"the answer is not a list: {error}") from error
    # Go writes a nil slice as null, so a list may come without items; anything else must not read as an empty one.
    if page.items is None and not page.kind.endswith("List"):
        raise ProtocolError(f"the answer is not a list: it is a {page.kind or 'document without a kind'}")
    return page


def _odd_page(body: bytes) -> Generator[None, None, ListPage]:
    """Take a list apart without looking into its items: what is odd may be one of them."""
    fields = yield from member_steps(repair_text(body))
    metadata = {name: value for name, value in members_of(fields, "metadata").items() if value != b"null"}
    known = _list_metadata(encode({name: Raw(value) for name, value in metadata.items()}))
    kind = msgspec.json.decode(fields.get("kind", b"null"), type=str | None)
    items = fields.get("items", b"null")
    if items == b"null":
        return ListPage(None, known, kind or "")
    if not items.startswith(b"["):
        raise msgspec.ValidationError("Expected `array` - at `$.items`")
    parts = yield from element_steps(items)
    return ListPage([Raw(part) for part in parts], known, kind or "")


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
    fields: Mapping[str, bytes | Raw]
    try:
        fields = _fields(body)
    except (*UNREADABLE, RecursionError):
        fields = members(repair_text(body))
    return encode({name: Raw(fields[name]) for name in ("apiVersion", "kind", "metadata") if name in fields})


def encode_body(value: Any) -> bytes:
    """Return what is sent to the server as JSON.

    Raises:
        ValueError: it holds a number or a text that JSON has no word for. In JSON a NaN would become null, and null in
            a merge patch deletes.
        TypeError: it holds something that is no JSON at all.
    """
    body = encode(value)
    if b"null" in body:
        path = _path_to_no_number(msgspec.to_builtins(value), "")
        if path is not None:
            raise ValueError(f"JSON has no word for the number at {path or 'the top'}")
    return body


def _path_to_no_number(value: Any, path: str) -> str | None:
    """Return where a NaN or an infinity stands; None where there is none."""
    match value:
        case float():
            return None if math.isfinite(value) else path
        case dict():
            found = (_path_to_no_number(part, f"{path}.{name}" if path else str(name)) for name, part in value.items())
        case list() | tuple():
            found = (_path_to_no_number(part, f"{path}[{number}]") for number, part in enumerate(value))
        case _:
            return None
    return next((path for path in found if path is not None), None)
