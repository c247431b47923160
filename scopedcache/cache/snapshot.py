"""What a cache holds right now, as plain values: for people, health pages and tests."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import attrs

from ..access import Monitor
from ..access.verdict import SEVERITY
from ..informer import Informer
from .informer_plan import InformerKey
from .informer_pool import Pool
from .owner import Denial
from .scope import Scope


@attrs.frozen
class ScopeSnapshot:
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
class InformerSnapshot:
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
    waiting: list[ScopeSnapshot]
    scopes: list[ScopeSnapshot]
    informers: list[InformerSnapshot]
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


def take_snapshot(scopes: Iterable[Scope], pool: Pool, monitor: Monitor, *, tasks: int) -> Snapshot:
    """Return what is held now; what the cache watches for itself alone is no scope, but its watches are watches."""
    states = {scope: _scope(scope, monitor) for scope in scopes if not scope.internal}
    namespaces: dict[str, dict[str, list[str]]] = {}
    cluster: set[str] = set()
    for scope, state in states.items():
        if scope.owner is not None and scope.state in ("open", "opening") and scope.namespace is not None:
            namespaces.setdefault(scope.namespace, {})[scope.uid] = list(state.kinds)
        elif scope.owner is None and scope.state == "open" and scope.namespace is None:
            cluster.update(state.kinds)
    return Snapshot(
        namespaces=namespaces,
        cluster=sorted(cluster),
        waiting=[state for state in states.values() if state.state == "waiting"],
        scopes=list(states.values()),
        informers=[_informer(informer_key, informer, pool) for informer_key, informer in pool],
        open_watches=pool.open_watches,
        handlers=pool.handlers,
        routes=sum(len(informer.router) for _, informer in pool),
        tasks=tasks,
        reviews=monitor.reviews,
        bound=monitor.bound,
        attempting=monitor.attempting,
    )


def _scope(scope: Scope, monitor: Monitor) -> ScopeSnapshot:
    # What an optional need may not see is not shown by an open scope; `missing` says why.
    shown = [held for held in scope.held.values() if held.informer is not None or scope.state != "open"]
    ages = [held.informer.age for held in scope.held.values() if held.informer is not None]
    permissions = [permission for held in scope.held.values() for permission in held.permissions]
    verdicts = [found for permission in permissions if (found := monitor.verdict(permission)) is not None]
    evidence = max((monitor.since_evidence(found) for found in verdicts), default=inf)
    return ScopeSnapshot(
        owner=str(scope.owner) if scope.owner else None,
        uid=scope.uid or None,
        namespace=scope.namespace,
        state=scope.state,
        kinds=tuple(sorted(held.resource.gvk.kind for held in shown)),
        error=scope.error,
        verdict=max((found.state for found in verdicts), key=SEVERITY.index, default="probing"),
        missing=tuple(sorted({f"{v.permission.verb} {v.permission.subject}" for v in verdicts if v.lost})),
        evidence=round(evidence, 3) if evidence < inf else None,
        age=round(max(ages), 3) if ages else None,
    )


def _informer(informer_key: InformerKey, informer: Informer, pool: Pool) -> InformerSnapshot:
    return InformerSnapshot(
        kind=str(informer_key.resource),
        namespace=informer_key.namespace,
        state=informer.state,
        objects=len(informer),
        holders=pool.holders(informer_key),
        handlers=informer.handlers,
        age=round(informer.age, 3),
        events=informer.events,
        relists=informer.relists,
        error=str(informer.error) if informer.error else None,
    )


def _plain(_: Any, __: Any, value: Any) -> Any:
    return str(value) if isinstance(value, Exception) else value
