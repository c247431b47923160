"""Which headers go on, and which end here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Headers = list[tuple[str, str]]

# They are about one connection, not about the request (RFC 9110, 7.6.1).
_HOP_BY_HOP: Final = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
# Said by whoever connects to the server, which is us.
_OURS: Final = frozenset({"host", "expect"})
# Who it is that asks. Where we ask in our own name, whatever the caller says of itself must not go with it.
_IDENTITY: Final = ("authorization", "cookie", "impersonate-", "x-remote-")


def to_server(headers: Iterable[tuple[str, str]], *, own_name: bool, upgrade: bool = False) -> Headers:
    """Return the headers of a caller that the API server is sent.

    Never those that a front proxy is believed (`X-Remote-User` …); where we ask in our own name, none that says who
    asks. `upgrade` keeps what changes the protocol of the connection.
    """
    given = list(headers)
    dropped = _connection_names(given) | _HOP_BY_HOP | _OURS
    kept = [(name, value) for name, value in given if name.lower() not in dropped and not _is_spoofed(name, own_name)]
    if upgrade:
        kept += [(name, value) for name, value in given if name.lower() in ("connection", "upgrade")]
    return kept


def to_caller(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers of an answer that the caller is sent."""
    given = list(headers)
    dropped = _connection_names(given) | _HOP_BY_HOP
    return [(name, value) for name, value in given if name.lower() not in dropped]


def wants_upgrade(headers: Iterable[tuple[str, str]]) -> bool:
    """Tell whether a request wants to go on as a WebSocket."""
    given = list(headers)
    to = {value.strip().lower() for name, value in given if name.lower() == "upgrade"}
    return "upgrade" in _connection_names(given) and to == {"websocket"}


def _is_spoofed(name: str, own_name: bool) -> bool:
    low = name.lower()
    return low.startswith("x-remote-") or (own_name and low.startswith(_IDENTITY))


def _connection_names(headers: Headers) -> frozenset[str]:
    """Return the headers that `Connection` names: they end here as well."""
    values = (value for name, value in headers if name.lower() == "connection")
    return frozenset(word.strip().lower() for value in values for word in value.split(","))
