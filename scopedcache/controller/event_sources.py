"""Fills a controller's queue: its primary kind, its static watches, and what the cache tells about owners.

It also knows the primaries themselves: which object a key stands for now, whether that can be told at all, and which
ones were deleted but not yet reconciled as gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..errors import APIError, CacheError, ForbiddenError
from ..informer import EventHandler
from ..kinds import Kind, ObjectKey, Resource
from ..objects import Object
from ..supervisor import Supervisor
from .mapping import Watch, owner_mapper
from .namespaces import WatchedNamespaces
from .predicates import Change, Predicate, passes
from .wait_until_served import served
from .work_queue import Priority, WorkQueue

if TYPE_CHECKING:
    from ..cache import InformerHandle as Handle
    from ..cache import OwnerChanged, ScopedCache

logger = logging.getLogger("scopedcache.controller")

# How often `settled` looks, at start only: no event tells that an informer turned out to be denied.
LOOK_EVERY_SECONDS: Final = 0.02


@attrs.frozen
class SourceOptions:
    """What a feed is made from."""

    name: str
    kind: Kind
    placement: WatchedNamespaces
    predicates: tuple[Predicate, ...]
    owns: tuple[Kind, ...]
    watches: tuple[Watch, ...]


class _Primary:
    """The primary kind in one place, and the keys put aside until it can be seen again."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self._parked: dict[ObjectKey, Priority] = {}
        self._some = asyncio.Event()

    def park(self, key: ObjectKey, priority: Priority) -> None:
        if self._parked.get(key) != "high":
            self._parked[key] = priority
        self._some.set()

    def forget(self, key: ObjectKey) -> None:
        self._parked.pop(key, None)

    async def unparked(self) -> list[tuple[ObjectKey, Priority]]:
        """Wait until keys are put aside and the informer is synced; hand them out."""
        await self._some.wait()
        await self.handle.wait_synced()
        self._some.clear()
        keys, self._parked = self._parked, {}
        return list(keys.items())


