"""A 403 about whom we may impersonate: which right is missing. Only the message tells it from one about the resource.

It names the user who asked, not the one acted as, and `impersonate`. Since 1.35 there are two forms: the right to
impersonate by itself, and, where nothing of that is granted, the constrained one, which names the resource asked for:

    groups "g" is forbidden: User "boss" cannot impersonate resource "groups" in API group "" at the cluster scope
    pods is forbidden: User "boss" cannot impersonate-on:user-info:list resource "pods" in API group "" …
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

IMPERSONATE: Final = "impersonate"
# What is quoted may hold anything, so the words are looked for where the server puts them: behind the first user.
_DENIED: Final = re.compile(
    r'\bforbidden: User "(?:[^"\\]|\\.)*" cannot (?P<verb>impersonate(?:-on)?(?::(?P<mode>[a-z-]+))?\S*) '
    r'(?:resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?|path )'
)
# The modes of constrained impersonation, and what each needs where it is not constrained.
_OF_MODE: Final = {"serviceaccount": "serviceaccounts"}


@attrs.frozen
class ImpersonationRight:
    """The right to impersonate somebody, or something of them."""

    resource: str
    namespace: str | None = None
    name: str | None = None


def missing_right(message: str, details: Mapping[str, Any] | None = None) -> ImpersonationRight | None:
    """Return the right that the user who asked lacks, None where the 403 is about something else.

    `name` is None where the server does not say whom it is about.
    """
    denied = _DENIED.search(message)
    if denied is None:
        return None
    if denied["verb"] != IMPERSONATE:
        return ImpersonationRight(_OF_MODE.get(denied["mode"] or "", "users"))
    resource, slash, subresource = (denied["resource"] or "users").partition("/")
    named = f"{resource}.{denied['group']}" if denied["group"] else resource
    name = (details or {}).get("name")
    return ImpersonationRight(named + slash + subresource, denied["namespace"], str(name) if name else None)
