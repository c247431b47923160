"""What may be shown of texts that may hold secrets.

Errors, log lines, metrics and pages carry our own words. What foreign programs and libraries say is reduced here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

HIDDEN: Final = "[hidden]"
# A plugin's last words are at the end; an error should still fit on a screen.
WORDS_LIMIT_CHARS: Final = 300
# Shorter values (a profile called "dev", a "1") would blot out ordinary words; short ones are hidden as whole words.
SHORTEST_SECRET_CHARS: Final = 4
_SHORT_SECRET_CHARS: Final = 8

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_JWT = re.compile(r"\b[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_=-]*")
# Long and of mixed kinds: what people do not type. Words, paths and host names have separators.
_OPAQUE = re.compile(r"(?=[A-Za-z0-9+_=~-]*[0-9])(?=[A-Za-z0-9+_=~-]*[A-Za-z])[A-Za-z0-9+_=~-]{32,}")
_NAMED = re.compile(
    r"(?i)\b((?:[\w-]*(?:token|passw(?:or)?d|passphrase|secret|api[_-]?key|credential)s?|bearer|basic|authorization)"
    r"[\"']?(?:\s*[:=]\s*|\s+(?=[\"']))(?:bearer\s+|basic\s+)?[\"']?)([^\s\"',;]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer\s+|basic\s+)(?=\S*[0-9])([A-Za-z0-9+/._~=-]{8,})")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]*(?:@[^\s/@]*)*@")


def without_password(url: str) -> str:
    """Return a URL as messages may show it: without user and password."""
    scheme, mark, rest = url.rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{mark}{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def url_parts(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where it is none; what Python says of a broken one quotes the password."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts


def words_of_program(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the last words of a program in one line, `secrets` and whatever looks like one hidden."""
    shown = hide(_ESCAPES.sub("", text), secrets)
    for pattern in (_USERINFO, _BEARER, _NAMED):
        shown = pattern.sub(rf"\g<1>{HIDDEN}", shown)
    for pattern in (_JWT, _OPAQUE):
        shown = pattern.sub(HIDDEN, shown)
    line = _UNPRINTABLE.sub(" ", shown).strip()
    return line if len(line) <= WORDS_LIMIT_CHARS else f"…{line[-WORDS_LIMIT_CHARS:]}"


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text with these values hidden, the longest first: one may hold another."""
    for secret in sorted({secret for secret in secrets if len(secret) >= SHORTEST_SECRET_CHARS}, key=len, reverse=True):
        if len(secret) >= _SHORT_SECRET_CHARS:
            text = text.replace(secret, HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def hide_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return the body of an answer with these values hidden: some gateways send back what they were sent."""
    for secret in secrets:
        if len(secret) >= _SHORT_SECRET_CHARS:  # a shorter one might stand there as a word: `pods`
            body = body.replace(secret.encode(), HIDDEN.encode())
    return body
