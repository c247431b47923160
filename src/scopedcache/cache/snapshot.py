"""What a cache holds right now, as plain values: for people, health pages and tests."""

from __future__ import annotations

from typing import Any

import attrs

from .changes import Denial


@attrs.frozen
class ScopeState:
    """One scope.

    Attributes:
        error: what is missing while it waits.
        verdict: the worst of the verdicts about its rights; `missing` names those that are lost.
        evidence: seconds since its rights were last confirmed, None where one never was.
        age: seconds since the server was last heard about its objects.
    """

    owner: str | None
    uid: str | None
    namespace: str | None
    state: str
    kinds: tuple[str, ...]
    error: Denial | None
    verdict: str
    missing: tuple[str, ...]
    evidence: float | None
    age: float | None


@attrs.frozen
class InformerState:
    """One running informer."""

    kind: str
    namespace: str | None
    state: str
    objects: int
    holders: int
    handlers: int
    age: float
    events: int
    relists: int
    error: str | None


@attrs.frozen
class Snapshot:
    """The whole cache.

    Attributes:
        namespaces: namespace → UID → kinds, of what is open.
        cluster: the kinds held cluster-wide by nobody's scope.
        waiting: the scopes that wait for a right.
        bound: the seconds within which a change of rights is noticed now.
    """

    namespaces: dict[str, dict[str, list[str]]]
    cluster: list[str]
    waiting: list[ScopeState]
    scopes: list[ScopeState]
    informers: list[InformerState]
    open_watches: int
    handlers: int
    routes: int
    tasks: int
    reviews: int
    bound: float
    attempting: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        return attrs.asdict(self, value_serializer=_plain)


def _plain(_: Any, __: Any, value: Any) -> Any:
    return str(value) if isinstance(value, Exception) else value
