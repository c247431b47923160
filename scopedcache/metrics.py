"""Numbers about the library's own work: a Protocol to report them to, a silent default, and counters in memory.

The library reports to an `Instrumentation` and imports no metrics system. `Counters` keeps the numbers for the
`/metrics` page and for tests; whoever wants another back end writes the methods.

What controller-runtime and client-go count too carries their names, so that their dashboards show it; what only exists
here begins with `scopedcache_`. Labels are few and bounded (a controller's name, a kind, a verb, a result), never a
namespace or the name of an object.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from math import inf
from typing import Final, Literal, Protocol

import attrs

MetricType = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]

# Those of controller-runtime, and of client-go's work queue.
RECONCILE_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75,
    2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
)  # fmt: skip
QUEUE_BUCKETS: Final = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)
# Around the bound: 7.5 s by default, 9.5 s after trouble, more where many places share the budget.
DETECTION_BUCKETS: Final = (0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 9.5, 13.0, 20.0, 30.0, 60.0, 120.0)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

RECONCILES: Final = "controller_runtime_reconcile_total"
RECONCILE_ERRORS: Final = "controller_runtime_reconcile_errors_total"
RECONCILE_TERMINAL_ERRORS: Final = "controller_runtime_terminal_reconcile_errors_total"
RECONCILE_TIMEOUTS: Final = "controller_runtime_reconcile_timeouts_total"
RECONCILE_SECONDS: Final = "controller_runtime_reconcile_time_seconds"
WORKERS: Final = "controller_runtime_max_concurrent_reconciles"
WORKERS_BUSY: Final = "controller_runtime_active_workers"
QUEUE_DEPTH: Final = "workqueue_depth"
QUEUE_ADDS: Final = "workqueue_adds_total"
QUEUE_SECONDS: Final = "workqueue_queue_duration_seconds"
WORK_SECONDS: Final = "workqueue_work_duration_seconds"
QUEUE_UNFINISHED: Final = "workqueue_unfinished_work_seconds"
QUEUE_LONGEST_RUNNING: Final = "workqueue_longest_running_processor_seconds"
QUEUE_RETRIES: Final = "workqueue_retries_total"
REQUESTS: Final = "rest_client_requests_total"
LEADING: Final = "leader_election_master_status"

QUEUE_DELAYED: Final = "scopedcache_queue_delayed"
LEASE_FAILURES: Final = "scopedcache_lease_attempts_failed_total"
EVENTS_POSTED: Final = "scopedcache_events_posted_total"
SCOPES: Final = "scopedcache_scopes"
RIGHTS: Final = "scopedcache_rights"
DENIED_SINCE: Final = "scopedcache_denied_since_timestamp_seconds"
FORBIDDEN: Final = "scopedcache_forbidden_total"
DETECTION_SECONDS: Final = "scopedcache_detection_seconds"
BOUND: Final = "scopedcache_detection_bound_seconds"
ACCESS_REVIEWS: Final = "scopedcache_access_reviews_total"
OPEN_WATCHES: Final = "scopedcache_open_watches"
WATCH_AGE: Final = "scopedcache_watch_age_seconds"
WATCH_EVENTS: Final = "scopedcache_watch_events_total"
RELISTS: Final = "scopedcache_relists_total"
CACHED_OBJECTS: Final = "scopedcache_cached_objects"
CACHED_BYTES: Final = "scopedcache_cached_bytes"
EVENT_HANDLERS: Final = "scopedcache_event_handlers"
BACKGROUND_TASKS: Final = "scopedcache_background_tasks"
LOOP_LAG: Final = "scopedcache_loop_lag_seconds"
LOOP_BLOCKED: Final = "scopedcache_loop_blocked_total"


@attrs.frozen
class Metric:
    """What a number means; `buckets` are a histogram's."""

    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


