"""Where a 403 comes from: the authoriser, admission, impersonation, or something that is not the API server."""

from __future__ import annotations

from ..errors import ForbiddenError
from .impersonation_denial import VERB


def is_impersonation(error: ForbiddenError) -> bool:
    """Tell whether a 403 is about whom we may impersonate, not about the resource asked for (semantics 1.3)."""
    if error.verb == VERB:
        return True
    kind = error.details.get("kind")
    plural = error.resource.partition("/")[0].partition(".")[0]
    return kind in ("users", "groups", "serviceaccounts", "userextras", "uids") and kind != plural