class EventSources:
    """The informers of one controller and the way from their events into its queue."""

    def __init__(self, feeding: SourceOptions, cache: ScopedCache, queue: WorkQueue[ObjectKey]) -> None:
        self._feeding = feeding
        self._cache = cache
        self._queue = queue
        self._resource: Resource | None = None
        self._primaries: dict[str, _Primary] = {}  # by place; "" is everywhere
        self._handles: dict[tuple[str, str], Handle | None] = {}  # by kind and place; None: not open yet
        self._deleted_owners: dict[ObjectKey, list[Object]] = {}
        self.missing: set[str] = set()  # kinds that the server was found not to serve

    async def run(self) -> None:
        """Hold the informers and fill the queue until cancelled; waits for kinds that are not served yet."""
        resource = self._resource = await self._served(self._feeding.kind)
        mapper = owner_mapper(resource)
        watches = [*(Watch(kind, mapper) for kind in self._feeding.owns), *self._feeding.watches]
        scoped = [watch for watch in watches if await self._follows_placement(watch)]
        supervisor = Supervisor(f"controller {self._feeding.name}")
        unsubscribe = self._cache.subscribe(self._owner_changed)
        try:
            for watch in watches:
                if watch not in scoped:
                    self._start_watch(supervisor, watch, watch.namespace)
            await self._feeding.placement.run(self._cache, lambda place: self._hold(place, scoped), self._left)
        finally:
            unsubscribe()
            await supervisor.close()

    # -- what the workers ask ------------------------------------------------------------------------------------

    def serves(self, key: ObjectKey) -> bool:
        """Tell whether the key lies in one of the controller's places."""
        return self._primary_of(key) is not None

    def visible(self, key: ObjectKey) -> bool:
        """Tell whether it can be said now if the key's object exists."""
        primary = self._primary_of(key)
        return primary is not None and primary.handle.synced

    def primary(self, key: ObjectKey) -> Object | None:
        """Return the object of a key; None where it is gone, or nothing can be said."""
        primary = self._primary_of(key)
        if primary is None:
            return None
        with suppress(CacheError, APIError):
            return primary.handle.get(key)
        return None

    def wanted(self, key: ObjectKey) -> bool:
        """Tell whether a reconcile of the key makes sense: its object is there, or its deletion is still news."""
        return key in self._deleted_owners or self.primary(key) is not None

    def park(self, key: ObjectKey, priority: Priority) -> None:
        """Put a key aside until its primary can be seen again; no worker waits for it."""
        primary = self._primary_of(key)
        if primary is not None:
            primary.park(key, priority)

    def deleted_owners(self, key: ObjectKey) -> tuple[Object, ...]:
        """Return the deleted owners of a key that no reconcile has dealt with."""
        return tuple(self._deleted_owners.get(key, ()))

    def deal_with(self, key: ObjectKey, deleted_owners: Sequence[Object], *, again: bool) -> None:
        """Close the resource caches of owners that a reconcile has seen to be gone.

        `again` keeps the key wanted: the reconcile failed and is to be run once more.
        """
        for owner in deleted_owners:
            self._cache.close(owner)
        later = [owner for owner in self._deleted_owners.get(key, ()) if owner not in deleted_owners]
        if later or (again and key in self._deleted_owners):
            self._deleted_owners[key] = later
        else:
            self._deleted_owners.pop(key, None)

    def await_grant(self, owner: Object, error: ForbiddenError) -> None:
        """Have the key of a refused owner enqueued once the right is there."""
        self._cache.await_grant(owner, error)

    # -- state ---------------------------------------------------------------------------------------------------

    async def settled(self, limit: float) -> None:
        """Wait until every informer has synced, was found denied, or not served; `limit` seconds at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while not self._is_settled and loop.time() < end:  # noqa: ASYNC110 - see LOOK_EVERY_SECONDS
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    @property
    def _is_settled(self) -> bool:
        begun = bool(self._handles) or str(self._feeding.kind) in self.missing
        return begun and all(
            kind in self.missing if handle is None else handle.synced or handle.denied is not None
            for (kind, _), handle in self._handles.items()
        )

    @property
    def ready(self) -> bool:
        """Tell whether the primaries of every place can be seen."""
        primaries = [handle for (kind, _), handle in self._handles.items() if kind == str(self._resource)]
        # Labels may select no namespace at all; anything else has a place, and before the first it is too early.
        begun = bool(primaries) or (self._resource is not None and self._feeding.placement.selector is not None)
        return begun and all(handle is not None and handle.synced for handle in primaries)

    def state(self) -> list[dict[str, Any]]:
        """Return each informer's kind, place and state."""
        return [
            {
                "kind": kind,
                "namespace": place or None,
                "synced": handle is not None and handle.synced,
                "denied": str(handle.denied) if handle is not None and handle.denied else None,
            }
            for (kind, place), handle in sorted(self._handles.items())
        ]

    # -- informers -----------------------------------------------------------------------------------------------

    async def _served(self, kind: Kind) -> Resource:
        return await served(self._cache.client.discovery, kind, controller=self._feeding.name, missing=self.missing)

    async def _follows_placement(self, watch: Watch) -> bool:
        if watch.namespace is not None:
            return False
        try:
            return (await self._cache.client.discovery.resolve(watch.kind)).namespaced
        except (CacheError, APIError):
            return True  # not served yet; the informer waits for it

    async def _hold(self, place: str | None, watches: Sequence[Watch]) -> None:
        supervisor = Supervisor(f"controller {self._feeding.name} in {place or 'all namespaces'}")
        try:
            for watch in watches:
                self._start_watch(supervisor, watch, place)
            supervisor.start_guarded("primary", lambda: self._hold_primary(place))
            await asyncio.Event().wait()
        finally:
            await supervisor.close()

    def _start_watch(self, supervisor: Supervisor, watch: Watch, place: str | None) -> None:
        supervisor.start_guarded(f"watch {watch.kind}", lambda: self._hold_watch(watch, place))

    async def _hold_primary(self, place: str | None) -> None:
        assert self._resource is not None
        name = (str(self._resource), place or "")
        self._handles.setdefault(name)
        try:
            async with self._cache.informer(self._resource, namespace=place) as handle:
                self._handles[name] = handle
                primary = self._primaries[place or ""] = _Primary(handle)
                handle.add_handler(EventHandler(on_add=self._added, on_update=self._updated, on_delete=self._deleted))
                while True:
                    for key, priority in await primary.unparked():
                        self._queue.add(key, priority=priority)
        finally:
            self._primaries.pop(place or "", None)
            self._handles.pop(name, None)

    async def _hold_watch(self, watch: Watch, place: str | None) -> None:
        name = (str(watch.kind), place or "")
        self._handles.setdefault(name)
        try:
            kind = await self._served(watch.kind)
            async with self._cache.informer(kind, namespace=place, metadata_only=watch.metadata_only) as handle:
                self._handles[name] = handle
                handle.add_handler(
                    EventHandler(
                        on_add=lambda obj, initial: self._mapped(watch, Change.added(obj), _priority(initial)),
                        on_update=lambda old, new: self._mapped(watch, Change.updated(old, new), "high"),
                        on_delete=lambda obj, unknown: self._mapped(watch, Change.deleted(obj), "high"),
                    )
                )
                await asyncio.Event().wait()
        finally:
            self._handles.pop(name, None)

    def _primary_of(self, key: ObjectKey) -> _Primary | None:
        return self._primaries.get("") or self._primaries.get(key.namespace)

    # -- events: plain functions that only enqueue ---------------------------------------------------------------

    def _added(self, obj: Object, initial: bool) -> None:
        primary = self._primary_of(obj.key)
        if primary is not None:
            primary.forget(obj.key)  # a kind that can be seen again tells of everything: no second run for that
        if self._passes(Change.added(obj)):
            self._queue.add(obj.key, priority=_priority(initial))

    def _updated(self, old: Object, new: Object) -> None:
        if self._passes(Change.updated(old, new)):
            self._queue.add(new.key)

    def _deleted(self, obj: Object, unknown: bool) -> None:
        self._queue.forget(obj.key)
        if self._passes(Change.deleted(obj)):
            self._deleted_owners.setdefault(obj.key, []).append(obj)
            self._queue.add(obj.key)
        else:
            self._cache.close(obj)
            self._queue.discard(obj.key)

    def _mapped(self, watch: Watch, change: Change, priority: Priority) -> None:
        for key in watch.keys(change):
            if self.serves(key):
                self._queue.add(key, priority=priority)

    def _owner_changed(self, change: OwnerChanged) -> None:
        resource = self._resource
        if resource is None or (change.kind.group, change.kind.kind) != (resource.gvk.group, resource.gvk.kind):
            return
        if not self.serves(change.key):
            return
        if change.cause == "granted":
            self._queue.forget(change.key)
        self._queue.add(change.key, priority=_priority(change.initial))

    def _passes(self, change: Change) -> bool:
        """Test a primary's change; a predicate that fails lets it through, since one run too many does no harm."""
        try:
            return passes(self._feeding.predicates, change)
        except Exception as error:
            extra = {"controller": self._feeding.name, "key": str(change.object.key)}
            logger.error("predicate.failed", extra=extra, exc_info=error)
            return True

    def _left(self, namespace: str) -> None:
        """Close the resource caches of the owners in a namespace that is ours no more."""
        primary = self._primaries.get(namespace)
        if primary is None:
            return
        with suppress(CacheError, APIError):
            for owner in primary.handle.list():
                self._queue.discard(owner.key)
                self._cache.close(owner)


def _priority(initial: bool) -> Priority:
    return "low" if initial else "high"
