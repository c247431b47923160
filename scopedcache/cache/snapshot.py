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
from .informer_pool import InformerPool
from .owner import Obstacle
from .scope_binding import ScopeBinding


@attrs.frozen
class ScopeSnapshot:
    """One scope.

    Attributes:
        error: what is missing while it waits.
        verdict: the worst of the verdicts about its rights; `missing` names those that are lost, and the kinds that are
            not served.
        evidence: seconds since its rights were last confirmed, None where one never was.
        age: seconds since the server was last heard about its objects.
    """

    owner: str | None
    uid: str | None
    namespace: str | None
    state: str
    kinds: tuple[str, ...]
    error: Obstacle | None
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


def take_snapshot(bindings: Iterable[ScopeBinding], pool: InformerPool, monitor: Monitor, *, tasks: int) -> Snapshot:
    """Return what is held now; what the cache watches for itself alone is no scope, but its watches are watches."""
    shots = {binding.scope: _scope(binding, monitor) for binding in bindings if not binding.scope.internal}
    namespaces: dict[str, dict[str, list[str]]] = {}
    cluster: set[str] = set()
    for scope, shot in shots.items():
        if scope.owner is not None and not scope.is_waiting and scope.namespace is not None:
            namespaces.setdefault(scope.namespace, {})[scope.uid] = list(shot.kinds)
        elif scope.owner is None and scope.is_open and scope.namespace is None:
            cluster.update(shot.kinds)
    return Snapshot(
        namespaces=namespaces,
        cluster=sorted(cluster),
        waiting=[shot for scope, shot in shots.items() if scope.is_waiting],
        scopes=list(shots.values()),
        informers=[_informer(informer_key, informer, pool) for informer_key, informer in pool],
        open_watches=pool.open_watches,
        handlers=pool.handlers,
        routes=sum(len(informer.router) for _, informer in pool),
        tasks=tasks,
        reviews=monitor.reviews,
        bound=monitor.bound,
        attempting=monitor.attempting,
    )


def _scope(binding: ScopeBinding, monitor: Monitor) -> ScopeSnapshot:
    scope = binding.scope
    # What an optional need may not see is not shown by an open scope; `missing` says why.
    shown = [need for need in scope.needs if scope.needs.is_bound(need) or not scope.is_open]
    ages = [informer.age for need in scope.needs if (informer := binding.informer_of(need)) is not None]
    verdicts = [verdict for right in scope.needs.permissions if (verdict := monitor.verdict(right)) is not None]
    evidence = max((monitor.since_evidence(verdict) for verdict in verdicts), default=inf)
    return ScopeSnapshot(
        owner=str(scope.owner) if scope.owner else None,
        uid=scope.uid or None,
        namespace=scope.namespace,
        state=scope.state,
        kinds=tuple(sorted(need.resource.gvk.kind for need in shown)),
        error=scope.error,
        verdict=max((verdict.state for verdict in verdicts), key=SEVERITY.index, default="probing"),
        missing=tuple(
            sorted(
                {f"{v.permission.verb} {v.permission.subject}" for v in verdicts if v.lost}
                | {f"the kind {unserved.need.kind}" for unserved in scope.needs.unserved if unserved.error is not None}
            )
        ),
        evidence=round(evidence, 3) if evidence < inf else None,
        age=round(max(ages), 3) if ages else None,
    )


def _informer(informer_key: InformerKey, informer: Informer, pool: InformerPool) -> InformerSnapshot:
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
