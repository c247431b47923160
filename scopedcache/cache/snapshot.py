"""What a cache holds right now, as plain values: for people, health pages and tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import inf
from typing import Any

import attrs

from ..access import Monitor
from ..access.verdict import SEVERITY
from ..informer import Informer
from .informer_plan import InformerKey
from .informer_pool import InformerPool
from .owner import Obstacle
from .pending_grants import PendingGrant
from .scope_binding import ScopeBinding
from .scope_table import ScopeTable


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
class PendingSnapshot:
    """One owner that was refused a call, and hears when it may make it."""

    owner: str
    uid: str
    permission: str


@attrs.frozen
class Totals:
    """How many there are of each, however many of them are shown."""

    scopes: int = 0
    waiting: int = 0
    pending: int = 0
    missing: int = 0
    informers: int = 0


@attrs.frozen
class Snapshot:
    """The whole cache, or, with a limit, the first of each list.

    Attributes:
        namespaces: namespace → UID → kinds, of what is open.
        cluster: the kinds held cluster-wide by nobody's scope.
        waiting: the scopes that wait for a right.
        pending: the owners that wait for a right that a call was refused for want of.
        missing: every right that is missing now of those that somebody needs or waits for, optional ones too.
        totals: how many there are of each.
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
    pending: list[PendingSnapshot] = attrs.field(factory=list)
    missing: list[str] = attrs.field(factory=list)
    totals: Totals = attrs.field(factory=Totals)

    @property
    def degraded(self) -> bool:
        """Tell whether somebody lacks a right, or waits for one."""
        return bool(self.totals.waiting or self.totals.pending or self.totals.missing)

    def to_dict(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        return attrs.asdict(self, value_serializer=_plain)


def take_snapshot(
    table: ScopeTable, pool: InformerPool, monitor: Monitor, *, tasks: int, limit: int | None = None
) -> Snapshot:
    """Return what is held now; what the cache watches for itself alone is no scope, but its watches are watches.

    With a `limit`, each list holds so many entries at most, and nothing is looked at that is not shown: what waits and
    what is missing goes first. The work for that does not grow with what the cache holds.
    """
    shown = islice((binding for binding in _worst_first(table) if not binding.scope.internal), limit)
    shots = {binding.scope: _scope(binding, monitor) for binding in shown}
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
        pending=[_pending(wait) for wait in islice(table.pending_grants, limit)],
        missing=[str(permission) for permission in islice(table.missing, limit)],
        totals=Totals(
            scopes=len(table) - len(table.internal),
            waiting=len(table.waiting) - sum(binding.scope.is_waiting for binding in table.internal),
            pending=len(table.pending_grants),
            missing=table.count_missing(),
            informers=len(pool),
        ),
        scopes=list(shots.values()),
        informers=[_informer(informer_key, informer, table) for informer_key, informer in islice(pool, limit)],
        open_watches=pool.open_watches,
        handlers=pool.handlers,
        routes=sum(len(informer.router) for _, informer in pool),
        tasks=tasks,
        reviews=monitor.reviews,
        bound=monitor.bound,
        attempting=monitor.attempting,
    )


def _worst_first(table: ScopeTable) -> Iterator[ScopeBinding]:
    yield from list(table.waiting)
    yield from (binding for binding in table if not binding.scope.is_waiting)


def _pending(wait: PendingGrant) -> PendingSnapshot:
    return PendingSnapshot(str(wait.owner), wait.owner.uid, str(wait.permission))


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


def _informer(informer_key: InformerKey, informer: Informer, table: ScopeTable) -> InformerSnapshot:
    return InformerSnapshot(
        kind=str(informer_key.resource),
        namespace=informer_key.namespace,
        state=informer.state,
        objects=len(informer),
        holders=table.leases.tenants(informer_key),
        handlers=informer.handlers,
        age=round(informer.age, 3),
        events=informer.events,
        relists=informer.relists,
        error=str(informer.error) if informer.error else None,
    )


def _plain(_: Any, __: Any, value: Any) -> Any:
    return str(value) if isinstance(value, Exception) else value
