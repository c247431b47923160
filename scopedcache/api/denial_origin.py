"""Where a 403 comes from: the authoriser, admission, impersonation, or something that is not the API server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ..errors import ForbiddenError, Refuser, ScopedCacheError
from .codec import Status, decode_status
from .impersonation_denial import IMPERSONATE
from .permission import Permission
from .ready_answer import ReadyAnswer
from .request_info import RequestInfo

# Asks whether we have a permission (a SelfSubjectAccessReview).
Review = Callable[[Permission], Awaitable[bool]]
# Asks the server that answered whether it is ready.
AskReady = Callable[[], Awaitable[ReadyAnswer]]

# No admission plugin sees these.
READ_VERBS: Final = frozenset({"get", "list", "watch"})
_IMPERSONATED: Final = frozenset({"users", "groups", "serviceaccounts", "userextras", "uids"})


def status_of_api_server(content_type: str, body: bytes) -> Status | None:
    """Return the Status in an answer; None where it does not speak for the API server (a proxy's page)."""
    return decode_status(body) if content_type.endswith("json") else None


def origin_at_a_glance(info: RequestInfo) -> Refuser:
    """Return who refused a request, as far as its verb alone tells."""
    return "authorizer" if info.verb in READ_VERBS else "unknown"


async def ask_origin(info: RequestInfo, review: Review, ready: AskReady, *, apply: bool = False) -> Refuser:
    """Find out who refused a write: quota, PodSecurity and webhooks answer 403 as the authoriser does.

    Waits for as many reviews as there are permissions in question; `unknown` where one of them gets no answer,
    or a "no" from a server that is not ready: that one denies what it will allow.
    """
    try:
        for permission in permissions_in_question(info, apply=apply):
            if not await review(permission):
                return "unknown" if await ready() == "not ready" else "authorizer"
    except ScopedCacheError:
        return "unknown"
    return "admission"


def permissions_in_question(info: RequestInfo, *, apply: bool = False) -> tuple[Permission, ...]:
    """Return the permissions a write needs: where all are held, it was not the authoriser who refused it.

    An apply may also need to create.
    """
    gvr = info.resource.gvr
    return tuple(
        Permission(verb, gvr.group, gvr.resource, info.namespace, info.subresource, info.name)
        for verb in (info.verb, *(("create",) if apply else ()))
    )


def is_impersonation(error: ForbiddenError) -> bool:
    """Tell whether a 403 is about whom we may impersonate, not about the resource asked for (semantics 1.3)."""
    if error.verb == IMPERSONATE:
        return True
    kind = error.details.get("kind")
    plural = error.resource.partition("/")[0].partition(".")[0]
    return kind in _IMPERSONATED and kind != plural
