"""What a cache holds, row by row: for a page that follows it, and must not hold the loop however much there is.

Every row is plain data. Times are Unix seconds, so that a page can say since when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from math import inf
from typing import Any, Final

from ..access import Monitor
from ..access.verdict import SEVERITY, Verdict
from ..api.permission import Permission
from ..clock import loop_time, wall_time
from .informer_pool import InformerPool
from .scope_binding import ScopeBinding
from .scope_table import ScopeTable

Row = dict[str, Any]
# Silence is shown from here on, in such steps: a bookmark comes about once a minute, and a row that only grew older is
# no news.
SILENT_SECONDS: Final = 70
SILENCE_STEP_SECONDS: Final = 10


class LiveView:
    """Reads a running cache."""

    def __init__(
        self,
        table: ScopeTable,
        pool: InformerPool,
        monitor: Monitor,
        *,
        timer: Callable[[], float] = loop_time,
        wall: Callable[[], datetime] = wall_time,
    ) -> None:
        self._table = table
        self._pool = pool
        self._monitor = monitor
        self._timer = timer
        self._began: Final = wall().timestamp() - timer()  # what the timer's zero is in Unix seconds

    def rights(self) -> Iterator[tuple[str, str, Row]]:
        """Return namespace ("" for the whole cluster), `verb resource`, and what is believed about that right."""
        for verdict in self._table.verdicts_in_use:
            permission = verdict.permission
            yield permission.namespace or "", f"{permission.verb} {permission.subject}", self._right(verdict)

    def _right(self, verdict: Verdict) -> Row:
        row: Row = {"state": verdict.state, "since": self._unix(verdict.since)}
        if verdict.permission.name:
            row["name"] = verdict.permission.name
        if verdict.denying:
            row["reason"] = str(verdict.error())
        return row

    def informers(self) -> Iterator[tuple[str, Row]]:
        """Return the running informers by what they watch."""
        for informer_key, informer in self._pool:
            kind, namespace = str(informer_key.resource), informer_key.namespace or ""
            age = informer.age
            yield (
                " ".join(map(str, (kind, namespace, informer_key.name or "", informer_key.metadata_only))),
                {
                    "kind": kind + (f" {informer_key.name}" if informer_key.name else ""),
                    "namespace": namespace,
                    "state": informer.state,
                    "objects": len(informer),
                    "bytes": informer.bytes,
                    "events": informer.events,
                    "relists": informer.relists,
                    "silent": _silence(age),
                    "error": str(informer.error) if informer.error else None,
                },
            )

    def owners(self) -> Iterator[tuple[str, Row]]:
        """Return the owners that have opened something, in each namespace, with what they lack."""
        for binding in self._table:
            scope = binding.scope
            if scope.owner is not None:
                yield (
                    f"{scope.uid} {scope.namespace or ''}",
                    {
                        "owner": str(scope.owner),
                        "namespace": scope.namespace or "",
                        "state": scope.state,
                        "kinds": sorted(need.resource.gvk.kind for need in scope.needs),
                        "missing": self._missing(binding),
                        "error": str(scope.error) if scope.error is not None else None,
                    },
                )

    def _missing(self, binding: ScopeBinding) -> list[str]:
        verdicts = (self._monitor.verdict(right) for right in binding.scope.needs.permissions)
        return sorted({_words(verdict.permission) for verdict in verdicts if verdict is not None and verdict.lost})

    def changes(self) -> Iterator[Row]:
        """Return the last changes of verdicts, the newest first."""
        own = self._table.own_wishes
        for change in reversed(self._monitor.recent_changes):
            if change.permission in own:
                continue
            yield {
                "at": self._unix(change.at),
                "right": _words(change.permission),
                "namespace": change.permission.namespace or "",
                "before": change.before,
                "state": change.state,
            }

    def summary(self) -> Row:
        """Return what a page shows first."""
        return {
            "bound": round(self._monitor.bound, 1),
            "attempting": self._monitor.attempting,
            "scopes": len(self._table) - len(self._table.internal),
            "missing": self._table.count_missing(),
            "informers": len(self._pool),
            "watches": self._pool.open_watches,
            "reviews": self._monitor.reviews,
        }

    def _unix(self, at: float) -> int:
        return round(self._began + at)


def _silence(age: float) -> int | None:
    if not SILENT_SECONDS <= age < inf:
        return None
    return int(age // SILENCE_STEP_SECONDS * SILENCE_STEP_SECONDS)


def worse(one: Row, other: Row) -> Row:
    """Return the worse of what is believed about two rights that share a cell."""
    return max(one, other, key=lambda row: SEVERITY.index(row["state"]))


def _words(permission: Permission) -> str:
    return f"{permission.verb} {permission.subject}" + (f" {permission.name}" if permission.name else "")
