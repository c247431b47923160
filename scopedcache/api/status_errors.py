"""From an answer that is no success to the error to raise: by status, reason and details, not by words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

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

# What a reason stands for where a Status carries no code (apimachinery goes by the reason first, too).
CODES: Final = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "NotAcceptable": 406,
    "AlreadyExists": 409,
    "Conflict": 409,
    "Expired": 410,
    "Gone": 410,
    "RequestEntityTooLarge": 413,
    "UnsupportedMediaType": 415,
    "Invalid": 422,
    "TooManyRequests": 429,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "Timeout": 504,
    "ServerTimeout": 504,
}
# A version, or a continue token, that is too old is that whatever the code beside it says, as for client-go; but what
# is said about rights (401, 403) is said by the code alone.
_GONE: Final = frozenset({"Expired", "Gone"})


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
        words = f"{code} from something that is not the API server ({content_type}): {words}"
        return TransportError(words, connected=True)
    return error_from_status(info, code, status or Status(message=_plain_text(body, content_type)), headers)


def error_not_json(info: RequestInfo, content_type: str, body: bytes) -> ScopedCacheError:
    """Return the error for an answer that claims success and is no JSON."""
    words = body[:120].decode(errors="replace").strip()
    return ProtocolError(
        f"{info.verb} {info.subject}: the answer is {content_type}, not JSON ({words!r}); is the server address right?"
    )


def error_from_event(info: RequestInfo, status: Status) -> ScopedCacheError:
    """Turn the Status of an ERROR event into the error to raise, whatever it leaves out."""
    code = status.code if 400 <= status.code <= 599 else 0
    return error_from_status(info, code or CODES.get(status.reason, 500), status)


def error_from_status(
    info: RequestInfo, code: int, status: Status, headers: Mapping[str, str] | None = None
) -> ScopedCacheError:
    """Turn a Status into the error to raise."""
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
        case _ if status.reason in _GONE:
            return GoneError(status.message, **known)
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
    """Return the pause in seconds; None where none is named, or none that can be waited for (nonsense, the past)."""
    fields = {name.lower(): value for name, value in (headers or {}).items()}
    asked = fields.get("retry-after", "")
    for value in (
        asked,
        _seconds_until(asked, fields.get("date", "")),
        (status.details or {}).get("retryAfterSeconds"),
    ):
        try:
            pause = float(value or 0)
        except (TypeError, ValueError, OverflowError):
            continue
        if 0 < pause < math.inf:
            return pause
    return None


def _seconds_until(date: str, now: str) -> float | None:
    """Return the seconds from one HTTP date to another: both are the server's, so its clock need not be ours."""
    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(now)).total_seconds()
    except (TypeError, ValueError, OverflowError):  # one of them is none, or they are of different sorts
        return None


def _plain_text(body: bytes, content_type: str) -> str:
    text = body[:300].decode(errors="replace").strip()
    return f"not JSON but {content_type}: {text}" if "html" in content_type else text
