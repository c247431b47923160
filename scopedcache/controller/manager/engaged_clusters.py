"""What runs in the other clusters: a cache and a twin of each controller, for as long as a cluster is there.

Each has tasks of its own. One that does not answer keeps its own twins waiting and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import attrs

from ...event_logger import CURRENT_CLUSTER, event_logger
from ...metrics import Instrumentation
from ...supervisor import Supervisor
from ..cluster_metrics import ClusterMetrics
from ..controller import Controller
from ..reporting.event_recorder import EventRecorder
from .clusters import Cluster, Clusters
from .write_fence import WriteFence

logger: Final = event_logger("scopedcache.controller")


@attrs.define(eq=False)
class _Run:
    """What runs in one cluster."""

    cluster: Cluster
    controllers: list[Controller]
    metrics: ClusterMetrics
    ready: asyncio.Event = attrs.field(factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    work: asyncio.Task[None] | None = None


class EngagedClusters:
    """Follows which clusters there are.

    Args:
        controllers: those of the manager; which of them run elsewhere they say themselves.
        fence: of the writes in every cluster: there is one leader for all.
    """

    def __init__(
        self,
        clusters: Clusters,
        controllers: Sequence[Controller],
        *,
        name: str,
        instrumentation: Instrumentation,
        fence: WriteFence | None,
    ) -> None:
        self._clusters = clusters
        self._controllers = controllers
        self._name = name
        self._instrumentation = instrumentation
        self._fence = fence
        self._runs: dict[str, _Run] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._supervisor = Supervisor("clusters")
        self._working = False

    async def run(self) -> None:
        """Begin and end what runs in clusters as they come and go, until cancelled."""
        stop_listening = self._clusters.listen(self._changed.set)
        try:
            while True:
                self._changed.clear()
                for name, run in list(self._runs.items()):
                    if self._clusters.get(name) is not run.cluster:
                        self._end(name)
                for name, cluster in self._clusters.items():
                    # One of a name begins when the one before it has ended: no key runs in both.
                    if name not in self._runs and name not in self._ending:
                        self._begin(cluster)
                await self._changed.wait()
        finally:
            stop_listening()
            for name in list(self._runs):
                self._end(name)
            if self._ending:
                await asyncio.wait(self._ending.values())

    async def work(self) -> None:
        """Reconcile in all clusters until cancelled, or drained."""
        self._working = True
        try:
            for run in self._runs.values():
                self._start_work(run)
            while self._working or any(run.work and not run.work.done() for run in self._runs.values()):
                tasks = [run.work for run in self._runs.values() if run.work is not None and not run.work.done()]
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({changed, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                await asyncio.sleep(0)
        finally:
            self._working = False
            tasks = [run.work for run in self._runs.values() if run.work is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def drain(self) -> None:
        """Start no further reconcile."""
        self._working = False
        self._changed.set()
        for run in self._runs.values():
            for controller in run.controllers:
                controller.drain()

    def report(self) -> None:
        """Set the numbers that are cheaper to count when somebody looks."""
        for run in self._runs.values():
            if run.ready.is_set():
                run.cluster.cache.report(run.metrics)
                for controller in run.controllers:
                    controller.report(run.metrics)

    def state(self) -> dict[str, Any]:
        """Return what /readyz shows of each cluster."""
        return {name: self._state(run) for name, run in self._runs.items()}

    def _state(self, run: _Run) -> dict[str, Any]:
        if not run.ready.is_set():
            return {"ready": False}
        snapshot = run.cluster.cache.snapshot(limit=0)
        reasons = sorted({reason for controller in run.controllers for reason in controller.reasons})
        away = run.cluster.cache.monitor.server_away
        if away:
            reasons.insert(0, "the API server does not answer")
        return {
            "ready": all(controller.ready for controller in run.controllers),
            "reasons": reasons,
            "answers": not away,
            "unauthenticated": run.cluster.cache.monitor.unauthenticated,
            "effective_bound": round(snapshot.bound, 2),
            "open_watches": snapshot.open_watches,
            "degraded": bool(snapshot.degraded or reasons),
        }

    def _begin(self, cluster: Cluster) -> None:
        if cluster.cache.loop is not None:  # of an earlier run of the manager: a cache runs once
            cluster = self._clusters.add(cluster.name, cluster.client)
        cluster.idle.clear()
        metrics = ClusterMetrics(cluster.name, self._instrumentation)
        twins = [one.in_cluster(cluster.name) for one in self._controllers if one.clusters != "home"]
        run = self._runs[cluster.name] = _Run(cluster, twins, metrics)
        run.task = self._supervisor.start(f"cluster {cluster.name}", self._run_in(run))
        if self._working:
            self._start_work(run)

    def _end(self, name: str) -> None:
        """End what runs in a cluster, in a task of its own: how long that takes keeps no other waiting."""
        self._ending[name] = self._supervisor.start(f"end of {name}", self._end_of(self._runs.pop(name)))

    async def _end_of(self, run: _Run) -> None:
        try:
            for task in (run.work, run.task):
                if task is not None:
                    task.cancel()
                    await asyncio.wait({task})
            run.metrics.forget()
            logger.info("cluster.left", extra={"cluster": run.cluster.name})
        finally:
            run.cluster.idle.set()
            self._ending.pop(run.cluster.name)
            self._changed.set()

    async def _run_in(self, run: _Run) -> None:
        cluster = run.cluster
        CURRENT_CLUSTER.set(cluster.name)  # in this task, and in what it starts
        async with AsyncExitStack() as stack:
            if self._fence is not None:
                cluster.client.add_write_fence(self._fence)
                stack.callback(cluster.client.remove_write_fence, self._fence)
            if isinstance(cluster.cache.instrumentation, ClusterMetrics):
                cluster.cache.instrumentation.to = self._instrumentation
            await stack.enter_async_context(cluster.cache)
            supervisor = Supervisor(f"cluster {cluster.name}")
            stack.push_async_callback(supervisor.close)
            recorder = EventRecorder(cluster.client, controller=self._name, instrumentation=run.metrics)
            supervisor.start_guarded("events", recorder.run)
            for controller in run.controllers:
                controller.prepare(cluster.cache, recorder=recorder, instrumentation=run.metrics)
                stack.callback(controller.end)
                supervisor.start_guarded(f"sources of {controller.name}", controller.watch)
            for controller in self._at_home():
                stack.callback(controller.requeue_all)
                stack.callback(controller.hear(cluster.cache))
                controller.requeue_all()
            run.ready.set()
            logger.info("cluster.engaged", extra={"cluster": cluster.name})
            await self._requeue_when_back(cluster)

    async def _requeue_when_back(self, cluster: Cluster) -> None:
        """Have all at home reconciled when the server answers again: what could not be done there is due."""
        monitor = cluster.cache.monitor
        while True:
            await monitor.wait_recovered(monitor.recoveries)
            for controller in self._at_home():
                controller.requeue_all()

    def _at_home(self) -> Iterable[Controller]:
        return [one for one in self._controllers if one.clusters != "others"]

    def _start_work(self, run: _Run) -> None:
        run.work = self._supervisor.start(f"work in {run.cluster.name}", self._work_in(run))

    async def _work_in(self, run: _Run) -> None:
        CURRENT_CLUSTER.set(run.cluster.name)
        await run.ready.wait()
        if run.controllers:
            await asyncio.gather(*(self._work_of(controller) for controller in run.controllers))

    async def _work_of(self, controller: Controller) -> None:
        await controller.wait_settled()
        if self._working:
            await controller.work()
