"""The door: a cache whose view of the cluster follows the rights of its user.

    namespaces[namespace][owner UID] ─▶ ResourceCache        cluster ─▶ what is watched for everybody

Informers start when an owner needs them, are shared by all owners of a namespace, and close the moment the API server
is known to refuse them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource as limits
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any

from ..access import Monitor, Verdict
from ..access.detection_bound import PERIOD_SECONDS, period_for
from ..access.review_budget import REVIEWS_PER_SECOND
from ..access.verdict import VerdictState
from ..api.client import Client, Labels
from ..api.codec import Transform
from ..api.permission import permission_of
from ..clock import loop_time
from ..errors import CacheError, ForbiddenError, ScopedCacheError
from ..informer import EventHandler, IndexFunc, InformerOptions
from ..kinds import GVK, GVR, Kind, ObjectKey, Resource
from ..metrics import BACKGROUND_TASKS, CACHED_OBJECTS, EVENT_HANDLERS, NULL, OPEN_WATCHES, Instrumentation
from ..needs import Need
from ..objects import Object
from ..selectors import LabelSelector
from ..supervisor import Supervisor
from .cluster_cache import ClusterCache
from .informer_handle import InformerHandle
from .informer_pool import Pool
from .owner import OwnerChanged, OwnerId
from .resource_cache import ResourceCache
from .scope_table import Needs, Scopes
from .snapshot import Snapshot, take_snapshot

logger = logging.getLogger("scopedcache.cache")

# A watch is a socket: a thousand namespaces with two kinds each want more than the usual soft limit of 1024.
FILE_DESCRIPTORS = 65_536
RBAC_KINDS = tuple(
    GVK("rbac.authorization.k8s.io", "v1", kind)
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
)


class ScopedCache:
    """A cache for one event loop; use it with `async with`.

    Args:
        client: the way to the server.
        detection_bound: seconds within which a change of rights is to be noticed; the probe period follows from it.
            Without it a place in use is reviewed every 5 s, which bounds detection at 7.5 s for up to 100 places.
            Where RBAC objects are watched, changes are told by events in about a second; the period doubles then, and
            `bound` says what would hold without the events.
        review_rate: reviews per second, for all places together.
        cluster_wide: kinds to watch in all namespaces at once, with one informer.
        selectors: per kind, a label selector for the server. Objects that do not match do not exist for this cache.
        transforms: per kind, a function that changes objects before they are kept. They cannot be updated as a whole.
        rbac_watch: watch RBAC objects where we may: changes are then noticed in about a second.
        instrumentation: where numbers are reported to.
        options: time-outs and limits of the informers.
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
        transforms: Mapping[Kind, Transform] = MappingProxyType({}),
        rbac_watch: bool = True,
        instrumentation: Instrumentation = NULL,
        options: InformerOptions | None = None,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        period = PERIOD_SECONDS if detection_bound is None else period_for(detection_bound)
        self.client = client
        self.monitor = Monitor(
            client, period=period, rate=review_rate, instrumentation=instrumentation, timer=timer, chance=chance
        )
        self._supervisor = Supervisor("scoped-cache")
        self._pool = Pool(
            client,
            self.monitor,
            self._supervisor,
            options=options or InformerOptions(),
            selectors={kind: LabelSelector.parse(labels) for kind, labels in selectors.items()},
            transforms=transforms,
            timer=timer,
            chance=chance,
        )
        self._scopes = Scopes(
            self.monitor, self._pool, self._supervisor, cluster_wide=cluster_wide, publish=self._publish, timer=timer
        )
        self.cluster = ClusterCache(self, self._scopes)
        self._rbac_watch = rbac_watch
        self._subscribers: dict[int, Callable[[OwnerChanged], None]] = {}
        self._subscriptions = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        client: Any = None,
        **options: Any,
    ) -> AsyncIterator[ScopedCache]:
        """Connect and return a running cache; leaving the block ends everything.

        Args:
            kubeconfig, context, client: as for `Client.connect`.
            options: as for the class.

        Raises:
            ConfigurationError: there is no way to a server.
        """
        async with (
            Client.connect(kubeconfig=kubeconfig, context=context, client=client) as connected,
            cls(connected, **options) as cache,
        ):
            yield cache

    async def __aenter__(self) -> ScopedCache:
        if self._loop is not None:
            raise CacheError("a cache runs once: make another one")
        self._loop = asyncio.get_running_loop()
        _raise_descriptor_limit()
        self.monitor.start(self._supervisor, self)
        self.client.add_write_listener(self)
        if self._rbac_watch:
            handles = [self._watch_rbac(kind) for kind in RBAC_KINDS]
            self.monitor.expect_events(lambda: all(handle.live for handle in handles))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        self.client.remove_write_listener(self)
        self._scopes.close_all()
        self.monitor.stop()
        await self._supervisor.close()

    # -- scopes --------------------------------------------------------------------------------------------------

    async def open(self, owner: Object | OwnerId, *needs: Kind | Need, namespace: str | None = None) -> ResourceCache:
        """Open what an owner needs in a namespace (its own, unless told otherwise); return it synced.

        Opening again adds needs and is otherwise a look-up. Waits for reviews and first lists.

        Raises:
            ForbiddenError: a required kind may not be listed or watched there. The scope waits: once the rights are
                there, it opens by itself and its owner is told (`OwnerChanged`).
            UnknownKindError: the server does not serve a kind.
            ScopeClosedError: the owner was deleted.
            ValueError: a cluster-scoped owner, and no namespace.
        """
        who = OwnerId.of(owner)
        place = namespace or who.key.namespace
        if not place:
            raise ValueError(f"{who} lies in no namespace: name one with namespace=, or use cache.cluster.open")
        return await self._open(who, needs, place)

    async def open_all(
        self, owner: Object | OwnerId, *needs: Kind | Need, namespaces: Iterable[str]
    ) -> dict[str, ResourceCache | ScopedCacheError]:
        """Open the same needs in many namespaces at once; return a ResourceCache, or the error, for each of them."""
        names = list(namespaces)
        opened = await asyncio.gather(
            *(self.open(owner, *needs, namespace=name) for name in names), return_exceptions=True
        )
        result: dict[str, ResourceCache | ScopedCacheError] = {}
        for name, found in zip(names, opened, strict=True):
            if isinstance(found, BaseException) and not isinstance(found, ScopedCacheError):
                raise found
            result[name] = found
        return result

    def close(self, owner: Object | OwnerId) -> None:
        """Close everything an owner opened, in all namespaces; what waits too. Sockets close after: `wait_closed`."""
        self._check_loop()
        self._scopes.close_owner(OwnerId.of(owner).uid)

    async def wait_closed(self) -> None:
        """Wait until the connections of what was closed are closed."""
        await self._pool.wait_closed()

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, ResourceCache]]:
        """Return namespace → owner UID → ResourceCache, of what is open now."""
        view = {
            name: {uid: scope.handle for uid, scope in scopes.items() if scope.state == "open"}
            for name, scopes in self._scopes.table.items()
            if name is not None
        }
        return MappingProxyType({name: MappingProxyType(found) for name, found in view.items() if found})

    @asynccontextmanager
    async def informer(
        self, kind: Kind | Need, *, namespace: str | None = None, metadata_only: bool = False
    ) -> AsyncIterator[InformerHandle]:
        """Hold the informer of a kind, in a namespace or everywhere; it is shared with everybody else who needs it.

        A kind that may not be seen does not raise: the handle waits and heals by itself.

        Raises:
            UnknownKindError: the server does not serve the kind.
        """
        need = kind if isinstance(kind, Need) else Need(kind, metadata_only=metadata_only)
        self._check_running()
        found = await self.client.discovery.resolve(need.kind)
        self._check_running()
        handle = self._handle(found, need, namespace if found.namespaced else None)
        remove = handle.add_handler(EventHandler(on_delete=self._owner_deleted))
        try:
            yield handle
        finally:
            remove()
            handle.end()

    def add_index(self, kind: Kind, name: str, function: IndexFunc) -> None:
        """Add an index to every present and future informer of a kind; read it with `by_index`."""
        self._check_loop()
        self._pool.add_index(kind, name, function)

    def subscribe(self, subscriber: Callable[[OwnerChanged], None]) -> Callable[[], None]:
        """Call `subscriber` for every change an owner should be reconciled for; returns the way to end it.

        It is called on the loop, once per event: it should only enqueue.
        """
        self._subscriptions += 1
        token = self._subscriptions
        self._subscribers[token] = subscriber
        return lambda: self._subscribers.pop(token, None) and None

    def await_grant(self, owner: Object | OwnerId, error: ForbiddenError) -> None:
        """Have the owner told (`granted`) once it may do what a call of its was refused; `close(owner)` ends that.

        For verbs that no `Need.verbs` declares; the controller calls it for every refused reconcile.
        """
        self._check_running()
        # A cached denial is an old answer: the right may be there by now.
        settled = error.by == "authorizer" and not error.cached
        self._scopes.await_grant(OwnerId.of(owner), permission_of(error), settled=settled)

    def recheck(self, namespace: str | None = None) -> None:
        """Review rights now, in one namespace or in all in use, instead of at the next probe."""
        self._check_running()
        self.monitor.hint(namespace)

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of rights is noticed now."""
        return self.monitor.bound

    def snapshot(self) -> Snapshot:
        """Return what is held now, as plain values."""
        return take_snapshot(self._scopes, self._pool, self.monitor, tasks=len(self._supervisor))

    def report(self, instrumentation: Instrumentation) -> None:
        """Set the gauges that are cheaper to count when somebody looks than to keep."""
        instrumentation.set(EVENT_HANDLERS, self._pool.handlers)
        instrumentation.set(OPEN_WATCHES, self._pool.open_watches)
        instrumentation.set(BACKGROUND_TASKS, len(self._supervisor))
        instrumentation.set(CACHED_OBJECTS, sum(len(informer) for _, informer in self._pool))

    # -- for the parts below -------------------------------------------------------------------------------------

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        self._scopes.verdict_changed(verdict, before)

    def attempt_mode_changed(self, attempting: bool) -> None:
        self._pool.renew()

    def written(self, resource: Resource, written: Object) -> None:
        self._pool.written(resource, written)

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        self._pool.deleted(resource, key, uid)

    async def _open(self, who: OwnerId, needs: Iterable[Kind | Need], place: str | None) -> ResourceCache:
        self._check_running()
        self._scopes.deleted_owners.check(who)
        wanted = self._known(needs)
        if wanted is None:
            with self._scopes.deleted_owners.arriving(who):
                wanted = await self._resolved(needs)
        scope = self._scopes.scope(who, place)
        if not self._scopes.add(scope, wanted) and scope.state == "open" and self._scopes.is_complete(scope):
            return scope.handle
        if scope.state in ("open", "opening") and (scope.opening is None or scope.opening.done()):
            opened = self._scopes.open_at_once(scope)
            if opened is not None:
                return opened
        return await self._scopes.open(scope)

    def _known(self, needs: Iterable[Kind | Need]) -> Needs | None:
        """Return the needs with their resources, None where discovery has to be asked."""
        found: Needs = []
        for wanted in needs:
            need = Need.of(wanted)
            known = self.client.discovery.known(need.kind)
            if known is None:
                return None
            found.append((known, need))
        return found

    async def _resolved(self, needs: Iterable[Kind | Need]) -> Needs:
        wanted = [Need.of(need) for need in needs]
        return [(await self.client.discovery.resolve(need.kind), need) for need in wanted]

    def _handle(
        self, resource: Resource, need: Need, namespace: str | None, *, internal: bool = False
    ) -> InformerHandle:
        scope = self._scopes.static(namespace, internal=internal)
        handle = InformerHandle(self._scopes, self._supervisor.start, resource, need, scope)
        handle.begin()
        return handle

    def _watch_rbac(self, kind: GVK) -> InformerHandle:
        """Let RBAC objects hint at changes; where they may not be watched, the handle waits and costs nothing more."""
        plural = f"{kind.kind.lower()}s"
        found = Resource(
            gvr=GVR(kind.group, kind.version, plural), gvk=kind, namespaced=not kind.kind.startswith("Cluster")
        )
        handle = self._handle(found, Need(kind, metadata_only=True), None, internal=True)
        handle.add_handler(
            EventHandler(
                on_add=lambda obj, initial: None if initial else self.monitor.hint(obj.namespace or None),
                on_update=lambda old, new: self.monitor.hint(new.namespace or None),
                on_delete=lambda obj, unknown: self.monitor.hint(obj.namespace or None),
            )
        )
        return handle

    def _owner_deleted(self, owner: Object, unknown: bool) -> None:
        self._scopes.close_owner(owner.uid, gone=True)

    def _publish(self, change: OwnerChanged) -> None:
        for subscriber in list(self._subscribers.values()):
            try:
                subscriber(change)
            except Exception as error:
                logger.error("subscriber.failed", extra={"owner": str(change.key)}, exc_info=error)

    def _check_running(self) -> None:
        self._check_loop()
        if self._ended:
            raise CacheError("the cache has ended")

    def _check_loop(self) -> None:
        if self._loop is None:
            raise CacheError("the cache does not run: use it inside `async with`")
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not self._loop:
            raise CacheError("this cache belongs to another event loop or thread; from a thread use scopedcache.sync")

    def __repr__(self) -> str:
        return (
            f"<ScopedCache namespaces={len(self._scopes.table)} informers={len(self._pool)} "
            f"watches={self._pool.open_watches} bound={self.bound:.1f}s>"
        )


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of open files: a watch that gets no socket would wait in silence."""
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    wanted = FILE_DESCRIPTORS if hard == limits.RLIM_INFINITY else min(hard, FILE_DESCRIPTORS)
    if soft != limits.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            limits.setrlimit(limits.RLIMIT_NOFILE, (wanted, hard))
