"""Objects that the typed pass refuses, read field by field: what Go, and kubectl, would make of them.

Servers that are not written in Go write null for what is empty, text that is no text, numbers nobody has, and nest as
deep as they like. `null` is "not there", wherever it stands; text is repaired; what is beyond the metadata is not
looked at. What cannot be read then is one object's trouble: `identity_of` says whose, as far as that can be known.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..broken_text import repair_text
from ..deep_json import members
from ..objects import Metadata

_FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Metadata))
_IDENTITY: Final = ("name", "namespace", "uid", "resourceVersion")
_NULL: Final = b"null"
_any = msgspec.json.Decoder().decode


class OddObject(msgspec.Struct, frozen=True):
    """What could be read of an object; `body` is its bytes, repaired where they were no text."""

    metadata: Metadata
    api_version: str
    kind: str
    body: bytes


def read_odd_object(body: bytes) -> OddObject:
    """Read an object field by field.

    Raises:
        DecodeError, UnicodeDecodeError, RecursionError: it cannot be read.
    """
    body = repair_text(body)
    fields = members(body)
    if "metadata" not in fields:
        raise msgspec.ValidationError("Object missing required field `metadata`")
    found = members_of(fields, "metadata")
    values = {name: _value(name, found[name]) for name in _FIELDS if found.get(name, _NULL) != _NULL}
    metadata: Metadata = msgspec.convert(values, Metadata)
    return OddObject(metadata, _text(fields.get("apiVersion")), _text(fields.get("kind")), body)


def members_of(fields: dict[str, bytes], name: str) -> dict[str, bytes]:
    """Return the members of a member; none where it is null, or not there.

    Raises:
        DecodeError: it is anything but an object.
    """
    value = fields.get(name, _NULL)
    if value == _NULL:
        return {}
    if not value.startswith(b"{"):
        raise msgspec.ValidationError(f"Expected `object` - at `$.{name}`")
    return members(value)


def identity_of(body: bytes) -> Metadata | None:
    """Return the name, namespace, UID and version of an object nobody can read; None where it has no name."""
    try:
        found = members_of(members(repair_text(body)), "metadata")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    known = {name: value for name in _IDENTITY if (value := _text(found.get(name)))}
    return msgspec.convert(known, Metadata) if "name" in known else None


def _value(name: str, raw: bytes) -> Any:
    if name == "managedFields":
        return msgspec.Raw(raw)
    value = _any(raw)
    match name, value:
        case "labels", dict():  # Go reads a null among texts as an empty text
            return {label: "" if text is None else text for label, text in value.items()}
        case "ownerReferences", list():
            return [
                {field: part for field, part in one.items() if part is not None} if isinstance(one, dict) else one
                for one in value
                if one is not None
            ]
        case "finalizers", list():
            return [one for one in value if one is not None]
    return value


def _text(raw: bytes | None) -> str:
    """Return a text, an empty one where there is none."""
    try:
        value = _any(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""
