"""Bodies in protobuf, which kubectl sends from its typed commands: `create …`, `auth can-i`, `create token`.

Read only, and only the fields that have a number in `wire`; answers are JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from .builtin_types import FIELDS, NUMBERS
from .status_errors import Body

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"


def decode(body: bytes) -> Body | None:
    """Return the object in a body; None where its kind is none that we know.

    Raises:
        ValueError: it is not protobuf.
    """
    if not body.startswith(_MAGIC):
        raise ValueError("the body does not begin as protobuf of Kubernetes does")
    envelope = dict(_fields(body[len(_MAGIC) :]))
    about = _message("TypeMeta", envelope.get(1, b""))
    kind = about.get("kind", "")
    if not NUMBERS.get(kind):
        return None
    return {**about, **_message(kind, envelope.get(2, b""))}


def _message(kind: str, body: bytes) -> Body:
    found: Body = {}
    for number, value in _fields(body):
        name = NUMBERS[kind].get(number)
        if name is None:
            continue
        type_ = FIELDS[kind][name]
        if type_.startswith("[]"):
            found.setdefault(name, []).append(_value(type_[2:], value))
        elif type_.startswith("{}"):
            pair = dict(_fields(value))
            found.setdefault(name, {})[pair.get(1, b"").decode()] = _value(type_[2:], pair.get(2, b""))
        elif (read := _value(type_, value)) != "":  # Go writes empty strings too
            found[name] = read
    return found


def _value(type_: str, value: Any) -> Any:
    match type_:
        case "s":
            return value.decode()
        case "b":
            return base64.b64encode(value).decode()
        case "t":
            return bool(value)
        case "i":
            return value - 2**64 if value >= 2**63 else value
        case "IntOrString":
            pair = dict(_fields(value))
            return pair.get(3, b"").decode() if pair.get(1) else pair.get(2, 0)
    return _message(type_, value)


def _fields(body: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and raw values of a message: integers, and bytes for all that has a length."""
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(body, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(body, at)
            yield number, body[at : at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[wire] if wire in (1, 5) else len(body)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(body):
            raise ValueError("the body ends in the middle of a number")
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
