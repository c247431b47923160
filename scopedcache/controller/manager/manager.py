"""Runs an operator: probes, caches, leadership, workers, in that order; and ends it in the opposite one.

It promises:
- The caches of a controller are warm before leadership is sought, and stay warm while somebody else leads. Each
  controller begins when its own are, whatever keeps another one.
- Workers run only while this process leads; lost leadership ends them at once and competes again. What they have left
  behind, in threads too, sends no write through the cache's client any more (`write_fence.py`).
- Of everything it runs, only the failure of a runnable ends it. Reconcilers, permissions and the API server do not.
- It stops within its limit, whatever code of others does: no new reconciles, those under way may end, then the Lease is
  given up, so that the next leader begins when nobody works any more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from ... import metrics
from ...event_logger import event_logger
from ...supervisor import Supervisor
from ..controller import Controller
from ..reporting.event_recorder import EventRecorder
from ..sharding.controller_ring import ControllerRing
from ..sharding.coordinator import Coordinator
from ..sharding.ring_shard import RingShard
from ..sharding.settings import Sharding
from ..sharding.shard import Shard
from ..sharding.weights import weigh
from .bind_address import BindAddress
from .bounded_tasks import BoundedTasks
from .clusters import Clusters
from .election_rules import LeaderElection
from .engaged_clusters import EngagedClusters
from .leader_elector import LeaderElector
from .loop_watchdog import LoopWatchdog
from .token_access import TokenAccess
from .write_fence import WriteFence, unfenced

if TYPE_CHECKING:
    from ...api.client import Client
    from ...api.session import WriteFence as Fence
    from ...cache import ScopedCache, Snapshot
    from .health_server import HealthServer

logger: Final = event_logger("scopedcache.controller")

# Shorter than the grace period of a Pod, 30 s by default: what comes after it (`GRACE_SECONDS`, the last Events, the
# Lease) must be done before SIGKILL, or the next leader waits until the Lease runs out.
STOP_TIMEOUT_SECONDS: Final = 20.0
# Events are a courtesy: they get this long at the end.
FLUSH_TIMEOUT_SECONDS: Final = 1.0
# What is cancelled ends at once, unless it swallows that; workers give their reconciles a second.
GRACE_SECONDS: Final = 1.5
# How much of each list /readyz?verbose shows, and /readyz: a probe must not hold the loop, and `totals` says how many
# there are.
SHOWN_ENTRIES: Final = 20
SUMMARY_ENTRIES: Final = 10


@attrs.frozen
class Runnable:
    """Something else that belongs to the operator: it runs until cancelled, or once.

    Its failure ends the manager.

    Attributes:
        run: called without arguments.
        leader_only: run it only while this process leads; started anew with each leadership.
        name: for logs.
    """

    run: Callable[[], Awaitable[None]]
    leader_only: bool = attrs.field(default=False, kw_only=True)
    name: str = attrs.field(kw_only=True)

    @name.default
    def _default_name(self) -> str:
        return getattr(self.run, "__qualname__", "runnable")

    async def __call__(self) -> None:
        await self.run()


class Manager:
    """An operator's parts under one roof.

    Args:
        cache: an open cache; it stays open afterwards.
        controllers: what to run.
        clusters: other clusters than the cache's: a `Clusters`, or clients by name. Each has a cache of its own, and
            runs the controllers that say so (`Controller(clusters=…)`); those of the manager's own hear of what their
            owners opened there, and are run anew when a cluster comes, goes, or answers again. One that does not answer
            keeps nobody else waiting, and does not count for readiness.
        leader_election: None: always lead.
        sharding: let several replicas work at the same time, each on a part of the primaries: as they agree among
            themselves (`Sharding`), or as kubernetes-controller-sharding says (`ControllerRing`). The kinds that the
            controllers are for are held in part then, by this cache too.
        health_address, metrics_address: where to answer probes and scrapes (`:8081` is every interface); None:
            nowhere. They may be the same.
        metrics_cert_path: a folder with `tls.crt` and `tls.key`: /metrics is served over TLS then, and to bearer tokens
            that may `get` it (TokenReview, SubjectAccessReview). It needs an address of its own.
        rights_page: serve `/debug/rights` on the health address: to this machine (`kubectl port-forward`), and to
            bearer tokens that may get that path.
        runnables: async functions, or objects of `Runnable`.
        stop_timeout: seconds that reconciles under way get at the end. A Pod's terminationGracePeriodSeconds should be
            ten seconds longer.
        instrumentation: takes the numbers; the cache's, unless told otherwise. `/metrics` shows Counters alone.
        name: who speaks in Kubernetes Events.

    Attributes:
        recorder: takes Events of the operator's own; they are posted while the manager runs.

    Raises:
        ValueError: two controllers have one name, /metrics over TLS shares the probes' address, or sharding goes with
            what only one of the replicas is to do.
    """

    def __init__(
        self,
        cache: ScopedCache,
        *,
        controllers: Iterable[Controller] = (),
        leader_election: LeaderElection | None = None,
        sharding: Sharding | ControllerRing | None = None,
        health_address: str | int | None = None,
        metrics_address: str | int | None = None,
        metrics_cert_path: str | os.PathLike[str] | None = None,
        rights_page: bool = False,
        runnables: Iterable[Runnable | Callable[[], Awaitable[None]]] = (),
        stop_timeout: float = STOP_TIMEOUT_SECONDS,
        instrumentation: metrics.Instrumentation | None = None,
        name: str = "scopedcache",
        clusters: Clusters | Mapping[str, Client] | None = None,
    ) -> None:
        declared = tuple(controllers)
        _check_names(declared)
        self.controllers = tuple(one for one in declared if one.clusters != "others")
        if clusters is not None and not isinstance(clusters, Clusters):
            clusters = Clusters(clusters)
        elif clusters is None and len(self.controllers) < len(declared):
            raise ValueError("a controller runs in other clusters, and there are none: give clusters=")
        self.clusters = clusters
        self._declared = declared
        self._name = name
        self._engaged: EngagedClusters | None = None
        self._cache = cache
        self._election = leader_election
        self._sharding = sharding
        self._health = None if health_address is None else BindAddress.parse(health_address)
        self._metrics = None if metrics_address is None else BindAddress.parse(metrics_address)
        if metrics_cert_path is not None and metrics_address == health_address:
            raise ValueError("metrics_cert_path= needs a metrics_address= of its own: probes are plain HTTP")
        self._metrics_cert_path = metrics_cert_path
        self._rights_page = rights_page
        self._runnables = tuple(run if isinstance(run, Runnable) else Runnable(run) for run in runnables)
        if sharding is not None and clusters is not None:
            raise ValueError(
                "sharding= shares out the manager's own cluster and goes without clusters=: run a manager with "
                "sharding= for each cluster, or all of them under one leader (leader_election=)"
            )
        if sharding is not None and (leader_election is not None or any(run.leader_only for run in self._runnables)):
            raise ValueError("with sharding= nobody leads: it goes without leader_election= and leader_only runnables")
        self._coordinator: Coordinator | None = None
        self._ring: RingShard | None = None
        self._stop_timeout = stop_timeout
        self.instrumentation = cache.instrumentation if instrumentation is None else instrumentation
        self._elector: LeaderElector | None = None
        self.recorder = EventRecorder(cache.client, controller=name, instrumentation=self.instrumentation)
        self._stopping = asyncio.Event()
        self._servers: tuple[HealthServer, ...] = ()

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Run until `stop` is set, a runnable fails, or the caller is cancelled; then end everything.

        Raises:
            ConfigurationError: an address cannot be listened on, or its certificate cannot be used.
            Exception: what a runnable raised (in a group, where several did).

        The Lease is given up last of all.
        """
        stop = stop or asyncio.Event()
        self._stopping = asyncio.Event()
        client = self._cache.client
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            await stack.enter_async_context(LoopWatchdog(self.instrumentation))
            supervisor = Supervisor("manager")
            stack.push_async_callback(supervisor.close)
            supervisor.start_guarded("events", self.recorder.run)
            shard: Shard | RingShard | None = None
            if isinstance(self._sharding, ControllerRing):
                shard = self._ring = RingShard(client, self._sharding, instrumentation=self.instrumentation)
                self._elector = shard.elector
                self._put_up(shard.fences, stack)
            elif self._sharding is not None:
                shard = Shard()
                self._coordinator = self._coordinate(self._sharding, shard, stack)
            for controller in self.controllers:
                controller.prepare(
                    self._cache, recorder=self.recorder, instrumentation=self.instrumentation, shard=shard
                )
                stack.callback(controller.end)
                supervisor.start_guarded(f"sources of {controller.name}", controller.watch)
            fence: WriteFence | None = None
            if self._election is not None:
                fence = WriteFence()
                client.add_write_fence(fence)
                stack.callback(client.remove_write_fence, fence)
                self._elector = LeaderElector(client, self._election, instrumentation=self.instrumentation, fence=fence)
            if self.clusters is not None:
                self._engaged = EngagedClusters(
                    self.clusters,
                    self._declared,
                    name=self._name,
                    instrumentation=self.instrumentation,
                    fence=fence,
                )
                with unfenced():
                    supervisor.start_guarded("clusters", self._engaged.run)
                supervisor.start_guarded("clusters found", partial(self.clusters.find, self._cache))
            logger.info("manager.started", extra={"controllers": [c.name for c in self.controllers]})
            try:
                await self._run_all(stop)
            finally:
                logger.info("manager.stopped")

    @property
    def ready(self) -> bool:
        """Tell whether every controller can see its kind in some place. Waiting for leadership is ready too.

        Not so where nobody can lead: the Lease cannot be read or written.
        """
        can_lead = self._work_refused is None
        return can_lead and all(controller.ready for controller in self.controllers)

    @property
    def _work_refused(self) -> str | None:
        part = self._ring or self._elector or self._coordinator
        return None if part is None else part.reason

    @property
    def leading(self) -> bool:
        """Tell whether this process leads now; without leader election it does. With sharding: it has a part."""
        if self._coordinator is not None:
            return self._coordinator.active
        return self._elector is None or self._elector.leading

    @property
    def addresses(self) -> tuple[BindAddress, ...]:
        """Return where it listens: health first, then metrics."""
        return tuple(server.address for server in self._servers)

    def report(self, instrumentation: metrics.Instrumentation) -> None:
        """Set the numbers that are cheaper to count when somebody looks than to keep; each scrape does."""
        self._cache.report(instrumentation)
        for controller in self.controllers:
            controller.report(instrumentation)
        if self._engaged is not None:
            self._engaged.report()

    def state(self) -> dict[str, Any]:
        """Return what /readyz?verbose shows: the summary, each informer, and the first entries of all that is held."""
        snapshot = self._cache.snapshot(limit=SHOWN_ENTRIES)
        return {
            **self._summary(snapshot),
            "controllers": {controller.name: controller.state(limit=SHOWN_ENTRIES) for controller in self.controllers},
            "snapshot": snapshot.to_dict(),
        }

    def summary(self) -> dict[str, Any]:
        """Return what /readyz shows: short, and cheap however much is held."""
        return self._summary(self._cache.snapshot(limit=SUMMARY_ENTRIES))

    def _summary(self, snapshot: Snapshot) -> dict[str, Any]:
        reasons = {reason for controller in self.controllers for reason in controller.reasons}
        if self._work_refused is not None:
            reasons.add(self._work_refused)
        reasons |= {str(scope.error) for scope in snapshot.waiting if scope.error is not None}
        named = tuple(reasons)  # with the date since when
        missing = (f"may not {permission}" for permission in snapshot.missing)
        reasons.update(reason for reason in missing if not any(other.startswith(reason) for other in named))
        return {
            "leader": self._elector.state() if self._elector and self._ring is None else None,
            **({"sharding": sharing.state()} if (sharing := self._coordinator or self._ring) is not None else {}),
            "controllers": {controller.name: controller.state(limit=0) for controller in self.controllers},
            **({} if self._engaged is None else {"clusters": self._engaged.state()}),
            "effective_bound": round(self._cache.bound, 2),
            "reviews": self._cache.monitor.load.to_dict(),
            "open_watches": snapshot.open_watches,
            "degraded": bool(snapshot.degraded or reasons),
            "reasons": sorted(reasons),
            "totals": snapshot.totals,
            "waiting": [
                {"owner": scope.owner, "namespace": scope.namespace, "missing": scope.missing}
                for scope in snapshot.waiting
            ]
            + [{"owner": wait.owner, "missing": (wait.permission,)} for wait in snapshot.pending],
        }

    async def _listen(self, stack: AsyncExitStack) -> None:
        from .health_server import HealthServer

        counters = self.instrumentation if isinstance(self.instrumentation, metrics.Counters) else None
        numbers = None if counters is None else partial(self._scrape, counters)
        servers = []
        if self._health is not None:
            shared = numbers if self._metrics == self._health else None
            page = None
            if self._rights_page:
                from ..reporting.page.rights_feed import RightsFeed
                from ..reporting.page.rights_page import PATH, RightsPage

                feed = await stack.enter_async_context(RightsFeed(self._cache.live_view()))
                page = RightsPage(feed, TokenAccess(self._cache.client, PATH))
            servers.append(
                HealthServer(
                    self._health,
                    ready=lambda: self.ready,
                    state=self.summary,
                    details=self.state,
                    numbers=shared,
                    page=page,
                )
            )
        if self._metrics is not None and self._metrics != self._health:
            servers.append(self._metrics_server(self._metrics, numbers))
        for server in servers:
            await stack.enter_async_context(server)
        self._servers = tuple(servers)

    def _metrics_server(self, address: BindAddress, numbers: Callable[[], metrics.Counters] | None) -> HealthServer:
        from .health_server import HealthServer

        if self._metrics_cert_path is None:
            return HealthServer(address, numbers=numbers)
        from .serving_certificate import ServingCertificate

        access = TokenAccess(self._cache.client, "/metrics")
        tls = ServingCertificate(Path(self._metrics_cert_path))
        return HealthServer(address, numbers=numbers, tls=tls, metrics_access=access)

    def _scrape(self, counters: metrics.Counters) -> metrics.Counters:
        self.report(counters)
        return counters

    async def _run_all(self, stop: asyncio.Event) -> None:
        tasks = BoundedTasks(grace=GRACE_SECONDS)
        leading = tasks.start("leading", self._lead)
        with unfenced():  # what runs everywhere is no leader's work
            for runnable in self._runnables:
                if not runnable.leader_only:
                    tasks.start(runnable.name, runnable)
        stopped = tasks.start("stop", partial(self._wait_stop, stop))
        try:
            await tasks.wait_unless_failed(stopped)
            logger.info("manager.stopping", extra=self._waits_for())
            self._stopping.set()
            await tasks.wait_unless_failed(leading)
        finally:
            await tasks.end([leading])
            await tasks.end()
        tasks.raise_failures()

    def _waits_for(self) -> dict[str, Any]:
        """Return what the end waits for: the reconciles under way, how long at most, and a Lease to give up."""
        running = {controller.name: controller.busy for controller in self.controllers if controller.busy}
        elector = self._elector if self.leading else None
        held = None if elector is None else elector.name
        return {"reconciles": running, "seconds_at_most": self._stop_timeout if running else 0.0, "lease": held}

    async def _wait_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()

    async def _lead(self) -> None:
        """Work while we lead, until stopped."""
        if self._coordinator is not None:
            await self._work_on_a_part(self._coordinator)
            return
        await self._unless_stopped(self._wait_warm())
        elector = self._elector
        if elector is None:
            if not self._stopping.is_set():
                await self._work()
            return
        try:
            while not self._stopping.is_set():
                await self._unless_stopped(elector.acquire())
                if elector.leading:
                    await self._work_while_leading(elector)
        finally:
            await elector.release()

    def _coordinate(self, sharding: Sharding, shard: Shard, stack: AsyncExitStack) -> Coordinator:
        controllers, client = self.controllers, self._cache.client
        coordinator = Coordinator(
            client,
            sharding,
            shard,
            count=lambda: sum(controller.objects for controller in controllers),
            weigh=partial(weigh, client, controllers),
            is_idle=lambda range_: all(controller.is_idle(range_) for controller in controllers),
            complete=lambda: all(controller.complete for controller in controllers),
            instrumentation=self.instrumentation,
        )
        self._put_up(coordinator.fences, stack)
        return coordinator

    def _put_up(self, fences: Iterable[Fence], stack: AsyncExitStack) -> None:
        client = self._cache.client
        for fence in fences:
            client.add_write_fence(fence)
            stack.callback(client.remove_write_fence, fence)

    async def _work_on_a_part(self, coordinator: Coordinator) -> None:
        """Work on what is ours until stopped; others are let to get ready for it before it ends."""
        sharing = asyncio.create_task(coordinator.run(), name="sharding")
        try:
            await self._unless_stopped(self._wait_warm())
            if not self._stopping.is_set():
                await self._work(before_end=coordinator.leave)
        finally:
            sharing.cancel()
            await asyncio.wait({sharing})
            await coordinator.release()

    async def _wait_warm(self) -> None:
        """Wait until one controller could work: the others' trouble is no reason to wait."""
        waiting = [asyncio.create_task(controller.wait_settled()) for controller in self.controllers]
        try:
            if waiting:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _work_while_leading(self, elector: LeaderElector) -> None:
        holding = asyncio.create_task(elector.hold(), name="hold")
        working = asyncio.create_task(self._work(), name="work")
        try:
            await asyncio.wait({holding, working}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            await asyncio.wait({working})
            holding.cancel()
            await asyncio.wait({holding})
        if elector.yielding:
            await elector.release()
        if not working.cancelled():
            working.result()  # what a runnable raised

    async def _work(self, *, before_end: Callable[[], Awaitable[None]] | None = None) -> None:
        """Run workers and leader-only runnables; when stopped, let what is under way end.

        `before_end` is awaited while they still run.
        """
        tasks = BoundedTasks(grace=GRACE_SECONDS)
        for runnable in self._runnables:
            if runnable.leader_only:
                tasks.start(runnable.name, runnable)
        working = [tasks.start(f"work {c.name}", partial(self._work_of, c)) for c in self.controllers]
        if self._engaged is not None:
            working.append(tasks.start("work in clusters", self._engaged.work))
        stopped = tasks.start("stop", partial(self._wait_stop, self._stopping))
        try:
            await tasks.wait_unless_failed(stopped)
            if before_end is not None and stopped.done():
                await before_end()
            for controller in self.controllers:
                controller.drain()
            if self._engaged is not None:
                self._engaged.drain()
            if working and stopped.done():
                _, late = await asyncio.wait(working, timeout=self._stop_timeout)
                for task in late:
                    logger.warning("manager.stop_timeout", extra={"task": task.get_name()})
        finally:
            await tasks.end()
            await self._flush_events()
        tasks.raise_failures()

    async def _work_of(self, controller: Controller) -> None:
        """Work as soon as the controller's own caches are warm."""
        await self._unless_stopped(controller.wait_settled())
        if not self._stopping.is_set():
            await controller.work()

    async def _flush_events(self) -> None:
        """Post what is recorded, while we lead still."""
        if self.leading:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                    await self.recorder.flush()

    async def _unless_stopped(self, work: Awaitable[None]) -> None:
        """Wait for `work`, or for the stop, whatever comes first."""
        task, stopped = asyncio.ensure_future(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            stopped.cancel()
            await asyncio.wait({task, stopped})
        if not task.cancelled():
            task.result()

    def __repr__(self) -> str:
        return f"<Manager of {', '.join(c.name for c in self.controllers) or 'nothing'} leading={self.leading}>"


def _check_names(controllers: Iterable[Controller]) -> None:
    names: set[str] = set()
    for controller in controllers:
        if controller.name in names:
            raise ValueError(f"two controllers are called {controller.name!r}: give one of them another name=")
        names.add(controller.name)
