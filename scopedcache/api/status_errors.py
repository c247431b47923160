"""From an answer that is no success to the error to raise: by status, reason and details, not by words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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
from .codec import Status, decode_status
from .impersonation_denial import VERB, missing_right
from .request_info import RequestInfo


def error_of(
    info: RequestInfo, status: int, content_type: str, headers: Mapping[str, str], body: bytes
) -> ScopedCacheError:
    """Turn an answer that is no success into the error to raise.

    Only `application/json` bodies of `kind: Status` speak for the API server; a 403 page of a proxy is a transport
    error, and tells nothing about rights. A 401 is a 401 whatever its body: gateways that check tokens have their own.
    """
    said = decode_status(body) if content_type.endswith("json") else None
    if said is None and status == 403:
        words = body[:200].decode(errors="replace").strip()
        return TransportError(f"{status} from something that is not the API server ({content_type}): {words}")
    return of_status(info, status, said or Status(message=_plain(body, content_type)), headers)


def of_status(info: RequestInfo, code: int, said: Status, headers: Mapping[str, str] | None = None) -> ScopedCacheError:
    """Turn a Status (an answer, or an ERROR line of a watch) into the error to raise."""
    known: dict[str, Any] = {
        "status": code,
        "reason": said.reason,
        "verb": info.verb,
        "resource": info.subject,
        "namespace": info.namespace,
        "name": info.name,
        "details": said.details,
    }
    match code:
        case 401:
            return UnauthorizedError(said.message, **known)
        case 403 if 'User "system:anonymous"' in said.message:
            # No credentials reached the server: the same thing as a 401. Only the message tells who was asking.
            return UnauthorizedError(said.message, **{**known, "status": 401})
        case 403:
            right = missing_right(said.message, said.details)
            if right is not None:  # of the user who asked: it says nothing about the resource, nor about whom we act as
                known |= {"verb": VERB, "resource": right.resource, "namespace": right.namespace, "name": right.name}
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
            return ProtocolError(f"{info.verb} {info.subject}: the answer is a redirect ({code}), not the API server's")
        case _:
            return APIError(said.message, **known)


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
