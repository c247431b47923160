"""Runs the reconciles of one controller: takes keys from the queue and does what each outcome asks for."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Final

from .. import metrics
from ..api.write_tally import CURRENT_TALLY
from ..errors import ForbiddenError
from ..event_logger import event_logger
from ..hash_ranges import HashRange
from ..kinds import ObjectKey
from ..supervisor import Supervisor
from .event_sources import EventSources
from .outcome import Outcome
from .outcome_log import OutcomeLog
from .reconcile_run import CURRENT_RUN, ReconcileRun
from .reconciler import ReconcilerRunner
from .reporting.forbidden_reporter import ForbiddenReporter
from .request import HOME, Request
from .self_waking import SelfWaking
from .work_queue import Priority, WorkQueue
from .work_queue_waiter import WorkQueueWaiter

logger: Final = event_logger("scopedcache.controller")

COUNTED_ERRORS: Final = (metrics.RECONCILE_ERRORS, metrics.RECONCILE_TERMINAL_ERRORS)
# Keys denied at the same moment do not come back at the same moment.
REQUEUE_SPREAD_FRACTION: Final = 0.1


class Workers:
    """The workers of one controller; they may be run, ended, and run again over the same queue."""

    def __init__(
        self,
        *,
        name: str,
        count: int,
        sources: EventSources,
        queue: WorkQueue[ObjectKey],
        runner: ReconcilerRunner,
        reporter: ForbiddenReporter,
        self_waking: SelfWaking,
        instrumentation: metrics.Instrumentation,
        paused: str | None = None,
        cluster: str = HOME,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._count = count
        self._sources = sources
        self._primaries = sources.primaries
        self._own_keys = sources.own_keys
        self._queue = queue
        self._waiter = WorkQueueWaiter(queue)
        self._runner = runner
        self._reporter = reporter
        self._self_waking = self_waking
        self._outcome_log = OutcomeLog()
        self._instrumentation = instrumentation
        self._chance = chance
        for counted in (*COUNTED_ERRORS, metrics.RECONCILE_TIMEOUTS):  # from zero on, or the first one is no increase
            instrumentation.increment(counted, 0.0, controller=name)
        instrumentation.increment(metrics.QUEUE_RETRIES, 0.0, name=name, controller=name)
        self._cluster = cluster
        self._idle: set[asyncio.Task[Any]] = set()
        self._left_behind: set[ObjectKey] = set()
        self._paused = paused
        self._paused_keys: set[ObjectKey] = set()
        self._points: dict[ObjectKey, int] = {}  # of running keys, where replicas share the work
        self._draining = False
        self.busy = 0

    async def run(self) -> None:
        """Work until cancelled, or until `drain` was called and every run under way has ended.

        A cancelled run puts its key back into the queue. A thread that cannot be cancelled keeps its key until it
        returns, so that no later worker runs the key at the same time; so does a coroutine that swallows its
        cancellation.
        """
        self._draining = False
        supervisor = Supervisor(f"controller {self._name}")
        try:
            await asyncio.wait([supervisor.start_guarded(f"worker {n}", self._work) for n in range(self._count)])
        finally:
            await supervisor.close()

    def drain(self) -> None:
        """Take no further keys."""
        self._draining = True
        for task in self._idle:
            task.cancel()

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._draining:
            self._idle.add(task)
            try:
                key = await self._waiter.get()
            finally:
                self._idle.discard(task)
            if key is None:
                return
            await self._run_key(key)

    async def _run_key(self, key: ObjectKey) -> None:
        priority = self._queue.priority(key)
        named = {"name": self._name, "controller": self._name}
        self._instrumentation.observe(metrics.QUEUE_SECONDS, self._queue.waited(key), **named)
        started = asyncio.get_running_loop().time()
        point = self._own_keys.point(key)
        if point is not None:
            self._points[key] = point
        try:
            if not self._primaries.is_visible(key):
                self._primaries.park(key, priority)
            elif not self._own_keys.is_ours(key):
                await self._own_keys.put_aside(key, priority)
            elif not self._primaries.needs_reconcile(key):
                self._forget(key)
            elif (pause := self._sources.settle_pause(key)) > 0:
                self._queue.add(key, after=pause, priority=priority)
            elif not self._is_paused(key):
                await self._reconcile(key, priority)
        except asyncio.CancelledError:
            self._queue.add(key, priority=priority)
            raise
        except Exception:  # ours, not the reconciler's: the key must not get lost over it
            self._queue.add_rate_limited(key, priority=priority)
            raise
        finally:
            if key not in self._left_behind:
                self._end_run(key)
            took = asyncio.get_running_loop().time() - started
            self._instrumentation.observe(metrics.WORK_SECONDS, took, **named)

    def _end_run(self, key: ObjectKey) -> None:
        self._own_keys.run_ended(key)
        self._points.pop(key, None)
        self._queue.done(key)

    def is_idle(self, range_: HashRange) -> bool:
        """Tell whether no key that lies in a range of the ring is running."""
        return not any(point in range_ for point in self._points.values())

    def _is_paused(self, key: ObjectKey) -> bool:
        """Tell whether the key's object asks to be let alone; it runs again for the change that ends that."""
        owner = self._primaries.get(key) if self._paused is not None else None
        paused = owner is not None and owner.annotations.get(self._paused or "", "false") != "false"
        if paused != (key in self._paused_keys):
            self._note_paused(key, paused)
        return paused

    def _note_paused(self, key: ObjectKey, paused: bool) -> None:
        fields = {"controller": self._name, "key": str(key)}
        if paused:
            self._paused_keys.add(key)
            logger.info("reconcile.paused", extra=fields)
        else:
            self._paused_keys.discard(key)
            logger.info("reconcile.resumed", extra=fields)

    async def _reconcile(self, key: ObjectKey, priority: Priority) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        deleted = self._primaries.deleted(key)  # what this run can see; later ones are for the next
        run = ReconcileRun(self._name, key, point=self._points.get(key))
        token, tally_token = CURRENT_RUN.set(run), CURRENT_TALLY.set(run.tally)
        self._own_keys.run_begun(key)
        self._self_waking.begin(key)
        self.busy += 1
        about = {"controller": self._name, "k8s.namespace.name": key.namespace, "k8s.object.name": key.name}
        try:
            with self._instrumentation.span(f"reconcile {self._name}", **about, reconcile=run.id) as span:
                outcome = await self._runner.run(
                    Request(key, self._cluster), lambda running: self._leave_behind(key, running)
                )
                span.note(result=outcome.ending)
                if outcome.error is not None:
                    span.fail(outcome.error)
        finally:
            self.busy -= 1
            CURRENT_TALLY.reset(tally_token)
            CURRENT_RUN.reset(token)
            wakes = self._self_waking.end(key, run.tally.writes)
        self._count_run(outcome, loop.time() - started)
        self._log(run, outcome)
        if wakes.is_news:
            logger.warning("reconcile.wakes_itself", extra=self._fields(run))
        self._sources.finish_deletions(key, deleted, again=outcome.rate_limited)
        await self._settle(key, priority, outcome, only_own_wakes=wakes.only_own)

    def _leave_behind(self, key: ObjectKey, running: asyncio.Future[Any]) -> None:
        if isinstance(running, asyncio.Task):  # a thread is not asked whether it wants to go on
            logger.error("reconcile.left_behind", extra={"controller": self._name, "key": str(key)})

        def release(_: object) -> None:
            self._left_behind.discard(key)
            self._end_run(key)

        self._left_behind.add(key)
        running.add_done_callback(release)

    async def _settle(self, key: ObjectKey, priority: Priority, outcome: Outcome, *, only_own_wakes: bool) -> None:
        """Do what the outcome asks for. The key still counts as running."""
        if outcome.rate_limited:
            self._instrumentation.increment(metrics.QUEUE_RETRIES, name=self._name, controller=self._name)
            # What it wrote itself before it failed is no reason to be sooner than its pause.
            self._queue.add_rate_limited(key, priority=priority, drop_again=only_own_wakes)
            return
        if self._primaries.is_visible(key) and not self._primaries.needs_reconcile(key):
            self._forget(key)  # gone: nothing runs for it any more
            return
        if outcome.ending in ("forbidden", "waiting"):
            assert outcome.after is not None
            spread = 1 + REQUEUE_SPREAD_FRACTION * self._chance()
            self._queue.add_refused(key, after=outcome.after * spread, priority=priority)
        else:
            self._queue.forget(key)
            if outcome.after is not None:
                self._queue.add(key, after=outcome.after, priority=priority)
        await self._report(key, outcome)

    def _forget(self, key: ObjectKey) -> None:
        """Its object is gone, and so is all that was kept about it."""
        self._queue.discard(key)
        self._sources.forget(key)
        self._paused_keys.discard(key)
        self._reporter.forget(key)
        self._self_waking.forget(key)
        self._outcome_log.forget(key)

    async def _report(self, key: ObjectKey, outcome: Outcome) -> None:
        owner = self._primaries.get(key)
        if owner is None:
            if isinstance(outcome.error, ForbiddenError) and self._primaries.is_always(key):
                self._sources.await_grant(self._sources.absent_owner(key), outcome.error)
            return
        if isinstance(outcome.error, ForbiddenError):
            self._sources.await_grant(owner, outcome.error)
            await self._reporter.report(owner, outcome.error)
        elif outcome.error is None:
            await self._reporter.take_back(owner)

    def _log(self, run: ReconcileRun, outcome: Outcome) -> None:
        row = self._queue.refusals if outcome.ending in ("forbidden", "waiting") else self._queue.failures
        failures = row(run.key) + 1
        level = self._outcome_log.level(run.key, outcome, failures)
        extra = self._fields(run)
        error = outcome.error
        match outcome.ending:
            case "success" | "requeue_after":
                logger.log(level, "reconcile.done" if level == logging.DEBUG else "reconcile.recovered", extra=extra)
            case "forbidden":
                assert isinstance(error, ForbiddenError)
                extra |= {"verb": error.verb, "resource": error.resource, "namespace": error.namespace}
                logger.log(level, "reconcile.forbidden", extra=extra)
            case "waiting":
                logger.log(level, "reconcile.waiting", extra={**extra, "error": str(error)})
            case "timeout":
                logger.log(level, "reconcile.timeout", extra={**extra, "error": str(error)})
            case "terminal":
                logger.log(level, "reconcile.terminal", extra={**extra, "error": str(error)}, exc_info=error)
            case "error":
                extra |= {"error": str(error), "failures": failures}
                logger.log(level, "reconcile.failed", extra=extra, exc_info=error)

    def _fields(self, run: ReconcileRun) -> dict[str, Any]:
        return {"controller": self._name, "key": str(run.key), "reconcile": run.id}

    def _count_run(self, outcome: Outcome, seconds: float) -> None:
        self._instrumentation.increment(metrics.RECONCILES, controller=self._name, result=outcome.ending)
        self._instrumentation.observe(metrics.RECONCILE_SECONDS, seconds, controller=self._name)
        if outcome.ending in ("error", "timeout", "terminal"):
            self._instrumentation.increment(metrics.RECONCILE_ERRORS, controller=self._name)
        if outcome.ending == "terminal":
            self._instrumentation.increment(metrics.RECONCILE_TERMINAL_ERRORS, controller=self._name)

    def report(self, instrumentation: metrics.Instrumentation) -> None:
        """Set the numbers that are cheaper to count when somebody looks than to keep."""
        queue, named = self._queue, {"name": self._name, "controller": self._name}
        running = queue.running_seconds
        instrumentation.set(metrics.WORKERS, self._count, controller=self._name)
        instrumentation.set(metrics.WORKERS_BUSY, self.busy, controller=self._name)
        instrumentation.set(metrics.QUEUE_DEPTH, queue.ready, **named)
        instrumentation.set(metrics.QUEUE_DELAYED, queue.delayed, controller=self._name)
        instrumentation.set(metrics.QUEUE_ADDS, queue.adds, **named)
        instrumentation.set(metrics.QUEUE_UNFINISHED, sum(running), **named)
        instrumentation.set(metrics.QUEUE_LONGEST_RUNNING, max(running, default=0.0), **named)
