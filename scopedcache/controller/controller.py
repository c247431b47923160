"""A controller: one kind, one reconciler, and everything that makes the reconciler run.

It promises:
- The reconciler never runs twice at the same time for one key, and never before the caches it was declared with hold
  what the server holds.
- No exception of the reconciler ends a worker, and nothing it does slows another key beyond the worker it occupies.
- While its own kind may not be seen in a place, the keys of that place wait and nobody else does.
- A deleted object is reconciled once as gone; then its resource caches are closed and nothing runs for it any more.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from copy import copy
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from .. import metrics
from ..event_logger import event_logger
from ..hash_ranges import HashRange
from ..kinds import GVK, GVR, Kind, ObjectKey, Resource
from ..needs import Need
from ..predicates import Predicate
from ..supervisor import Supervisor
from .event_sources import EventSources, SourceOptions
from .mapping import Watch
from .namespaces import Namespaces, WatchedNamespaces
from .reconciler import Reconcile, ReconcilerRunner
from .reporting.event_recorder import EventRecorder
from .reporting.forbidden_reporter import ForbiddenReporter, OnForbidden
from .reporting.own_reports import OwnReports
from .request import HOME, Request
from .retry_limits import RETRIES_PER_SECOND, FailureBackoff, RetryBudget
from .self_waking import SelfWaking
from .settling import Settling
from .sharding.ring_shard import RingShard
from .sharding.shard import Shard
from .work_queue import WorkQueue
from .workers import Workers

if TYPE_CHECKING:
    from ..cache import ScopedCache

logger: Final = event_logger("scopedcache.controller")

# Long enough for the first lists of a large cluster; who is still not there by then must not keep the others waiting.
WARM_UP_SECONDS: Final = 30.0
DEADLINE_SECONDS: Final = 30.0


class Controller:
    """Reconciles the objects of one kind.

    Args:
        for_: the primary kind. An `OwnerChanged` of this kind enqueues its key: kinds that an owner opened itself
            need no `owns`.
        reconcile: an `async def` of a Request, an object with such a method, or a plain `def`, which runs in a thread
            and uses `scopedcache.sync.of(cache)` there. It returns a Result or None.
        namespaces: where: None is everywhere, names, or a LabelSelector over Namespaces.
        owns: kinds, or Needs, watched for as long as the controller runs, mapped to their owners of the primary kind.
        watches: the same with a mapper of your own.
        predicates: which changes of the primaries count; all must pass.
        workers: how many keys may run at the same time.
        deadline: seconds one run may take; None for no limit.
        on_forbidden: given the owner and the ForbiddenError, returns what to merge into the owner's `status`, or None.
            The default writes the condition `Permitted`, or an Event where the kind has no conditions.
        backoff: how long a failing key waits.
        retries_per_second: how many failing keys are tried again in a second, all together; None for no limit.
        always: keys that run whether they have an object or not: at the start, and for whatever watches map to them.
        settle, at_most: a key runs when nothing has happened to it for so many seconds, or at the latest so many after
            the first thing that did: many changes, one run. No worker waits meanwhile; a right that comes or goes does
            not wait.
        paused: an annotation: while a primary carries it, with any value but `false`, it is not reconciled.
        clusters: where it runs under a manager with clusters: in the manager's own, in the others, or in all. Each has
            a queue and workers of its own, and `Request.cluster` says which it is.
        name: for logs and metrics; the kind's name, unless told otherwise.

    Raises:
        ValueError: an option makes no sense.
        TypeError: `reconcile` cannot be called.
    """

    def __init__(
        self,
        *,
        for_: Kind,
        reconcile: Reconcile,
        namespaces: Namespaces = None,
        owns: Iterable[Kind | Need] = (),
        watches: Iterable[Watch] = (),
        predicates: Iterable[Predicate] = (),
        workers: int = 1,
        deadline: float | None = DEADLINE_SECONDS,
        on_forbidden: OnForbidden | None = None,
        backoff: FailureBackoff | None = None,
        retries_per_second: float | None = RETRIES_PER_SECOND,
        always: Iterable[ObjectKey] = (),
        settle: float = 0.0,
        at_most: float | None = None,
        paused: str | None = None,
        clusters: Literal["home", "others", "all"] = "home",
        name: str | None = None,
    ) -> None:
        if clusters not in ("home", "others", "all"):
            raise ValueError(f"clusters={clusters!r} is none of home, others and all")
        if workers < 1:
            raise ValueError(f"workers= is at least 1, not {workers}")
        if deadline is not None and deadline <= 0:
            raise ValueError(f"deadline= is in seconds and above zero, not {deadline}; None for no limit")
        self.name = name or _default_name(for_)
        self.for_ = for_
        self.clusters: Literal["home", "others", "all"] = clusters
        self.cluster = HOME
        self._reconcile, self._deadline, self._namespaces = reconcile, deadline, namespaces
        self._source_options = SourceOptions(
            controller=self.name,
            kind=for_,
            namespaces=WatchedNamespaces(namespaces),
            predicates=tuple(predicates),
            owns=tuple(Need.of(kind) for kind in owns),
            watches=tuple(watches),
            always=tuple(always),
            settle=settle,
            at_most=at_most,
        )
        Settling[ObjectKey](settle, at_most)  # numbers that make no sense are told here
        self._paused = paused
        self._worker_count = workers
        self._runner = ReconcilerRunner(reconcile, deadline=deadline, on_overdue=self._on_overdue)
        self._on_forbidden = on_forbidden
        self._backoff = backoff or FailureBackoff()
        self._retries_per_second = retries_per_second
        self._new_budget()  # a number that makes no sense is told here
        self._instrumentation: metrics.Instrumentation = metrics.NULL
        self._sharded: ScopedCache | None = None
        self._queue: WorkQueue[ObjectKey] | None = None
        self._sources: EventSources | None = None
        self._workers: Workers | None = None

    async def run(self, cache: ScopedCache, *, instrumentation: metrics.Instrumentation = metrics.NULL) -> None:
        """Watch and work until cancelled: a controller without a manager."""
        recorder = EventRecorder(cache.client, controller=self.name, instrumentation=instrumentation)
        supervisor = Supervisor(f"controller {self.name}")
        self.prepare(cache, recorder=recorder, instrumentation=instrumentation)
        try:
            supervisor.start_guarded("events", recorder.run)
            supervisor.start_guarded("sources", self.watch)
            await self.wait_settled()
            await self.work()
        finally:
            await supervisor.close()
            self.end()

    # The parts of `run`, for a manager that keeps the caches warm while somebody else leads.

    def prepare(
        self,
        cache: ScopedCache,
        *,
        recorder: EventRecorder,
        instrumentation: metrics.Instrumentation = metrics.NULL,
        shard: Shard | RingShard | None = None,
    ) -> None:
        """Get ready to watch and to work, on the running loop; with a `shard`, on that part of the primaries.

        Raises:
            RuntimeError: the controller runs already.
        """
        if self._queue is not None:
            raise RuntimeError(f"{self!r} runs already")
        self._instrumentation = instrumentation
        queue = self._queue = WorkQueue[ObjectKey](
            timer=asyncio.get_running_loop().time,
            backoff=self._backoff,
            budget=self._new_budget(),
            chance=random.random,
        )
        reports, self_waking = OwnReports(), SelfWaking()
        sources = self._sources = EventSources(
            self._source_options,
            cache,
            queue,
            reports=reports,
            is_report=recorder.is_own,
            on_wake=self_waking.woken,
            shard=shard,
        )
        if shard is not None:
            cache.set_shard(self.for_, shard.filter)
            self._sharded = cache
        reporter = ForbiddenReporter(
            cache.client, recorder, self._on_forbidden, reports=reports, on_news=sources.enqueue
        )
        self._workers = Workers(
            name=self.name,
            count=self._worker_count,
            sources=sources,
            queue=queue,
            runner=self._runner,
            reporter=reporter,
            self_waking=self_waking,
            instrumentation=instrumentation,
            paused=self._paused,
            cluster=self.cluster,
        )

    # What a manager of several clusters asks.

    def in_cluster(self, cluster: str) -> Controller:
        """Return a controller like this one, for another cluster; nothing of it runs yet."""
        twin = copy(self)
        twin.name, twin.cluster = f"{self.name}@{cluster}", cluster
        twin._source_options = attrs.evolve(
            self._source_options, controller=twin.name, namespaces=WatchedNamespaces(self._namespaces)
        )
        twin._runner = ReconcilerRunner(self._reconcile, deadline=self._deadline, on_overdue=twin._on_overdue)
        twin._sharded = None
        twin._queue = twin._sources = twin._workers = None
        return twin

    def hear(self, cache: ScopedCache) -> Callable[[], None]:
        """Hear of owners of its kind from another cluster's cache too; returns the way to end it."""
        return cache.subscribe(lambda change: self._sources.owner_changed(change) if self._sources else None)

    def requeue_all(self) -> None:
        """Have every object that it sees reconciled: what they are about has changed, a cluster came or went."""
        if self._sources is not None:
            self._sources.requeue_all()

    async def watch(self) -> None:
        """Hold the informers and fill the queue until cancelled; waits for kinds that are not served yet."""
        assert self._sources is not None, "prepare() comes first"
        await self._sources.run()

    async def wait_settled(self, limit: float = WARM_UP_SECONDS) -> None:
        """Wait until each informer has synced, was found denied, or not served; `limit` seconds at most."""
        assert self._sources is not None, "prepare() comes first"
        await self._sources.wait_settled(limit)

    async def work(self) -> None:
        """Run reconciles until cancelled, or drained."""
        assert self._workers is not None, "prepare() comes first"
        logger.info("controller.working", extra={"controller": self.name, "workers": self._worker_count})
        await self._workers.run()

    def drain(self) -> None:
        """Start no further reconcile; `work` returns when the last one under way has ended."""
        if self._workers is not None:
            self._workers.drain()

    def end(self) -> None:
        """Drop what is queued; the controller may be prepared again."""
        if self._queue is not None:
            self._queue.shutdown()
        if self._sharded is not None:
            self._sharded.set_shard(self.for_, None)
        self._sharded = None
        self._queue = self._sources = self._workers = None

    def enqueue(self, key: ObjectKey | Request) -> None:
        """Have a key reconciled, as an event would: for what no watch tells of. Plain; on the controller's loop.

        A key without an object, or outside the controller's places, is dropped.

        Raises:
            RuntimeError: the controller does not run.
        """
        if self._queue is None or self._sources is None:
            raise RuntimeError(f"{self!r} does not run: nobody would take the key {key}")
        self._sources.enqueue(key.key if isinstance(key, Request) else key)

    @property
    def ready(self) -> bool:
        """Tell whether the primary kind can be seen: in some of the controller's places, and wherever not denied."""
        return self._sources is not None and self._sources.ready

    @property
    def busy(self) -> int:
        """Return how many reconciles are under way."""
        return self._workers.busy if self._workers is not None else 0

    @property
    def complete(self) -> bool:
        """Tell whether all primaries of the shard are held, wherever they may be seen."""
        return self._sources is not None and self._sources.primaries.complete

    @property
    def objects(self) -> int:
        """Return how many primaries are held."""
        return 0 if self._sources is None else self._sources.primaries.count

    @property
    def namespaces(self) -> WatchedNamespaces:
        """Return where it works."""
        return self._source_options.namespaces

    def is_idle(self, range_: HashRange) -> bool:
        """Tell whether no key that lies in a range of the ring is running."""
        return self._workers is None or self._workers.is_idle(range_)

    @property
    def reasons(self) -> list[str]:
        """Return why it cannot see everything it watches, in words; what owners opened is the cache's to tell."""
        return self._sources.reasons if self._sources is not None else []

    def report(self, instrumentation: metrics.Instrumentation) -> None:
        """Set the numbers that are cheaper to count when somebody looks than to keep."""
        if self._workers is not None:
            self._workers.report(instrumentation)

    def state(self, *, limit: int | None = None) -> dict[str, Any]:
        """Return what a person would ask about it, as plain data: informers with their denials, queue, workers.

        With a limit it shows so many informers at most, those in trouble first.
        """
        if self._sources is None or self._queue is None or self._workers is None:
            return {"running": False}
        return {
            "running": True,
            "ready": self.ready,
            "reasons": self._sources.reasons,
            "informers": self._sources.state(limit),
            "not_served": sorted(self._sources.not_served),
            "queue": {
                "ready": self._queue.ready,
                "delayed": self._queue.delayed,
                "running": self._queue.running,
            },
            "workers": {"busy": self._workers.busy, "of": self._worker_count},
        }

    def _new_budget(self) -> RetryBudget | None:
        return None if self._retries_per_second is None else RetryBudget(self._retries_per_second)

    def _on_overdue(self, request: Request) -> None:
        self._instrumentation.increment(metrics.RECONCILE_TIMEOUTS, controller=self.name)
        if self._runner.threaded:  # a coroutine was ended, and its time-out is logged like any other failure
            logger.error("reconcile.overdue", extra={"controller": self.name, "key": str(request)})

    def __repr__(self) -> str:
        busy = f" busy={self._workers.busy}/{self._worker_count}" if self._workers else ""
        return f"<Controller {self.name} in {self._source_options.namespaces}{busy}>"


def _default_name(kind: Kind) -> str:
    match kind:
        case GVK():
            return kind.kind.lower()
        case GVR():
            return kind.resource
        case Resource():
            return kind.gvr.resource
        case str():
            return kind.partition(".")[0].lower()
