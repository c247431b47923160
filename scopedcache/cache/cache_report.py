"""The numbers of a cache that are cheaper to count when somebody looks than to keep: set for each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from .. import metrics
from ..access import Monitor
from ..access.verdict import SEVERITY
from .informer_pool import InformerPool
from .scope_table import ScopeTable

# What a scope that is there can be in.
STATES: Final = ("opening", "open", "waiting")
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class CacheReport:
    """Sets them, and takes back those whose subject is gone."""

    def __init__(self, table: ScopeTable, pool: InformerPool, monitor: Monitor) -> None:
        self._table: Final = table
        self._pool: Final = pool
        self._monitor: Final = monitor
        self._set: Series = {}

    def set_all(self, instrumentation: metrics.Instrumentation, *, tasks: int) -> None:
        """Set every number of the cache."""
        series: Series = {
            (metrics.EVENT_HANDLERS, ()): self._pool.handlers,
            (metrics.BACKGROUND_TASKS, ()): tasks,
            (metrics.BOUND, ()): self._monitor.bound,
        }
        scopes = (binding.scope for binding in self._table if not binding.scope.internal)
        _add(series, metrics.SCOPES, "state", _counted(STATES, (scope.state for scope in scopes)))
        verdicts = self._table.verdicts_in_use
        _add(series, metrics.RIGHTS, "verdict", _counted(SEVERITY, (verdict.state for verdict in verdicts)))
        for (verb, resource), since in self._denied_since().items():
            series[metrics.DENIED_SINCE, (("verb", verb), ("resource", resource))] = since.timestamp()
        for name, by_kind in self._by_kind().items():
            _add(series, name, "kind", by_kind)
        for (name, labels), value in series.items():
            instrumentation.set(name, value, **dict(labels))
        for name, labels in self._set.keys() - series.keys():
            instrumentation.remove(name, **dict(labels))
        self._set = series

    def _denied_since(self) -> dict[tuple[str, str], datetime]:
        oldest: dict[tuple[str, str], datetime] = {}
        for permission in self._table.missing:
            since = self._monitor.verdicts[permission].refused_at
            if since is not None:
                key = (permission.verb, permission.subject)
                oldest[key] = min(since, oldest.get(key, since))
        return oldest

    def _by_kind(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {
            name: {}
            for name in (
                metrics.OPEN_WATCHES,
                metrics.WATCH_AGE,
                metrics.WATCH_EVENTS,
                metrics.RELISTS,
                metrics.CACHED_OBJECTS,
                metrics.CACHED_BYTES,
            )
        }
        for kind, ended in self._pool.ended.items():
            found[metrics.WATCH_EVENTS][kind], found[metrics.RELISTS][kind] = ended
        for informer_key, informer in self._pool:
            kind = str(informer_key.resource)
            for name, value in (
                (metrics.OPEN_WATCHES, float(informer.streaming)),
                (metrics.WATCH_EVENTS, informer.events),
                (metrics.RELISTS, informer.relists),
                (metrics.CACHED_OBJECTS, len(informer)),
                (metrics.CACHED_BYTES, informer.bytes),
            ):
                found[name][kind] = found[name].get(kind, 0.0) + value
            found[metrics.WATCH_AGE][kind] = max(informer.age, found[metrics.WATCH_AGE].get(kind, 0.0))
        return found


def _counted(all_states: Iterable[str], states: Iterable[str]) -> dict[str, int]:
    """Count states; those that nobody is in too, or an alert about one could not tell none from no answer."""
    return {**dict.fromkeys(all_states, 0), **Counter(states)}


def _add(series: Series, name: str, label: str, values: Mapping[str, float]) -> None:
    for value, number in values.items():
        series[name, ((label, value),)] = number
