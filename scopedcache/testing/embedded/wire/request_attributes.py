"""What a request asks for, in the words of the authoriser: verb, resource and place, read from its path."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import attrs

from .messages import Request
from .status_errors import StatusError

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_IMPERSONATED: Final = "impersonate-"
_EXTRA: Final = "impersonate-extra-"
_AUTHENTICATION: Final = "authentication.k8s.io"


@attrs.frozen
class User:
    """Who asks. Authenticated users are in `system:authenticated` too."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


@attrs.frozen
class Attributes:
    """What is asked for. `is_resource` False: `path` alone says it.

    `name` is also that of a list or watch with the field selector `metadata.name=…`: `resourceNames` may grant it.
    `user` is who has to be admitted to a write; None where it is only rehearsed.
    """

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user: User | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def subject(self) -> str:
        """Return the resource as messages and the audit log name it: `deployments.apps`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


def attributes_of(request: Request) -> Attributes:
    """Read a request. Nothing is looked up: what is not served has attributes as well."""
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Attributes(_VERBS.get(request.method, request.method.lower()), request.path)
    namespace = ""
    if rest[0] == "namespaces":
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        elif len(rest) > 1:
            namespace = rest[1]  # a namespace is in itself, for the authoriser
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = "/".join(rest[2:3])
    verb = _verb(request, name)
    if verb in ("list", "watch", "deletecollection"):
        name = _selected_name(request.asked("fieldSelector"))
    return Attributes(verb, request.path, True, group, version, resource, subresource, namespace, name)


def is_true(value: str) -> bool:
    """Read a boolean query parameter as the server does: given without a value, it is true."""
    return value.lower() not in ("", "0", "f", "false")


def impersonated(request: Request) -> User | None:
    """Return whom the request pretends to be by; None where it is itself.

    Raises:
        StatusError: groups without a user.
    """
    headers = {key: value for key, value in request.headers.items() if key.startswith(_IMPERSONATED)}
    if not headers:
        return None
    name = headers.pop("impersonate-user", "")
    if not name:
        words = f"requested {sorted(headers)} without impersonating a user"
        raise StatusError(500, "InternalError", f"Internal error occurred: {words}", {"causes": [{"message": words}]})
    return User(name, impersonated_groups(request) or account_groups(name), headers.get("impersonate-uid", ""))


def impersonated_groups(request: Request) -> tuple[str, ...]:
    """Return the groups that a request names itself; those that follow from a ServiceAccount's name need no right."""
    named = request.headers.get("impersonate-group", "").split(",")
    return tuple(part.strip() for part in named if part.strip())


def impersonated_extras(request: Request) -> list[tuple[str, str, str]]:
    """Return group, resource and name of what else a request pretends: its UID, and what is said of its user."""
    uid = request.headers.get("impersonate-uid", "")
    found = [(_AUTHENTICATION, "uids", uid)] if uid else []
    for header, value in request.headers.items():
        if header.startswith(_EXTRA):
            key = unquote(header.removeprefix(_EXTRA))
            found += [(_AUTHENTICATION, f"userextras/{key}", part.strip()) for part in value.split(",")]
    return found


def account_groups(name: str) -> tuple[str, ...]:
    """Return the groups that a ServiceAccount is in by its name; none for other users."""
    parts = name.split(":")
    if len(parts) == 4 and name.startswith("system:serviceaccount:"):
        return "system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"
    return ()


def _verb(request: Request, name: str) -> str:
    if request.method in ("GET", "HEAD"):
        # `watch=…` counts wherever it stands; a watch of one named object is a list with a selector.
        if any(key == "watch" for key, _ in request.query) and is_true(request.asked("watch") or "true"):
            return "watch"
        return "get" if name else "list"
    verb = _VERBS.get(request.method, request.method.lower())
    return "deletecollection" if verb == "delete" and not name else verb


def _selected_name(selector: str) -> str:
    for term in selector.split(","):
        field, _, value = term.partition("=")
        if field.strip() == "metadata.name":
            return value.lstrip("=").strip()
    return ""
