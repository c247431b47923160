"""Whether a bearer token may get a path of ours: asked of the API server, as controller-runtime does for /metrics.

TokenReview says whose token it is, SubjectAccessReview whether they may `get` the path (a `nonResourceURLs` rule). The
operator needs the right to create both. Answers hold for a while, so that a scrape costs no request.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Literal

from ...api.client import Client
from ...clock import loop_time
from .write_fence import unfenced

Admission = Literal["yes", "unauthenticated", "forbidden"]

# As long as client-go's delegated authentication and authorisation remember a yes, and a no.
YES_SECONDS: Final = 60.0
NO_SECONDS: Final = 10.0
# Tokens that are remembered: strangers may send as many as they like.
REMEMBERED: Final = 64


class TokenAccess:
    """Answers for one path.

    Attributes:
        path: which one.
    """

    def __init__(self, client: Client, path: str, *, timer: Callable[[], float] = loop_time) -> None:
        self._client = client
        self.path = path
        self._timer = timer
        self._known: OrderedDict[bytes, tuple[float, Admission]] = OrderedDict()  # by digest: no token is kept

    async def admit(self, token: str) -> Admission:
        """Return whether the bearer may get the path; waits for the API server where it is not known.

        Raises:
            ScopedCacheError: the API server did not answer, or the operator may not ask.
        """
        digest, now = hashlib.sha256(token.encode()).digest(), self._timer()
        until, admission = self._known.get(digest, (now, "forbidden"))
        if until > now:
            return admission
        admission = await self._ask(token)
        self._known[digest] = (now + (YES_SECONDS if admission == "yes" else NO_SECONDS), admission)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return admission

    async def _ask(self, token: str) -> Admission:
        status = await self._review("authentication.k8s.io/v1", "TokenReview", {"token": token})
        if not status.get("authenticated"):
            return "unauthenticated"
        user = status.get("user", {})
        spec = {
            "user": user.get("username", ""),
            "groups": user.get("groups", []),
            "uid": user.get("uid", ""),
            "extra": user.get("extra", {}),
            "nonResourceAttributes": {"path": self.path, "verb": "get"},
        }
        allowed = await self._review("authorization.k8s.io/v1", "SubjectAccessReview", spec)
        return "yes" if allowed.get("allowed") else "forbidden"

    async def _review(self, api_version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        with unfenced():  # a question is no leader's work
            answer = await self._client.create({"apiVersion": api_version, "kind": kind, "metadata": {}, "spec": spec})
        status: dict[str, Any] = answer.to_dict().get("status", {})
        return status
