"""The door: a cache whose view of the cluster follows the rights of its user.

    namespaces[namespace][owner UID] ─▶ ResourceCache        cluster ─▶ what is watched for everybody

Informers start when an owner needs them, are shared by all owners of a namespace, and close the moment the API server
is known to refuse them.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

from ..access import IdentityMonitors, Monitor
from ..access.detection_bound import PERIOD_SECONDS, period_for
from ..access.review_budget import REVIEWS_PER_SECOND
from ..api.client import Client, load_http
from ..api.codec import Transform
from ..api.permission import permission_of
from ..clock import loop_time
from ..errors import ForbiddenError, ScopedCacheError
from ..informer import EventHandler, IndexFunc, InformerOptions
from ..informer.label_shard import LabelShard
from ..informer.shard_filter import ShardFilter
from ..kinds import GVK, Kind, Resource
from ..metrics import Counters, Instrumentation
from ..needs import Need
from ..objects import Object
from ..selectors import Labels, LabelSelector
from ..supervisor import Supervisor
from .cache_report import CacheReport
from .cluster_cache import ClusterCache
from .file_descriptors import raise_descriptor_limit
from .home_loop import HomeLoop
from .informer_handle import InformerHandle
from .informer_pool import InformerPool
from .live_view import LiveView
from .owner import Denial, OwnerChanged, OwnerId
from .rbac_watch import RBAC_RESOURCES, RBACWatch, hinting_handler
from .resource_cache import ResourceCache
from .scope_opener import IdentityOf, ScopeOpener
from .scope_table import ScopeTable
from .snapshot import Snapshot, take_snapshot
from .subscribers import Subscribers

# Long enough for a first list of ten thousand objects, short enough for a worker to wait.
SYNC_TIMEOUT_SECONDS: Final = 5.0


class ScopedCache:
    """A cache for one event loop; use it with `async with`.

    Args:
        client: the way to the server.
        detection_bound: seconds within which a change of rights is to be noticed; the probe period follows from it.
            Without it a place in use is reviewed every 5 s, which bounds detection at 7.5 s for up to 100 places. It is
            2 s more for half a minute after trouble: a lost connection, or a server that is not ready.
            Where RBAC objects are watched, changes are told by events in about a second; the period doubles then, and
            `bound` says what would hold without the events.
        review_rate: reviews per second, for all places together.
        cluster_wide: kinds to watch in all namespaces at once, with one informer.
        selectors: per kind, a label selector for the server. Objects that do not match do not exist for this cache.
        field_selectors: per kind, a field selector for the server (`status.phase=Running`), which says what it can
            select by. The same holds for what does not match, and what we write is seen when its event is.
        transforms: per kind, a function that changes objects before they are kept. They cannot be updated as a whole.
        compress: keep objects compressed: all, or those of these kinds. They take a fifth of the memory (a Pod of
            4.8 KB about 1 KB with its metadata), some 30 µs more at each change, and 10 µs at the first read that
            is not of metadata.
        rbac_watch: watch RBAC objects where we may: changes are then noticed in about a second.
        identity: says of an owner's object as whom it is served (`As`, `ServiceAccount`; None: the client's own user):
            as whom what it opens is listed and watched, its rights are reviewed, and its `scope.client` writes. Owners
            share informers and verdicts with owners of the same identity only. Asked at each `open`; where the answer
            is another one, the owner's scope begins anew. What it raises, `open` raises.
        instrumentation: where numbers are reported to; Counters of its own, unless told otherwise.
        options: time-outs and limits of the informers.
        sync_timeout: seconds that `open` waits for what it asked for, where it is not told otherwise. A reconciler that
            waits holds a worker; who does not wait is told.
        record: keep what is asked and answered in this new file, for a report that can be played again
            (`python -m scopedcache.testing replay`). Objects are reduced to metadata, secrets are never kept.
        timer: tells the time in seconds; for tests in virtual time, the loop's.
        chance: a number from 0 to 1, for what is spread at random.
    """

    def __init__(
        self,
        client: Client,
        *,
        detection_bound: float | None = None,
        review_rate: float = REVIEWS_PER_SECOND,
        cluster_wide: Collection[Kind] = (),
        selectors: Mapping[Kind, Labels] = MappingProxyType({}),
        field_selectors: Mapping[Kind, str] = MappingProxyType({}),
        transforms: Mapping[Kind, Transform] = MappingProxyType({}),
        compress: bool | Collection[Kind] = False,
        rbac_watch: bool = True,
        identity: IdentityOf | None = None,
        instrumentation: Instrumentation | None = None,
        options: InformerOptions | None = None,
        sync_timeout: float = SYNC_TIMEOUT_SECONDS,
        record: str | os.PathLike[str] | None = None,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        period = PERIOD_SECONDS if detection_bound is None else period_for(detection_bound)
        self.client = client
        self.instrumentation: Instrumentation = Counters() if instrumentation is None else instrumentation
        about_rights: dict[str, Any] = {
            "period": period,
            "rate": review_rate,
            "instrumentation": self.instrumentation,
            "timer": timer,
            "chance": chance,
        }
        self._identities: IdentityMonitors | None = None
        if identity is None:
            self.monitor = Monitor(client, **about_rights)
        else:
            self.monitor = self._identities = IdentityMonitors(
                client,
                client_of=lambda whom: self._pool.client_of(whom),
                ended=lambda whom: self._pool.identity_ended(whom),
                **about_rights,
            )
        self._supervisor = Supervisor("scoped-cache")
        self._subscribers = Subscribers()
        self._pool = InformerPool(
            client,
            self.monitor,
            self._supervisor,
            options=options or InformerOptions(),
            selectors={kind: LabelSelector.parse(labels) for kind, labels in selectors.items()},
            field_selectors=field_selectors,
            transforms=transforms,
            compress=compress,
            timer=timer,
            chance=chance,
        )
        self._table = ScopeTable(
            self.monitor,
            self._pool,
            client.discovery,
            self._supervisor,
            cluster_wide=cluster_wide,
            publish=self._subscribers.publish,
            timer=timer,
            chance=chance,
        )
        self._report = CacheReport(self._table, self._pool, self.monitor)
        self._timer = timer
        self._home = HomeLoop()
        self._opener = ScopeOpener(self._table, self._home, sync_timeout, identity)
        self.cluster = ClusterCache(self._opener, self._table)
        self._rbac_watch = rbac_watch
        self._record = record

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        client: Any = None,
        detection_bound: float | None = None,
        review_rate: float = REVIEWS_PER_SECOND,
        cluster_wide: Collection[Kind] = (),
        selectors: Mapping[Kind, Labels] = MappingProxyType({}),
        field_selectors: Mapping[Kind, str] = MappingProxyType({}),
        transforms: Mapping[Kind, Transform] = MappingProxyType({}),
        compress: bool | Collection[Kind] = False,
        rbac_watch: bool = True,
        identity: IdentityOf | None = None,
        instrumentation: Instrumentation | None = None,
        options: InformerOptions | None = None,
        sync_timeout: float = SYNC_TIMEOUT_SECONDS,
        record: str | os.PathLike[str] | None = None,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> AsyncIterator[ScopedCache]:
        """Connect and return a running cache; leaving the block ends everything.

        Args:
            kubeconfig, context, client: as for `Client.connect`; everything else as for the class.

        Raises:
            ConfigurationError: there is no way to a server.
        """
        await load_http()
        async with (
            Client.connect(kubeconfig=kubeconfig, context=context, client=client) as connected,
            cls(
                connected,
                detection_bound=detection_bound,
                review_rate=review_rate,
                cluster_wide=cluster_wide,
                selectors=selectors,
                field_selectors=field_selectors,
                transforms=transforms,
                compress=compress,
                rbac_watch=rbac_watch,
                identity=identity,
                instrumentation=instrumentation,
                options=options,
                sync_timeout=sync_timeout,
                record=record,
                timer=timer,
                chance=chance,
            ) as cache,
        ):
            yield cache

    async def __aenter__(self) -> ScopedCache:
        if self._record is not None:
            self.client.record(self._record, timer=self._timer)
        self._home.begin()
        self._supervisor.keep_context()
        raise_descriptor_limit()
        self.monitor.start(self._supervisor, self._table)
        self.client.add_write_listener(self._pool)
        self.client.report_to(self.instrumentation)
        if self._rbac_watch:
            self.monitor.expect_events(self._watch_rbac().is_live)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._home.end()
        self.client.remove_write_listener(self._pool)
        self._table.close_all()
        self.monitor.stop()
        await self._supervisor.close()
        if self._identities is not None:
            await self._identities.close()
            await self._pool.close_clients()

    # -- scopes --------------------------------------------------------------------------------------------------

    async def open(
        self,
        owner: Object | OwnerId,
        *needs: Kind | Need,
        namespace: str | None = None,
        sync_timeout: float | None = None,
    ) -> ResourceCache:
        """Open what an owner needs in a namespace (its own, unless told otherwise); return it synced.

        Opening again adds needs and is otherwise a look-up. Waits for reviews and first lists, `sync_timeout` seconds
        (the cache's, unless told otherwise) less those that what it waits for has been under way already. Optional
        needs are not waited for: the owner is told once they are there.

        Raises:
            ForbiddenError: a required kind may not be listed or watched there. The scope waits: once the rights are
                there, it opens by itself and its owner is told (`OwnerChanged`).
            UnknownKindError: the server does not serve a required kind, or not so that it can be watched. The scope
                waits in the same way.
            NotSyncedError: it takes longer. The opening goes on, and the owner is told once it is done.
            ScopeClosedError: the owner was deleted.
            ValueError: a cluster-scoped owner, and no namespace.
        """
        who = OwnerId.of(owner)
        place = namespace or who.key.namespace
        if not place:
            raise ValueError(f"{who} lies in no namespace: name one with namespace=, or use cache.cluster.open")
        return await self._opener.open(owner, needs, place, sync_timeout)

    async def open_all(
        self,
        owner: Object | OwnerId,
        *needs: Kind | Need,
        namespaces: Iterable[str],
        exclusive: bool = False,
        sync_timeout: float | None = None,
    ) -> dict[str, ResourceCache | ScopedCacheError]:
        """Open the same needs in many namespaces at once; return a ResourceCache, or the error, for each of them.

        `exclusive`: what the owner has in a namespace that is not named here is closed first, denied or not. Its own
        namespace stays.
        """
        names = list(namespaces)
        if exclusive:
            self.close_others(owner, keep=names)
        opened = await asyncio.gather(
            *(self.open(owner, *needs, namespace=name, sync_timeout=sync_timeout) for name in names),
            return_exceptions=True,
        )
        result: dict[str, ResourceCache | ScopedCacheError] = {}
        for name, outcome in zip(names, opened, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, ScopedCacheError):
                raise outcome
            result[name] = outcome
        return result

    def close(self, owner: Object | OwnerId, *, namespace: str | None = None) -> None:
        """Close everything an owner opened, in all namespaces or in one; what waits too.

        Sockets close after: `wait_closed`.
        """
        self._home.check()
        uid = OwnerId.of(owner).uid
        if namespace is None:
            self._table.close_owner(uid)
        else:
            self._table.close_place(uid, namespace)

    def close_others(self, owner: Object | OwnerId, *, keep: Iterable[str]) -> None:
        """Close what an owner has, or waits for, in all namespaces but these and its own."""
        self._home.check()
        who, kept = OwnerId.of(owner), set(keep)
        for name in self._table.places_of(who.uid):
            if name not in kept and name != who.key.namespace:
                self._table.close_place(who.uid, name)

    async def wait_closed(self) -> None:
        """Wait until the connections of what was closed are closed."""
        await self._pool.wait_closed()

    def owners(self, kind: GVK, namespace: str | None) -> Sequence[OwnerId]:
        """Return the owners of a kind, of whatever version, in a namespace (None: all) that opened something and did
        not close it.

        Those count too that wait, and those that lie where their own kind may not be seen.
        """
        self._home.check()
        return self._table.owners(kind, namespace)

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, ResourceCache]]:
        """Return namespace → owner UID → ResourceCache, of what is open now."""
        handles: dict[str, dict[str, ResourceCache]] = {}
        for binding in self._table:
            scope = binding.scope
            if scope.is_open and scope.owner is not None and scope.namespace is not None:
                handles.setdefault(scope.namespace, {})[scope.uid] = binding.handle
        return MappingProxyType({name: MappingProxyType(by_uid) for name, by_uid in handles.items()})

    @asynccontextmanager
    async def informer(
        self, kind: Kind | Need, *, namespace: str | None = None, metadata_only: bool = False
    ) -> AsyncIterator[InformerHandle]:
        """Hold the informer of a kind, in a namespace or everywhere; it is shared with everybody else who needs it.

        A kind that may not be seen does not raise: the handle waits and heals by itself. So it does where the kind is
        not served any more, or in another version.

        Raises:
            UnknownKindError: the server does not serve the kind, or not so that it can be watched.
        """
        need = kind if isinstance(kind, Need) else Need(kind, metadata_only=metadata_only)
        self._home.check_running()
        resource = await self.client.discovery.resolve_watchable(need.kind)
        self._home.check_running()
        handle = self._handle(resource, need, namespace if resource.namespaced else None)
        remove = handle.add_handler(EventHandler(on_delete=self._owner_deleted))
        try:
            yield handle
        finally:
            remove()
            handle.end()

    def add_index(self, kind: Kind, name: str, function: IndexFunc) -> None:
        """Add an index to every present and future informer of a kind; read it with `by_index`.

        Before the cache runs, too: a program adds what its parts read when it makes them.
        """
        if self._home.loop is not None:
            self._home.check()
        self._pool.add_index(kind, name, function)

    def set_shard(self, kind: Kind, shard: ShardFilter | LabelShard | None) -> None:
        """Hold a part of a kind's objects, for other replicas hold the rest; None ends that. For the controllers.

        What lies outside does not exist for this cache. Informers that run already go on as they are.
        """
        self._pool.set_shard(kind, shard)

    def subscribe(self, subscriber: Callable[[OwnerChanged], None]) -> Callable[[], None]:
        """Call `subscriber` for every change an owner should be reconciled for; returns the way to end it.

        It is called on the loop, once per event: it should only enqueue.
        """
        return self._subscribers.add(subscriber)

    def await_grant(self, owner: Object | OwnerId, error: ForbiddenError) -> None:
        """Have the owner told (`granted`) once it may do what a call of its was refused; `close(owner)` ends that.

        The controller calls it for every refused reconcile. An owner has one wait for each verb, resource and place,
        for the name that was refused last, and no more than 16 of them.
        """
        self._home.check_running()
        # A cached denial is an old answer: the right may be there by now.
        settled = error.by == "authorizer" and not error.cached
        self._table.await_grant(OwnerId.of(owner), permission_of(error), settled=settled)

    def missing_permissions(self, owner: Object | OwnerId, *, namespace: str | None = None) -> Sequence[Denial]:
        """Return everything that is missing now of what an owner declared, or waits for, in one namespace or in all.

        What nothing is shown without comes first. A ForbiddenError that `open` raises carries the same (`missing`).
        """
        self._home.check()
        return self._table.missing_of(OwnerId.of(owner).uid, namespace)

    def recheck(self, namespace: str | None = None) -> None:
        """Review rights now, in one namespace or in all in use, instead of at the next probe."""
        self._home.check_running()
        self.monitor.hint(namespace)

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of rights is noticed now."""
        return self.monitor.bound

    def snapshot(self, *, limit: int | None = None) -> Snapshot:
        """Return what is held now, as plain values; with a `limit`, so many entries of each list at most.

        What waits and what is missing goes first then, and `totals` says how many there are: cheap enough for a probe,
        however much the cache holds.
        """
        return take_snapshot(self._table, self._pool, self.monitor, tasks=len(self._supervisor), limit=limit)

    def live_view(self) -> LiveView:
        """Return what reads this cache row by row, for a page that follows it; on the cache's loop."""
        self._home.check()
        return LiveView(self._table, self._pool, self.monitor, timer=self._timer)

    def report(self, instrumentation: Instrumentation) -> None:
        """Set the numbers that are cheaper to count when somebody looks than to keep."""
        self._report.set_all(instrumentation, tasks=len(self._supervisor))

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the event loop it runs on, None before it does; `scopedcache.sync.of` leads there."""
        return self._home.loop

    def _handle(
        self, resource: Resource, need: Need, namespace: str | None, *, internal: bool = False
    ) -> InformerHandle:
        binding = self._table.of_nobody(namespace, internal=internal)
        handle = InformerHandle(self._table, self._supervisor, binding, need, resource)
        handle.begin()
        return handle

    def _watch_rbac(self) -> RBACWatch:
        """Let RBAC objects hint at changes; where they may not be watched, a handle waits and costs nothing more."""
        handles = [
            self._handle(resource, Need(resource.gvk, metadata_only=True), None, internal=True)
            for resource in RBAC_RESOURCES
        ]
        for handle in handles:
            handle.add_handler(hinting_handler(self.monitor))
        return RBACWatch(handles)

    def _owner_deleted(self, owner: Object, unknown: bool) -> None:
        self._table.close_owner(owner.uid, deleted=True)

    def __repr__(self) -> str:
        return (
            f"<ScopedCache namespaces={self._table.namespaces} informers={len(self._pool)} "
            f"watches={self._pool.open_watches} bound={self.bound:.1f}s>"
        )
