"""Until when this process may write as the leader, and which writes that is asked of: decisions; `write_fence.py` acts.

Plain and synchronous: the clock comes in, and it has to be one that goes on while the machine is suspended.
"""

from __future__ import annotations

from typing import Final

from ...api.request_info import RequestInfo

# What changes nothing that another leader cares for: questions about ourselves, and tokens.
_SELF_REVIEWS: Final = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"})
_REVIEW_GROUPS: Final = frozenset({"authorization.k8s.io", "authentication.k8s.io"})


class LeaderFence:
    """Closed, until a leadership opens it up to its deadline."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def open_until(self, deadline: float) -> None:
        """Let writes pass before `deadline`: the Lease was renewed."""
        self._until = deadline

    def close(self) -> None:
        """Let nothing pass: we lead no more."""
        self._until = float("-inf")

    def seconds_left(self, now: float) -> float:
        """Return for how long writes may still be sent; none or less: they may not."""
        return self._until - now


def is_fenced(info: RequestInfo) -> bool:
    """Tell whether a write is a leader's to make; self-reviews and TokenRequests are anybody's."""
    gvr = info.resource.gvr
    if gvr.group in _REVIEW_GROUPS and gvr.resource in _SELF_REVIEWS:
        return False
    return (gvr.group, gvr.resource, info.subresource) != ("", "serviceaccounts", "token")
