"""Acting as somebody else: the headers that say so, and the right that is missing where a server refuses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .rest_config import Headers

_PREFIX: Final = "Impersonate-"
# What may stand in the name of a header (RFC 9110, token), without `%`, which marks what is escaped.
_PLAIN: Final = frozenset("!#$&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def headers_for(user: str, uid: str, groups: Sequence[str], extra: Mapping[str, Sequence[str]]) -> Headers:
    """Return the headers of an impersonation, a header for each value."""
    named = [(f"{_PREFIX}User", user)] + ([(f"{_PREFIX}Uid", uid)] if uid else [])
    named += [(f"{_PREFIX}Group", group) for group in groups]
    named += [(f"{_PREFIX}Extra-{_escaped(key)}", value) for key, values in extra.items() for value in values]
    return tuple(named)


def headers_among(headers: Mapping[str, str]) -> Headers:
    """Return those headers of a ready client that name whom it acts as."""
    return tuple((name, str(value)) for name, value in headers.items() if name.lower().startswith(_PREFIX.lower()))


def _escaped(key: str) -> str:
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in key.encode())
