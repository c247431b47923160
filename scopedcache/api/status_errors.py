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
from .codec import Status
from .denial_origin import status_of_api_server
from .impersonation_denial import IMPERSONATE, missing_right
from .request_info import RequestInfo


def error_from_answer(
    info: RequestInfo, code: int, content_type: str, headers: Mapping[str, str], body: bytes
) -> ScopedCacheError:
    """Turn an answer that is no success into the error to raise.

    Only `application/json` bodies of `kind: Status` speak for the API server; a 403 page of a proxy is a transport
    error, and tells nothing about rights. A 401 is a 401 whatever its body: gateways that check tokens have their own.
    """
    status = status_of_api_server(content_type, body)
    if status is None and code == 403:
        words = body[:200].decode(errors="replace").strip()
        return TransportError(f"{code} from something that is not the API server ({content_type}): {words}")
    return error_from_status(info, code, status or Status(message=_plain_text(body, content_type)), headers)


def error_not_json(info: RequestInfo, content_type: str, body: bytes) -> ScopedCacheError:
    """Return the error for an answer that claims success and is no JSON."""
    words = body[:120].decode(errors="replace").strip()
    return ProtocolError(
        f"{info.verb} {info.subject}: the answer is {content_type}, not JSON ({words!r}); is the server address right?"
    )


def error_from_status(
    info: RequestInfo, code: int, status: Status, headers: Mapping[str, str] | None = None
) -> ScopedCacheError:
    """Turn a Status (an answer, or an ERROR line of a watch) into the error to raise."""
    known: dict[str, Any] = {
        "status": code,
        "reason": status.reason,
        "verb": info.verb,
        "resource": info.subject,
        "namespace": info.namespace,
        "name": info.name,
        "details": status.details,
    }
    match code:
        case 401:
            return UnauthorizedError(status.message, **known)
        case 403 if 'User "system:anonymous"' in status.message:
            # No credentials reached the server: the same thing as a 401. Only the message tells who was asking.
            return UnauthorizedError(status.message, **{**known, "status": 401})
        case 403:
            right = missing_right(status.message, status.details)
            if right is not None:  # of the user who asked: it says nothing about the resource, nor about whom we act as
                known |= {"verb": IMPERSONATE, "resource": right.resource, "namespace": right.namespace}
                known["name"] = right.name
            return ForbiddenError(status.message, **known)
        case 404:
            return NotFoundError(status.message, **known)
        case 409:
            kind = AlreadyExistsError if status.reason == "AlreadyExists" else ConflictError
            return kind(status.message, **known)
        case 410:
            return GoneError(status.message, **known)
        case 400 | 422:
            return InvalidError(status.message, **known)
        case 429:
            return TooManyRequestsError(status.message, retry_after=_retry_after(status, headers) or 1.0, **known)
        case _ if code >= 500:
            return ServerError(status.message, retry_after=_retry_after(status, headers), **known)
        case _ if 300 <= code < 400:
            return ProtocolError(f"{info.verb} {info.subject}: the answer is a redirect ({code}), not the API server's")
        case _:
            return APIError(status.message, **known)


def _retry_after(status: Status, headers: Mapping[str, str] | None) -> float | None:
    """Return the pause in seconds; None where none is named, or none that can be waited for (a date, nonsense)."""
    for value in ((headers or {}).get("Retry-After"), (status.details or {}).get("retryAfterSeconds")):
        try:
            pause = float(value or 0)
        except (TypeError, ValueError):
            continue
        if 0 < pause < math.inf:
            return pause
    return None


def _plain_text(body: bytes, content_type: str) -> str:
    text = body[:300].decode(errors="replace").strip()
    return f"not JSON but {content_type}: {text}" if "html" in content_type else text
