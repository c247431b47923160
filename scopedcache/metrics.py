"""Numbers about the library's own work: a Protocol to report them to, a silent default, and counters in memory.

The library reports to an `Instrumentation` that it is handed and imports no metrics system. `Counters` keeps the
numbers for the `/metrics` page and for tests; whoever wants another back end writes the three methods.

Names follow Prometheus: `scopedcache_` in front, `_total` behind what only grows. Labels are few and bounded (a
controller's name, a kind, a namespace, a result), never the name of an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, Protocol

import attrs

# What each number means: the one list of names. `/metrics` takes its HELP and TYPE lines from here.
RECONCILES: Final = "scopedcache_reconciles_total"
RECONCILE_SECONDS: Final = "scopedcache_reconcile_seconds_total"
RECONCILES_OVERDUE: Final = "scopedcache_reconciles_overdue_total"
QUEUE_READY: Final = "scopedcache_queue_ready"
QUEUE_DELAYED: Final = "scopedcache_queue_delayed"
WORKERS_BUSY: Final = "scopedcache_workers_busy"
LEADING: Final = "scopedcache_leading"
LEASE_FAILURES: Final = "scopedcache_lease_attempts_failed_total"
EVENTS_POSTED: Final = "scopedcache_events_posted_total"
OPEN_WATCHES: Final = "scopedcache_open_watches"
WATCH_EVENTS: Final = "scopedcache_watch_events_total"
RELISTS: Final = "scopedcache_relists_total"
BACKGROUND_TASKS: Final = "scopedcache_background_tasks"
CACHED_OBJECTS: Final = "scopedcache_cached_objects"
EVENT_HANDLERS: Final = "scopedcache_event_handlers"
ACCESS_REVIEWS: Final = "scopedcache_access_reviews_total"
FORBIDDEN: Final = "scopedcache_forbidden_total"
REQUESTS: Final = "scopedcache_requests_total"

HELP: Final[Mapping[str, str]] = {
    RECONCILES: "Reconciles that ended, by result.",
    RECONCILE_SECONDS: "Seconds spent in reconciles.",
    RECONCILES_OVERDUE: "Reconciles that passed their deadline.",
    QUEUE_READY: "Keys that wait for a worker.",
    QUEUE_DELAYED: "Keys that wait for their time.",
    WORKERS_BUSY: "Workers that run a reconcile now.",
    LEADING: "1 while this process leads.",
    LEASE_FAILURES: "Attempts to read or write the Lease that failed.",
    EVENTS_POSTED: "Kubernetes Events written, by result.",
    OPEN_WATCHES: "Watch connections open now.",
    WATCH_EVENTS: "Watch events received.",
    RELISTS: "Full lists after the first one.",
    BACKGROUND_TASKS: "Tasks of the cache that run now.",
    CACHED_OBJECTS: "Objects in memory.",
    EVENT_HANDLERS: "Event handlers registered now.",
    ACCESS_REVIEWS: "Access reviews sent, by kind and result.",
    FORBIDDEN: "403 answers and denials, by place.",
    REQUESTS: "Requests sent to the API server, by verb and status.",
}

Labels = tuple[tuple[str, str], ...]


class Instrumentation(Protocol):
    """Takes the numbers. Called often and on the event loop: return at once, raise nothing."""

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a number that only grows."""

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a number that goes up and down."""

    def remove(self, name: str, /, **labels: str) -> None:
        """Forget a number whose subject is gone."""


class NullInstrumentation:
    """Takes the numbers and drops them."""

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        pass

    def set(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def remove(self, name: str, /, **labels: str) -> None:
        pass


NULL: Final[Instrumentation] = NullInstrumentation()


@attrs.frozen
class Sample:
    """One number as it stands now."""

    name: str
    labels: Labels
    value: float
    type: Literal["counter", "gauge"]


class Counters:
    """Keeps the numbers in memory; `value()` reads one, iterating gives all, sorted by name and labels.

    A name is a counter or a gauge by the method first used for it.
    """

    def __init__(self) -> None:
        self._types: dict[str, Literal["counter", "gauge"]] = {}
        self._values: dict[str, dict[Labels, float]] = {}

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        self._types.setdefault(name, "counter")
        series, key = self._values.setdefault(name, {}), _key(labels)
        series[key] = series.get(key, 0.0) + amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        self._types.setdefault(name, "gauge")
        self._values.setdefault(name, {})[_key(labels)] = value

    def remove(self, name: str, /, **labels: str) -> None:
        self._values.get(name, {}).pop(_key(labels), None)

    def value(self, name: str, /, **labels: str) -> float:
        """Return the sum of all series of `name` that carry these labels; 0 where there is none."""
        wanted = set(_key(labels))
        return sum(value for key, value in self._values.get(name, {}).items() if wanted <= set(key))

    def __iter__(self) -> Iterator[Sample]:
        for name, series in sorted(self._values.items()):
            for labels, value in sorted(series.items()):
                yield Sample(name, labels, value, self._types[name])

    def __repr__(self) -> str:
        return f"<Counters of {sum(map(len, self._values.values()))} series>"


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((label, str(value)) for label, value in labels.items()))
