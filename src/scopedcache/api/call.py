"""What a request asks for, in the server's own terms: verb, resource, place. Paths and errors are made from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

import attrs

from ..errors import (
    AlreadyExistsError,
    APIError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ProtocolError,
    ScopedCacheError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnauthorizedError,
)
from ..objects import Resource
from .codec import Status, decode_status

# What may stand in a segment of a path as it is (RFC 3986, pchar): names of RBAC objects hold colons.
_SAFE = "!$&'()*+,;=:@"


@attrs.frozen
class Call:
    """One request. `namespace` None is the whole cluster; `verb` is the API server's (`deletecollection` …)."""

    verb: str
    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @property
    def path(self) -> str:
        """Return the request path."""
        gvr = self.resource.gvr
        parts = ["", "apis", gvr.group, gvr.version] if gvr.group else ["", "api", gvr.version]
        if self.namespace and self.resource.namespaced:
            parts += ["namespaces", quote(self.namespace, safe=_SAFE)]
        parts.append(gvr.resource)
        # A create of a subresource names its object; a create of an object does not.
        if self.name and (self.verb != "create" or self.subresource) and self.verb not in ("list", "watch"):
            parts.append(quote(self.name, safe=_SAFE))
        if self.subresource:
            parts.append(self.subresource)
        return "/".join(parts)

    @property
    def subject(self) -> str:
        """Return the resource as RBAC names it: `deployments.apps`, `deployments.apps/scale`."""
        base = self.resource.gvr.group_resource
        return f"{base}/{self.subresource}" if self.subresource else base


class Observer(Protocol):
    """Hears how every request of a client ended: the cheapest signal about access."""

    def observed(self, call: Call, error: ScopedCacheError | None) -> None:
        """Take note; `error` None is success. Called on the loop, right after the answer; must not block or raise."""


def error_of(call: Call, status: int, content_type: str, headers: Mapping[str, str], body: bytes) -> ScopedCacheError:
    """Turn an answer that is no success into the error to raise.

    Only `application/json` bodies of `kind: Status` speak for the API server; a 403 page of a proxy is a transport
    error, and tells nothing about rights.
    """
    said = decode_status(body) if content_type.endswith("json") else None
    if said is None and status in (401, 403):
        words = body[:200].decode(errors="replace").strip()
        return TransportError(f"{status} from something that is not the API server ({content_type}): {words}")
    return of_status(call, status, said or Status(message=_plain(body, content_type)), headers)


def of_status(call: Call, code: int, said: Status, headers: Mapping[str, str] | None = None) -> ScopedCacheError:
    """Turn a Status (an answer, or an ERROR line of a watch) into the error to raise."""
    known: dict[str, Any] = {
        "status": code,
        "reason": said.reason,
        "verb": call.verb,
        "resource": call.subject,
        "namespace": call.namespace,
        "name": call.name,
        "details": said.details,
    }
    match code:
        case 401:
            return UnauthorizedError(said.message, **known)
        case 403 if 'User "system:anonymous"' in said.message:
            # No credentials reached the server: the same thing as a 401. Only the message tells who was asking.
            return UnauthorizedError(said.message, **{**known, "status": 401})
        case 403:
            return ForbiddenError(said.message, **known)
        case 404:
            return NotFoundError(said.message, **known)
        case 409:
            kind = AlreadyExistsError if said.reason == "AlreadyExists" else ConflictError
            return kind(said.message, **known)
        case 410:
            return GoneError(said.message, **known)
        case 400 | 422:
            return InvalidError(said.message, **known)
        case 429:
            return TooManyRequestsError(said.message, retry_after=_retry_after(said, headers) or 1.0, **known)
        case _ if code >= 500:
            return ServerError(said.message, retry_after=_retry_after(said, headers), **known)
        case _ if 300 <= code < 400:
            return ProtocolError(f"{call.verb} {call.subject}: the answer is a redirect ({code}), not the API server's")
        case _:
            return APIError(said.message, **known)


def is_impersonation(error: ForbiddenError) -> bool:
    """Tell whether a 403 is about whom we may impersonate, not about the resource asked for (semantics 1.3)."""
    kind = error.details.get("kind")
    plural = error.resource.partition("/")[0].partition(".")[0]
    return kind in ("users", "groups", "serviceaccounts", "userextras", "uids") and kind != plural


def _retry_after(said: Status, headers: Mapping[str, str] | None) -> float | None:
    """Return the pause in seconds; None where none is named, or none that can be waited for (a date, nonsense)."""
    for wanted in ((headers or {}).get("Retry-After"), (said.details or {}).get("retryAfterSeconds")):
        try:
            pause = float(wanted or 0)
        except (TypeError, ValueError):
            continue
        if 0 < pause < math.inf:
            return pause
    return None


def _plain(body: bytes, content_type: str) -> str:
    text = body[:300].decode(errors="replace").strip()
    return f"not JSON but {content_type}: {text}" if "html" in content_type else text
