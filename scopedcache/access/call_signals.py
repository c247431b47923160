"""What the end of one of our own requests says about the permission it needed."""

from __future__ import annotations

from typing import Final

from ..api.denial_origin import is_impersonation
from ..api.permission import Permission
from ..api.request_info import RequestInfo
from ..errors import ForbiddenError, NotFoundError, ScopedCacheError
from ..identity import Identity
from .verdict import Signal

_REVIEWS_GROUP: Final = "authorization.k8s.io"


def needed_permission(info: RequestInfo, identity: Identity | None = None) -> Permission:
    """Return the permission that a request needed, sent as an identity."""
    gvr = info.resource.gvr
    return Permission(info.verb, gvr.group, gvr.resource, info.namespace, info.subresource, info.name, identity)


def is_review(info: RequestInfo) -> bool:
    """Tell whether a request was a review of permissions."""
    return info.resource.gvr.group == _REVIEWS_GROUP


def is_doubtful(info: RequestInfo, error: ScopedCacheError | None) -> bool:
    """Tell whether an error is a reason to review its place: a 403 about the resource itself, by whomever.

    That a review was refused its asker knows, and what it means; a refused impersonation is about somebody else.
    """
    if not isinstance(error, ForbiddenError) or is_impersonation(error):
        return False
    return not is_review(info)


def signal_of(info: RequestInfo, error: ScopedCacheError | None) -> Signal | None:
    """Return what the verdict about the permission is to take; None where the answer does not speak of it."""
    match error:
        case None:
            return "done"
        case ForbiddenError() if error.by == "authorizer" and is_doubtful(info, error):
            return "refused"
        case NotFoundError() if info.verb in ("list", "watch"):
            return "missing"
        case _:
            return None
