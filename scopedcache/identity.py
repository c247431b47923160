"""As whom the requests for an owner are sent, where not as the program's own user.

Two ways lead there, and each takes another right of the program's own user: impersonation (`As`), which the server is
asked for with each request, and a token of a ServiceAccount (`ServiceAccount`), which the server gives for an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
_Extra = tuple[tuple[str, tuple[str, ...]], ...]


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


def _extra(values: Mapping[str, str | Iterable[str]] | _Extra) -> _Extra:
    pairs = values.items() if isinstance(values, Mapping) else values
    return tuple(sorted((key, _texts(value)) for key, value in pairs))


def _check_text(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute.name}={value!r} of {type(instance).__name__} is no name")
    _check_printable(attribute.name, value)


def _check_uid(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    _check_printable(attribute.name, value)


def _check_groups(instance: object, attribute: attrs.Attribute[tuple[str, ...]], values: tuple[str, ...]) -> None:
    for value in values:
        if not value:
            raise ValueError(f"{attribute.name}={values!r}: a group has a name")
        _check_printable(attribute.name, value)


def _check_extra(instance: object, attribute: attrs.Attribute[_Extra], pairs: _Extra) -> None:
    for key, values in pairs:
        for value in (key, *values):
            _check_printable(attribute.name, value)


def _check_printable(what: str, value: str) -> None:
    """Refuse what no header can carry, or what would begin another one."""
    if any(ord(char) < 32 or ord(char) in (127, 0xFFFD) or 0xD800 <= ord(char) < 0xE000 for char in value):
        raise ValueError(f"{what}={value!r} holds what cannot be sent in a header")


def _check_segment(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    _check_text(instance, attribute, value)
    if "/" in value or ":" in value or value in (".", ".."):
        raise ValueError(f"{attribute.name}={value!r} is no name of a ServiceAccount or namespace")


@attrs.frozen(cache_hash=True)
class As:
    """Somebody whom the program acts as by impersonation.

    It takes the right to `impersonate` each part of it: `users`, or `serviceaccounts` where `user` is one's full name
    (`system:serviceaccount:NAMESPACE:NAME`), `groups`, and of `authentication.k8s.io`, `uids` and `userextras/KEY`.

    Attributes:
        user: the user name.
        groups: the groups, without those that the server adds (`system:authenticated`).
        uid: the UID; empty for none.
        extra: what else an authenticator says of a user, by key; one value, or several.

    Raises:
        ValueError: there is no user, or something of it cannot be sent.
    """

    user: str = attrs.field(validator=_check_text)
    groups: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_check_groups, kw_only=True)
    uid: str = attrs.field(default="", validator=_check_uid, kw_only=True)
    extra: _Extra = attrs.field(default=(), converter=_extra, validator=_check_extra, kw_only=True)

    def __str__(self) -> str:
        groups = f" in {', '.join(self.groups)}" if self.groups else ""
        uid = f" with UID {self.uid}" if self.uid else ""
        return f"{self.user}{groups}{uid}"


@attrs.frozen(cache_hash=True)
class ServiceAccount:
    """A ServiceAccount whose token the program asks for (TokenRequest), and renews before it ends.

    It takes the right to `create` `serviceaccounts/token` in its namespace; who holds a token is that account wholly,
    and audit logs name it alone.

    Raises:
        ValueError: one of them is no name.
    """

    namespace: str = attrs.field(validator=_check_segment)
    name: str = attrs.field(validator=_check_segment)

    def __str__(self) -> str:
        return f"{SERVICE_ACCOUNT_PREFIX}{self.namespace}:{self.name}"


Identity = As | ServiceAccount


def as_whom(identity: Identity | None) -> str:
    """Return an identity in words, as the end of a sentence; nothing for the program's own user."""
    return "" if identity is None else f" as {identity}"
