"""Which headers go on, and which end here."""

from __future__ import annotations

from scopedcache.web.forwarded_headers import to_caller, to_server, wants_upgrade

GIVEN = [
    ("Host", "proxy"), ("Authorization", "Bearer x"), ("Impersonate-User", "admin"), ("impersonate-group", "a"),
    ("Impersonate-Extra-Scopes", "b"), ("X-Remote-User", "root"), ("X-Remote-Group", "system:masters"),
    ("Cookie", "c"), ("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "5"), ("Accept", "json"),
    ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"),
]  # fmt: skip


def names(headers: list[tuple[str, str]]) -> list[str]:
    return [name for name, _ in headers]


def test_a_caller_goes_on_as_itself() -> None:
    who = ["Authorization", "Impersonate-User", "impersonate-group", "Impersonate-Extra-Scopes"]
    assert names(to_server(GIVEN, own_name=False)) == [*who, "Cookie", "Accept"]


def test_nothing_of_a_caller_says_who_we_are() -> None:
    assert names(to_server(GIVEN, own_name=True)) == ["Accept"]


def test_what_is_about_the_connection_stays_here() -> None:
    answered = [("Content-Type", "a"), ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("Audit-Id", "1")]
    assert names(to_caller(answered)) == ["Content-Type", "Audit-Id"]


def test_a_websocket_is_an_upgrade_and_spdy_is_none() -> None:
    asked = [[("Connection", "Upgrade"), ("Upgrade", to)] for to in ("websocket", "SPDY/3.1")]
    assert [wants_upgrade(headers) for headers in asked] == [True, False]
    assert to_server(asked[0], own_name=False, upgrade=True) == asked[0]
