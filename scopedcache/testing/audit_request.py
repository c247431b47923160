"""A request as the server saw it, and which requests a test means: the same for both kinds of cluster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NewType, TypedDict, TypeVar

import attrs

T = TypeVar("T")

Mark = NewType("Mark", int)

Stage = Literal["ResponseStarted", "ResponseComplete", "Panic"]


@attrs.frozen
class AuditRequest:
    """One request as the server saw it.

    Attributes:
        resource: reads like `deployments.apps`; empty for paths that are no resource (`/version`).
        namespace, name, subresource: None where the request names none.
        code: the status code.
        stage: the last stage that was seen; `ResponseStarted` belongs to a watch that is open.
        received, ended: when the server got it, and when its answer ended; None while it is open, and the time of
            reading where the server died under it.
        server: the index of the API server that answered.
    """

    id: str
    user: str
    verb: str
    resource: str
    subresource: str | None
    namespace: str | None
    name: str | None
    code: int
    stage: Stage
    uri: str
    user_agent: str
    received: datetime
    ended: datetime | None
    server: int

    @property
    def is_open(self) -> bool:
        """Tell whether it is a watch that has not ended."""
        return self.ended is None


class Wanted(TypedDict, total=False):
    """Which requests are meant: those that agree in every field given."""

    user: str
    verb: str
    resource: str
    subresource: str | None
    namespace: str | None
    name: str | None
    code: int
    server: int


def matching(requests: Iterable[T], wanted: Wanted) -> list[T]:
    """Return the requests, however they are kept, that agree in every field of `wanted`."""
    found = list(requests)
    for key, value in wanted.items():
        found = [request for request in found if getattr(request, key) == value]
    return found
