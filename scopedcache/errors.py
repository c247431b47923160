"""The errors, named by who must act.

    ScopedCacheError
    ├─ APIError              the server said no
    │   ├─ UnauthorizedError      401
    │   ├─ ForbiddenError         403
    │   ├─ NotFoundError          404
    │   ├─ ConflictError          409
    │   │   └─ AlreadyExistsError 409
    │   ├─ GoneError              410
    │   ├─ InvalidError           400, 422
    │   ├─ TooManyRequestsError   429
    │   └─ ServerError            5xx
    ├─ TransportError        nobody answered
    ├─ ProtocolError         the answer could not be read
    ├─ ConfigurationError    the way to the server is not described, or described wrongly
    ├─ CacheError            asked at the wrong time
    │   ├─ NotSyncedError · NotWatchedError · ScopeClosedError · UnknownKindError · NoSuchIndexError
    │   └─ NotLeaderError     a leader's write, when this process does not lead
    └─ TerminalError         raised by a reconciler: do not retry

Catch the family, handle the leaf. Decide by class and attribute, never by message text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from .clock import wall_time
from .identity import Identity, as_whom

Refuser = Literal["authorizer", "admission", "unknown"]


class ScopedCacheError(Exception):
    """Everything this library raises on purpose."""


class APIError(ScopedCacheError):
    """The API server answered, and the answer was a refusal.

    Attributes:
        status: the HTTP status code.
        reason: the reason of the Status body (`Forbidden`, `NotFound` …), or the HTTP phrase where there was none.
        message: the server's own words.
        verb, resource, namespace, name: what was asked for; `resource` reads like `deployments.apps`, a subresource
            like `deployments.apps/scale`; `namespace` is None for the whole cluster.
        details: the `details` of the Status body; empty where there was none.
        identity: as whom it was asked, where not as the program's own user.
        cluster: which cluster was asked, where not the manager's own (`Clusters`).
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        reason: str = "",
        verb: str = "",
        resource: str = "",
        namespace: str | None = None,
        name: str | None = None,
        details: Mapping[str, Any] | None = None,
        identity: Identity | None = None,
        cluster: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.details: Mapping[str, Any] = details or {}
        self.identity = identity
        self.cluster = cluster

    @property
    def causes(self) -> tuple[Mapping[str, Any], ...]:
        """Return the causes that the details name, each with `reason`, `message` and `field` where it has them."""
        causes = self.details.get("causes")
        return tuple(one for one in causes if isinstance(one, Mapping)) if isinstance(causes, list | tuple) else ()

    @property
    def subject(self) -> str:
        """Return the request in words: `watch pods in namespace denied`."""
        named = f' "{self.name}"' if self.name else ""
        place = where(self.namespace) + of_cluster(self.cluster)
        return f"{self.verb} {self.resource}{named} {place}{as_whom(self.identity)}".strip()

    def __str__(self) -> str:
        text = f"{self.status} {self.message or self.reason or 'no message'}"
        return f"{self.subject}: {text}" if self.verb else text


class UnauthorizedError(APIError):
    """401: the credentials are missing, expired or unknown to the server; they were reloaded once before this."""


class ForbiddenError(APIError):
    """403: the identity may not do this here.

    Attributes:
        since: when the refusal was first seen (UTC); the time of this error, unless told otherwise.
        by: `authorizer` (RBAC or another authoriser), `admission` (quota, PodSecurity, a webhook) or `unknown`.
        cached: True where no request was sent because a review, or an earlier refusal, had settled it.
        missing: all that is known to be missing of what its owner declared there, this included, one error for each;
            empty where this is all that is known.
    """

    def __init__(
        self,
        message: str = "",
        *,
        since: datetime | None = None,
        by: Refuser = "unknown",
        cached: bool = False,
        missing: Sequence[ForbiddenError] = (),
        **rest: Any,
    ) -> None:
        super().__init__(message, **{"status": 403, "reason": "Forbidden", **rest})
        self.since = since or wall_time()
        self.by: Refuser = by
        self.cached = cached
        self.missing: tuple[ForbiddenError, ...] = tuple(missing)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return all that is missing in words, what the error itself is about first: `list pods in namespace a`."""
        return tuple(dict.fromkeys((self.subject, *(error.subject for error in self.missing))))

    def __str__(self) -> str:
        refuser = "" if self.by == "unknown" else f", refused by the {self.by}"
        since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        tail = f": {self.message}" if self.message and self.by != "authorizer" else ""
        return f"may not {self.subject} (Forbidden since {since}{refuser}){tail}"


class NotFoundError(APIError):
    """404: the named object is not there, or the server does not serve this kind."""


class ConflictError(APIError):
    """409: the object changed in between, or another field manager owns a field. Read again, then retry."""


class AlreadyExistsError(ConflictError):
    """409: an object of this name is there already."""


class GoneError(APIError):
    """410: the resource version, or the continue token, is too old. List again."""


class InvalidError(APIError):
    """400 or 422: the server understood the request and rejects its content."""


class TooManyRequestsError(APIError):
    """429: the server asks to wait. `retry_after` is in seconds."""

    def __init__(self, message: str = "", *, retry_after: float = 1.0, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry_after = retry_after


class ServerError(APIError):
    """5xx: the server failed. `retry_after` is in seconds, None where the server named no pause."""

    def __init__(self, message: str = "", *, retry_after: float | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry_after = retry_after


class TransportError(ScopedCacheError):
    """Nobody answered: connecting failed, timed out, or the connection was lost. The cause is kept.

    Attributes:
        connected: whether there was a connection, so that the request may have been heard.
    """

    def __init__(self, message: str = "", *, connected: bool = False) -> None:
        super().__init__(message)
        self.connected = connected


class ProtocolError(ScopedCacheError):
    """The answer could not be read: broken framing, broken JSON, a line over the limit, HTML instead of JSON."""


class ConfigurationError(ScopedCacheError):
    """The way to the API server is not described, or described wrongly (kubeconfig, context, certificate, port)."""


class CacheError(ScopedCacheError):
    """The cache was asked at the wrong time, or for the wrong thing.

    Attributes:
        awaited: the owner is told when that is over (`OwnerChanged`): nobody needs to try again.
    """

    def __init__(self, message: str = "", *, awaited: bool = False) -> None:
        super().__init__(message)
        self.awaited = awaited


class NotSyncedError(CacheError):
    """The first list of this kind in this place has not ended yet: nothing can be said about it."""


class NotWatchedError(CacheError):
    """Nobody opened this kind in this place."""


class ScopeClosedError(CacheError):
    """This handle belongs to a scope that was closed; open it again."""


class UnknownKindError(CacheError):
    """The server does not serve this kind, or not so that it can be listed and watched."""


class NoSuchIndexError(CacheError):
    """No index of this name was added for this kind."""


class NotLeaderError(CacheError):
    """A write of a leader's work was not sent: this process does not lead, or not for certain. Somebody else may."""


class TerminalError(ScopedCacheError):
    """Raised by a reconciler: this key is not retried until something changes."""


def where(namespace: str | None) -> str:
    """Return a place in words: `in namespace a`, or `at the cluster scope`."""
    return f"in namespace {namespace}" if namespace else "at the cluster scope"


def of_cluster(cluster: str) -> str:
    """Return a cluster in words, as what follows a place; nothing for the program's own."""
    return f" of cluster {cluster}" if cluster else ""