# The one list of what the library reports; HELP and TYPE of `/metrics` come from here.
DECLARED: Final[Mapping[str, Metric]] = {
    RECONCILES: Metric("counter", "Reconciles that ended, by result.", ("controller", "result")),
    RECONCILE_ERRORS: Metric("counter", "Reconciles that ended in an error.", ("controller",)),
    RECONCILE_TERMINAL_ERRORS: Metric("counter", "Reconciles that raised TerminalError.", ("controller",)),
    RECONCILE_TIMEOUTS: Metric("counter", "Reconciles that passed their deadline.", ("controller",)),
    RECONCILE_SECONDS: Metric("histogram", "How long reconciles took.", ("controller",), RECONCILE_BUCKETS),
    WORKERS: Metric("gauge", "Workers of a controller.", ("controller",)),
    WORKERS_BUSY: Metric("gauge", "Workers that run a reconcile now.", ("controller",)),
    QUEUE_DEPTH: Metric("gauge", "Keys that wait for a worker.", ("name", "controller")),
    QUEUE_ADDS: Metric("counter", "Keys that were made ready.", ("name", "controller")),
    QUEUE_SECONDS: Metric("histogram", "How long keys waited for a worker.", ("name", "controller"), QUEUE_BUCKETS),
    WORK_SECONDS: Metric("histogram", "How long workers were busy with a key.", ("name", "controller"), QUEUE_BUCKETS),
    QUEUE_UNFINISHED: Metric("gauge", "Seconds that all runs under way have taken.", ("name", "controller")),
    QUEUE_LONGEST_RUNNING: Metric("gauge", "Seconds of the longest run under way.", ("name", "controller")),
    QUEUE_RETRIES: Metric("counter", "Runs asked for because one failed.", ("name", "controller")),
    REQUESTS: Metric("counter", "Requests to the API server; code is <error> where none came.", ("code", "method")),
    LEADING: Metric("gauge", "1 while this process leads.", ("name",)),
    QUEUE_DELAYED: Metric("gauge", "Keys that wait for their time.", ("controller",)),
    LEASE_FAILURES: Metric("counter", "Attempts to read or write the Lease that failed.", ("name",)),
    EVENTS_POSTED: Metric("counter", "Kubernetes Events written, by result.", ("result",)),
    SCOPES: Metric("gauge", "Owners' caches by state; waiting ones lack a right, or a kind.", ("state",)),
    RIGHTS: Metric("gauge", "Rights in use, by what is believed about them.", ("verdict",)),
    DENIED_SINCE: Metric(
        "gauge", "Unix time of the oldest denial that lasts, by verb and resource.", ("verb", "resource")
    ),
    FORBIDDEN: Metric("counter", "Requests that were answered 403.", ("verb", "resource")),
    DETECTION_SECONDS: Metric(
        "histogram",
        "When a right was found lost: seconds since it was last confirmed, which the loss is younger than.",
        buckets=DETECTION_BUCKETS,
    ),
    BOUND: Metric("gauge", "Seconds within which a change of rights is noticed now."),
    ACCESS_REVIEWS: Metric("counter", "Access reviews sent, by result.", ("result",)),
    OPEN_WATCHES: Metric("gauge", "Watch connections open now.", ("kind",)),
    WATCH_AGE: Metric("gauge", "Seconds since the server was last heard, of a kind's most silent informer.", ("kind",)),
    WATCH_EVENTS: Metric("counter", "Watch events received.", ("kind",)),
    RELISTS: Metric("counter", "Full lists after the first one.", ("kind",)),
    CACHED_OBJECTS: Metric("gauge", "Objects in memory.", ("kind",)),
    CACHED_BYTES: Metric("gauge", "Bytes of the objects in memory, estimated from a few of each informer.", ("kind",)),
    EVENT_HANDLERS: Metric("gauge", "Event handlers registered now."),
    BACKGROUND_TASKS: Metric("gauge", "Tasks of the cache that run now."),
    LOOP_LAG: Metric("histogram", "How late the event loop was, asked several times a second.", buckets=LAG_BUCKETS),
    LOOP_BLOCKED: Metric("counter", "Times that something held the event loop for long."),
}


class Span(Protocol):
    """Something that lasts: a reconcile, a request."""

    def note(self, **attributes: str | int) -> None:
        """Add what became known of it."""

    def fail(self, error: BaseException) -> None:
        """Say that it ended badly, where it does not raise."""


class NullSpan:
    """Takes it in and drops it."""

    def note(self, **attributes: str | int) -> None:
        pass

    def fail(self, error: BaseException) -> None:
        pass


