"""The blocking twin of the cache, and the way to one for a cache that runs already."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from types import MappingProxyType
from typing import Any, overload

from .. import api, cache
from ..access.review_budget import REVIEWS_PER_SECOND
from ..api.codec import Transform
from ..cache import OwnerChanged, OwnerId, Snapshot
from ..cache.cluster_cache import ClusterCache as AsyncClusterCache
from ..cache.owner import Denial
from ..cache.scope_opener import IdentityOf
from ..cache.scoped_cache import SYNC_TIMEOUT_SECONDS
from ..clock import loop_time
from ..errors import CacheError, ScopedCacheError
from ..informer import IndexFunc, InformerOptions
from ..kinds import GVK, Kind
from ..metrics import Instrumentation
from ..needs import Need
from ..objects import Object
from ..selectors import Labels
from .client import Client
from .informer_handle import InformerHandle
from .lister import Lister, ResourceCache
from .portal import Portal


class ClusterCache(Lister):
    """The cluster-wide part of a cache, for threads."""

    def __init__(self, cluster: AsyncClusterCache, portal: Portal) -> None:
        super().__init__(cluster, portal)
        self._cluster = cluster

    def open(self, owner: Object | OwnerId, *needs: Kind | Need, sync_timeout: float | None = None) -> ResourceCache:
        """Open cluster-scoped kinds, or namespaced ones over all namespaces, for an owner."""
        return ResourceCache(
            self._portal.run(lambda: self._cluster.open(owner, *needs, sync_timeout=sync_timeout)), self._portal
        )

    def in_namespace(self, namespace: str) -> Lister:
        """Return a lister of what is watched for everybody, in the whole cluster or there, that shows one namespace."""
        return Lister(self._cluster.in_namespace(namespace), self._portal)


class ScopedCache:
    """`scopedcache.ScopedCache`, blocking; see there for what each method promises and raises.

    From `connect`, which runs a loop in a thread of its own, or from `of`, for a cache that runs on a loop already.
    """

    def __init__(self, cache: cache.ScopedCache, portal: Portal) -> None:
        self._cache = cache
        self._portal = portal
        self.client = Client(cache.client, portal)
        self.cluster = ClusterCache(cache.cluster, portal)

    @classmethod
    @contextmanager
    def connect(
        cls,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        client: Any = None,
        timeout: float | None = None,
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
    ) -> Iterator[ScopedCache]:
        """Connect and yield a running cache; leaving the block ends everything, its thread too.

        Args:
            kubeconfig, context, client: as for `Client.connect`.
            timeout: seconds a call may take, TimeoutError after that; None for no limit.

        Everything else is as for `scopedcache.ScopedCache`.

        Raises:
            ConfigurationError: there is no way to a server.
        """

        def connect() -> AbstractAsyncContextManager[cache.ScopedCache]:
            return cache.ScopedCache.connect(
                kubeconfig=kubeconfig,
                context=context,
                client=client,
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
            )

        with Portal.start(timeout=timeout) as portal, portal.entered(connect) as connected:
            yield cls(connected, portal)

    def open(
        self,
        owner: Object | OwnerId,
        *needs: Kind | Need,
        namespace: str | None = None,
        sync_timeout: float | None = None,
    ) -> ResourceCache:
        """Open what an owner needs in a namespace; return it synced."""
        opened = self._portal.run(
            lambda: self._cache.open(owner, *needs, namespace=namespace, sync_timeout=sync_timeout)
        )
        return ResourceCache(opened, self._portal)

    def open_all(
        self,
        owner: Object | OwnerId,
        *needs: Kind | Need,
        namespaces: Iterable[str],
        exclusive: bool = False,
        sync_timeout: float | None = None,
    ) -> dict[str, ResourceCache | ScopedCacheError]:
        """Open the same needs in many namespaces at once; return a ResourceCache, or the error, for each of them."""
        names = list(namespaces)  # here, not on the loop: it may be a generator of the caller's
        opened = self._portal.run(
            lambda: self._cache.open_all(
                owner, *needs, namespaces=names, exclusive=exclusive, sync_timeout=sync_timeout
            )
        )
        return {
            name: outcome if isinstance(outcome, ScopedCacheError) else ResourceCache(outcome, self._portal)
            for name, outcome in opened.items()
        }

    def close(self, owner: Object | OwnerId, *, namespace: str | None = None) -> None:
        """Close everything an owner opened, in all namespaces or in one."""
        self._portal.call(lambda: self._cache.close(owner, namespace=namespace))

    def close_others(self, owner: Object | OwnerId, *, keep: Iterable[str]) -> None:
        """Close what an owner has, or waits for, in all namespaces but these and its own."""
        names = list(keep)
        self._portal.call(lambda: self._cache.close_others(owner, keep=names))

    def owners(self, kind: GVK, namespace: str) -> Sequence[OwnerId]:
        """Return the owners of a kind in a namespace that opened something and did not close it."""
        return self._portal.call(lambda: self._cache.owners(kind, namespace))

    def wait_closed(self) -> None:
        """Wait until the connections of what was closed are closed."""
        self._portal.run(self._cache.wait_closed)

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, ResourceCache]]:
        """Return namespace → owner UID → ResourceCache, of what is open now."""
        namespaces = self._portal.call(lambda: self._cache.namespaces)
        return MappingProxyType(
            {
                name: MappingProxyType({uid: ResourceCache(handle, self._portal) for uid, handle in handles.items()})
                for name, handles in namespaces.items()
            }
        )

    @contextmanager
    def informer(
        self, kind: Kind | Need, *, namespace: str | None = None, metadata_only: bool = False
    ) -> Iterator[InformerHandle]:
        """Hold the informer of a kind, in a namespace or everywhere."""
        with self._portal.entered(
            lambda: self._cache.informer(kind, namespace=namespace, metadata_only=metadata_only)
        ) as handle:
            yield InformerHandle(handle, self._portal)

    def add_index(self, kind: Kind, name: str, function: IndexFunc) -> None:
        """Add an index to every present and future informer of a kind; `function` runs on the loop's thread."""
        self._portal.call(lambda: self._cache.add_index(kind, name, function))

    def subscribe(self, subscriber: Callable[[OwnerChanged], None]) -> Callable[[], None]:
        """Call `subscriber`, on the loop's thread, for every change an owner should be reconciled for.

        It should only enqueue, as `queue.Queue().put` does. Returns the way to end it.
        """
        unsubscribe = self._portal.call(lambda: self._cache.subscribe(subscriber))
        return lambda: self._portal.call(unsubscribe)

    def recheck(self, namespace: str | None = None) -> None:
        """Review rights now, instead of at the next probe."""
        self._portal.call(lambda: self._cache.recheck(namespace))

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of rights is noticed now."""
        return self._portal.call(lambda: self._cache.bound)

    def missing_permissions(self, owner: Object | OwnerId, *, namespace: str | None = None) -> Sequence[Denial]:
        """Return everything that is missing now of what an owner declared, or waits for, in one namespace or in all."""
        return self._portal.call(lambda: self._cache.missing_permissions(owner, namespace=namespace))

    def snapshot(self, *, limit: int | None = None) -> Snapshot:
        """Return what is held now, as plain values; with a `limit`, so many entries of each list at most."""
        return self._portal.call(lambda: self._cache.snapshot(limit=limit))

    def __repr__(self) -> str:
        return f"<sync {self._cache!r}>"


@overload
def of(running: cache.ScopedCache, *, timeout: float | None = None) -> ScopedCache: ...
@overload
def of(running: api.Client, *, timeout: float | None = None) -> Client: ...


def of(running: cache.ScopedCache | api.Client, *, timeout: float | None = None) -> ScopedCache | Client:
    """Return the blocking twin of a cache or a client that lives on a running loop, for worker threads.

        async with scopedcache.ScopedCache.connect() as cache:
            reconciler = Reconciler(scopedcache.sync.of(cache))       # its reconcile is a plain def
            await Controller(for_=KIND, reconcile=reconciler).run(cache)

    `timeout` is how many seconds a call may take: a thread cannot be cancelled at its reconcile's deadline, its calls
    can. The twin owns nothing: it ends with the loop.

    Raises:
        CacheError: the cache does not run, or it is a client and this is not the thread of its loop.
    """
    if isinstance(running, cache.ScopedCache):
        if running.loop is None:
            raise CacheError("the cache does not run: use it inside `async with`")
        return ScopedCache(running, Portal(running.loop, timeout=timeout))
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise CacheError(
            "of(client) is called where its loop runs; from a thread, of(cache).client is another way"
        ) from None
    return Client(running, Portal(loop, timeout=timeout))
