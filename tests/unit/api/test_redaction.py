"""What may be shown of texts that may hold secrets."""

import errno
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.identity.exec_credential import secrets_of
from scopedcache.api.identity.redaction import WORDS_LIMIT_CHARS, hide, hide_bytes, without_password, words_of_program
from scopedcache.api.identity.rest_config import ExecPlugin
from scopedcache.api.identity.system_errors import words_of_system


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the SSO session has expired: run aws sso login", "the SSO session has expired: run aws sso login"),
        ("line one\n\n  line two\r\n", "line one   line two"),
        ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\x00", "red text"),
        ("token: abc", "token: [hidden]"),
        ("the token has expired", "the token has expired"),
        ('{"access_token": "abc", "x": 1}', '{"access_token": "[hidden]", "x": 1}'),
        ("client-secret=abc&x", "client-secret=[hidden]"),
        ("Authorization: Bearer abc", "Authorization: Bearer [hidden]"),
        ("sent bearer abc12345", "sent bearer [hidden]"),
        ("basic authentication is off", "basic authentication is off"),
        ("at https://me:pw@host/path", "at https://[hidden]host/path"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "got [hidden]"),
        ("got 0123456789abcdef0123456789abcdef01", "got [hidden]"),
        ("none: /usr/local/lib/python3.11/site-packages/x", "none: /usr/local/lib/python3.11/site-packages/x"),
        ("PASSWORD='a b'", "PASSWORD='[hidden] b'"),
    ],
)  # fmt: skip
def test_the_words_of_a_program_are_shown_without_secrets(said, shown):
    assert words_of_program(said) == shown


def test_of_many_words_the_last_are_shown():
    words = words_of_program("x " * 1000 + "the end")
    assert (len(words) <= WORDS_LIMIT_CHARS + 1, words[-7:], words[0]) == (True, "the end", "…")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8), st.text(), st.text())
def test_a_known_secret_is_never_shown(secret, before, after):
    assert secret not in hide(f"{before}{secret}{after}", [secret]).replace("[hidden]", "\0")


@given(st.binary(), st.text("abc", min_size=8, max_size=9))
def test_a_known_secret_is_never_left_in_a_body(body, secret):
    assert secret.encode() not in hide_bytes(body + secret.encode() + body, [secret])


def test_a_short_secret_takes_no_word_out_of_a_body():
    assert hide_bytes(b'{"kind": "pods"}', ["pods"]) == b'{"kind": "pods"}'


def test_a_short_value_is_hidden_as_a_word_and_does_not_blot_out_others():
    assert hide("work in a network of dev", ["work", "dev"]) == "[hidden] in a network of dev"


def test_what_a_plugin_was_given_in_confidence():
    args = ("get-token", "--client-secret", "abcd", "--password=efgh", "--name", "mine", "--use-token", "--flag")
    plugin = ExecPlugin("x", "v1", "Never", args, (("A", "own"),))
    inherited = {"AWS_SECRET_ACCESS_KEY": "deep", "HOME": "/root"}
    assert set(secrets_of(plugin, inherited)) == {"own", "deep", "abcd", "efgh"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host:1/a", "https://host:1/a"),
        ("https://me:p@w@host", "https://host"),
        ("https://host/a?token=b", "https://host/a"),
        ("me:pw@host", "host"),
        ("host:1", "host:1"),
        ("", ""),
    ],
)
def test_a_URL_is_shown_without_user_and_password(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "connect to secret"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("secret"), "OSError"),
        (ssl.SSLError(1, "secret"), "TLS: failed"),
        (ValueError("secret"), "ValueError"),
    ],
)
def test_of_a_foreign_error_what_the_system_says_is_kept(error, words):
    assert words_of_system(error) == words