NULL_SPAN: Final[Span] = NullSpan()


class Instrumentation(Protocol):
    """Takes the numbers. Called often and on the event loop: return at once, raise nothing."""

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a number that only grows."""

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a number that goes up and down, or one that is counted elsewhere."""

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add one value to a distribution."""

    def remove(self, name: str, /, **labels: str) -> None:
        """Forget a number whose subject is gone."""

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        """Return what is entered for as long as something lasts, a reconcile or a request; see what it raises, too."""


class NullInstrumentation:
    """Takes the numbers and drops them."""

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        pass

    def set(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def remove(self, name: str, /, **labels: str) -> None:
        pass

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        return nullcontext(NULL_SPAN)


NULL: Final[Instrumentation] = NullInstrumentation()


class Tracer(Protocol):
    """Makes spans of what lasts: `scopedcache.opentelemetry_spans` has one."""

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        """Return what is entered for as long as something lasts."""


@attrs.frozen
class Sample:
    """One number as it stands now."""

    name: str
    labels: Labels
    value: float
    type: Literal["counter", "gauge"]


@attrs.frozen
class Distribution:
    """One histogram as it stands now; `buckets` are upper bounds with how many values lie at or below each."""

    name: str
    labels: Labels
    buckets: tuple[tuple[float, int], ...]
    sum: float

    @property
    def count(self) -> int:
        return self.buckets[-1][1]


class Counters:
    """Keeps the numbers in memory; `value()` reads one, iterating gives all but histograms, sorted by name and labels.

    A name that is not declared is a counter or a gauge by the method first used for it.

    Args:
        tracer: makes spans; None for none.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self._types: dict[str, Literal["counter", "gauge"]] = {}
        self._values: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        self._types.setdefault(name, "counter")
        series, key = self._values.setdefault(name, {}), _key(labels)
        series[key] = series.get(key, 0.0) + amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        declared = DECLARED.get(name)
        self._types.setdefault(name, "counter" if declared is not None and declared.type == "counter" else "gauge")
        self._values.setdefault(name, {})[_key(labels)] = value

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        series, key = self._histograms.setdefault(name, {}), _key(labels)
        histogram = series.get(key)
        if histogram is None:
            declared = DECLARED.get(name)
            bounds = declared.buckets if declared is not None and declared.buckets else RECONCILE_BUCKETS
            histogram = series[key] = _Histogram(bounds)
        histogram.observe(value)

    def remove(self, name: str, /, **labels: str) -> None:
        self._values.get(name, {}).pop(_key(labels), None)

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        return nullcontext(NULL_SPAN) if self._tracer is None else self._tracer.span(name, **attributes)

    def value(self, name: str, /, **labels: str) -> float:
        """Return the sum of all series of `name` that carry these labels; 0 where there is none.

        Of a histogram: how many values it has.
        """
        wanted = set(_key(labels))
        counted = {key: float(one.count) for key, one in self._histograms.get(name, {}).items()}
        series = counted | self._values.get(name, {})
        return sum(value for key, value in series.items() if wanted <= set(key))

    def distributions(self) -> Iterator[Distribution]:
        """Return the histograms, sorted by name and labels."""
        for name, series in sorted(self._histograms.items()):
            for labels, histogram in sorted(series.items(), key=lambda item: item[0]):
                yield histogram.distribution(name, labels)

    def __iter__(self) -> Iterator[Sample]:
        for name, series in sorted(self._values.items()):
            for labels, value in sorted(series.items()):
                yield Sample(name, labels, value, self._types[name])

    def __repr__(self) -> str:
        series = sum(map(len, self._values.values())) + sum(map(len, self._histograms.values()))
        return f"<Counters of {series} series>"


class _Histogram:
    __slots__ = ("_bounds", "_counts", "_sum", "count")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self.count = 0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value
        self.count += 1

    def distribution(self, name: str, labels: Labels) -> Distribution:
        buckets = tuple(zip([*self._bounds, inf], accumulate(self._counts), strict=True))
        return Distribution(name, labels, buckets, self._sum)


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((label, str(value)) for label, value in labels.items()))
