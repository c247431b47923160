"""The informers of one controller, and the way from their events into its queue.

Its primary kind, its static watches (`owns=`, `watches=`), and what the cache tells about owners. A static kind that is
lost, or there again, concerns every key that reads it: those keys are enqueued too, with low priority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..errors import APIError, CacheError, ForbiddenError
from ..event_logger import event_logger
from ..informer import EventHandler
from ..kinds import Kind, ObjectKey, Resource
from ..needs import Need
from ..objects import Object
from ..predicates import Change, ContainedPredicates, Predicate
from ..supervisor import Supervisor
from .mapping import ContainedWatch, Mapper, Watch, owner_mapper
from .namespaces import WatchedNamespaces
from .primary_objects import PrimaryObjects
from .reporting.own_reports import OwnReports
from .selecting import SelectingMapper
from .settling import Settling
from .sharding.own_keys import KEYS_PER_STEP, OwnKeys
from .sharding.ring_shard import RingShard
from .sharding.shard import Shard
from .wait_until_served import wait_until_served
from .work_queue import Priority, WorkQueue

if TYPE_CHECKING:
    from ..cache import InformerHandle, OwnerChanged, OwnerId, ScopedCache
    from ..cache.owner import Obstacle

logger: Final = event_logger("scopedcache.controller")

# How often `wait_settled` looks, at start only: no event tells that an informer turned out to be denied.
LOOK_EVERY_SECONDS: Final = 0.02
EVERYWHERE: Final = ""
REASONS_AT_MOST: Final = 20


@attrs.frozen
class SourceOptions:
    """Which informers a controller has, and where."""

    controller: str
    kind: Kind
    namespaces: WatchedNamespaces
    predicates: tuple[Predicate, ...]
    owns: tuple[Need, ...]
    watches: tuple[Watch, ...]
    always: tuple[ObjectKey, ...] = ()
    settle: float = 0.0
    at_most: float | None = None


@attrs.frozen(eq=False)
class _Declared:
    """A kind of `owns=` or `watches=`: what is needed of it, and whom its events concern."""

    need: Need
    watch: Watch
    is_owned: bool


class EventSources:
    """Holds the informers of one controller and enqueues the keys that their events concern.

    Args:
        reports: which changes of a primary are reports of ours: they wake nobody.
        is_report: tells the Events that we have posted: neither do they.
        on_wake: told of each key that something has happened for.
        shard: which part of the primaries is this process's, as replicas agree or as a sharder says; None: all of them.
    """

    def __init__(
        self,
        options: SourceOptions,
        cache: ScopedCache,
        queue: WorkQueue[ObjectKey],
        *,
        reports: OwnReports | None = None,
        is_report: Callable[[Object], bool] = lambda obj: False,
        on_wake: Callable[[ObjectKey], None] = lambda key: None,
        shard: Shard | RingShard | None = None,
    ) -> None:
        self.primaries = PrimaryObjects(on_parked=self._on_parked, always=options.always)
        self.not_served: set[str] = set()  # kinds that the server was found not to serve
        self._options = options
        self._cache = cache
        self._queue = queue
        self._reports = OwnReports() if reports is None else reports
        self._is_report = is_report
        self._on_wake = on_wake
        self.own_keys = OwnKeys(options.controller, shard, self.primaries, queue, cache)
        self._resource: Resource | None = None
        self._predicates = self._contained_predicates(str(options.kind))
        self._handles: dict[tuple[str, str], InformerHandle | None] = {}  # by kind and place; None: not open yet
        self._parked: dict[str, asyncio.Event] = {}  # by place: keys are parked there
        self._concerned: set[str] = set()  # the places whose keys are all to be enqueued
        self._some_concerned = asyncio.Event()
        self._settling = Settling[ObjectKey](options.settle, options.at_most)
        self._told_places: set[str] = set()  # whose primaries were read, or found denied, once
        self._place_told = asyncio.Event()

    async def run(self) -> None:
        """Hold the informers and fill the queue until cancelled; waits for kinds that are not served yet."""
        resource = self._resource = await self._resolve(self._options.kind)
        self._predicates = self._contained_predicates(resource.gvk.kind)
        mapper = owner_mapper(resource)
        declared = [
            *(
                _Declared(need, Watch(need.kind, mapper, predicates=need.predicates), True)
                for need in self._options.owns
            ),
            *(_Declared(watch.need, watch, False) for watch in self._options.watches),
        ]
        in_each_place = [one for one in declared if await self._follows_namespaces(one.watch)]
        supervisor = Supervisor(f"controller {self._options.controller}")
        stack = AsyncExitStack()
        stack.callback(self._cache.subscribe(self.owner_changed))
        try:
            supervisor.start_guarded("concerned", self._requeue_concerned)
            await stack.enter_async_context(self.own_keys.followed(resource, supervisor))
            for one in declared:
                if one not in in_each_place:
                    self._start_watch(supervisor, one, one.watch.namespace, EVERYWHERE)
            await self._options.namespaces.run(
                self._cache, lambda place: self._hold_place(place, in_each_place), self._leave
            )
        finally:
            await stack.aclose()
            await supervisor.close()

    # -- keys ----------------------------------------------------------------------------------------------------

    def enqueue(self, key: ObjectKey) -> None:
        """Have a key reconciled because somebody asks for it."""
        self._wake(key)

    def requeue_all(self) -> None:
        """Have every key reconciled, in steps."""
        self._concerned.add(EVERYWHERE)
        self._some_concerned.set()

    def settle_pause(self, key: ObjectKey) -> float:
        """Return the seconds for which a key is to wait, as too much happens to it; 0 where it runs now."""
        pause = self._settling.remaining(key, self._now())
        if not pause:
            self._settling.clear(key)
        return pause

    def forget(self, key: ObjectKey) -> None:
        """The object of a key is gone."""
        self._settling.clear(key)

    def absent_owner(self, key: ObjectKey) -> OwnerId:
        """Return who waits for a right in the name of a key that has no object."""
        from ..cache import OwnerId

        assert self._resource is not None
        return OwnerId(self._resource.gvk, key, f"{self._options.controller}:{key}")

    def finish_deletions(self, key: ObjectKey, owners: Sequence[Object], *, again: bool) -> None:
        """Close the resource caches of owners that a reconcile has seen to be gone; see `drop_deleted`."""
        for owner in owners:
            self._cache.close(owner)
        self.primaries.drop_deleted(key, owners, again=again)

    def await_grant(self, owner: Object | OwnerId, error: ForbiddenError) -> None:
        """Have the key of a refused owner enqueued once the right is there.

        What an informer of ours shows is awaited already: its keys are enqueued when it is synced again, not before.
        """
        if not self._shows(error):
            self._cache.await_grant(owner, error)

    # -- state ---------------------------------------------------------------------------------------------------

    async def wait_settled(self, limit: float) -> None:
        """Wait until every informer has synced, was found denied, or not served; `limit` seconds at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while not self._is_settled and loop.time() < end:  # noqa: ASYNC110 - see LOOK_EVERY_SECONDS
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    @property
    def _is_settled(self) -> bool:
        begun = bool(self._handles) or str(self._options.kind) in self.not_served
        return begun and all(
            kind in self.not_served if handle is None else handle.synced or handle.denied is not None
            for (kind, _), handle in self._handles.items()
        )

    @property
    def ready(self) -> bool:
        """Tell whether the primaries can be seen: in some place, and wherever they are not denied."""
        primaries = [handle for (kind, _), handle in self._handles.items() if kind == str(self._resource)]
        if not primaries:  # labels may select no namespace at all; anything else has a place, and it is too early
            return self._resource is not None and self._options.namespaces.selector is not None
        settled = all(handle is not None and (handle.synced or handle.denied is not None) for handle in primaries)
        return settled and any(handle is not None and handle.synced for handle in primaries)

    @property
    def reasons(self) -> list[str]:
        """Return why not everything can be seen, in words: what is denied, and what is not served.

        The first of many; words for five thousand denied places would hold the loop.
        """
        denied = (handle.denied for handle in self._handles.values() if handle is not None and handle.denied)
        denials = {str(denial) for denial in islice(denied, REASONS_AT_MOST)}
        return [*sorted(denials), *(f"{kind} is not served" for kind in sorted(self.not_served))]

    def state(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return each informer's kind, place and state; so many at most, those in trouble first."""
        shown = sorted(self._handles.items())
        if limit is not None:
            shown = sorted(nsmallest(limit, shown, key=lambda item: item[1] is not None and item[1].synced))
        return [
            {
                "kind": kind,
                "namespace": place or None,
                "synced": handle is not None and handle.synced,
                "denied": str(handle.denied) if handle is not None and handle.denied else None,
            }
            for (kind, place), handle in shown
        ]

    # -- informers -----------------------------------------------------------------------------------------------

    async def _resolve(self, kind: Kind) -> Resource:
        discovery = self._cache.client.discovery
        return await wait_until_served(discovery, kind, controller=self._options.controller, not_served=self.not_served)

    async def _follows_namespaces(self, watch: Watch) -> bool:
        if watch.namespace is not None:
            return False
        try:
            return (await self._cache.client.discovery.resolve(watch.kind)).namespaced
        except (CacheError, APIError):
            return True  # not served yet; the informer waits for it

    async def _hold_place(self, place: str | None, declared: Sequence[_Declared]) -> None:
        supervisor = Supervisor(f"controller {self._options.controller} in {place or 'all namespaces'}")
        try:
            for one in declared:
                # An owner lives where what it owns does; a mapper may name anything.
                self._start_watch(supervisor, one, place, (place or EVERYWHERE) if one.is_owned else EVERYWHERE)
            supervisor.start_guarded("primary", lambda: self._hold_primary(place))
            await asyncio.Event().wait()
        finally:
            await supervisor.close()

    def _start_watch(self, supervisor: Supervisor, one: _Declared, place: str | None, concerned: str) -> None:
        supervisor.start_guarded(f"watch {one.watch.kind}", lambda: self._hold_watch(one, place, concerned))

    async def _hold_primary(self, place: str | None) -> None:
        assert self._resource is not None
        name, namespace = (str(self._resource), place or ""), place or ""
        self._handles.setdefault(name)
        try:
            async with self._cache.informer(self._options.kind, namespace=place) as handle:
                self._handles[name] = handle
                self._parked[namespace] = asyncio.Event()
                self.primaries.add_place(namespace, handle)
                handle.add_handler(
                    EventHandler(on_add=self._on_add, on_update=self._on_update, on_delete=self._on_delete)
                )
                for key in self._options.always:
                    if self.primaries.covers(key):
                        self._wake(key, at_once=True, settle=False)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._note_told(namespace, handle))
                    group.create_task(self._requeue_parked(namespace, handle))
                    # Its keys need not be told: they are parked when it is lost, and all are told when it is back.
                    group.create_task(self._follow_rights(handle, lambda: None))
        finally:
            self.primaries.remove_place(namespace)
            self._parked.pop(namespace, None)
            self._handles.pop(name, None)

    async def _note_told(self, namespace: str, handle: InformerHandle) -> None:
        """Note that the primaries of a place can be read now, or that they are denied."""
        waiting = [asyncio.create_task(handle.wait_synced()), asyncio.create_task(handle.wait_denied())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        self._told_places.add(namespace)
        self._place_told.set()

    async def _wait_told(self) -> None:
        """Wait until mappers can read the primaries, in all places that are known by name."""
        namespaces = self._options.namespaces
        if namespaces.selector is not None:
            return
        expected = {EVERYWHERE} if namespaces.names is None else set(namespaces.names)
        while not expected <= self._told_places:
            self._place_told.clear()
            await self._place_told.wait()

    async def _requeue_parked(self, namespace: str, handle: InformerHandle) -> None:
        """Enqueue parked keys whenever their place can be seen again; until cancelled."""
        parked = self._parked[namespace]
        while True:
            await parked.wait()
            await handle.wait_synced()
            parked.clear()
            for key, priority in self.primaries.take_parked(namespace):
                self._queue.add(key, priority=priority, at_once=True)

    async def _hold_watch(self, one: _Declared, place: str | None, concerned: str) -> None:
        watch = one.watch
        name = (f"{watch.kind}/{watch.name}" if watch.name else str(watch.kind), place or "")
        self._handles.setdefault(name)
        try:
            await self._resolve(watch.kind)
            async with self._cache.informer(one.need, namespace=place) as handle:
                self._handles[name] = handle
                asked = self._contained_watch(watch, handle.resource.gvk.kind)
                if not one.is_owned:
                    await self._wait_told()
                handle.add_handler(
                    EventHandler(
                        on_add=lambda obj, initial: self._enqueue_mapped(asked, Change.added(obj), _priority(initial)),
                        on_update=lambda old, new: self._enqueue_mapped(asked, Change.updated(old, new), "high"),
                        on_delete=lambda obj, unknown: self._enqueue_mapped(asked, Change.deleted(obj), "high"),
                    )
                )
                await self._follow_rights(handle, lambda: self._concern(concerned))
        finally:
            self._handles.pop(name, None)

    async def _follow_rights(self, handle: InformerHandle, on_edge: Callable[[], None]) -> None:
        """Tell people, and `on_edge`, when a kind is lost, for what, and when it can be read again; until cancelled."""
        fields = {
            "controller": self._options.controller,
            "kind": str(handle.resource),
            "namespace": handle.namespace,
        }
        while True:
            denial: Obstacle | None = await handle.wait_denied()
            while denial is not None:
                verb = {"verb": denial.verb} if isinstance(denial, APIError) else {}
                logger.warning("watch.denied", extra={**fields, **verb, "error": str(denial)})
                on_edge()
                denial = await handle.wait_otherwise()
            logger.info("watch.granted", extra=fields)
            on_edge()

    def _concern(self, namespace: str) -> None:
        """Have every key of a place enqueued; "" is everywhere."""
        self._concerned.add(namespace)
        self._some_concerned.set()

    async def _requeue_concerned(self) -> None:
        """Enqueue the keys that a lost or regained kind concerns, in steps; until cancelled."""
        while True:
            await self._some_concerned.wait()
            self._some_concerned.clear()
            namespaces, self._concerned = self._concerned, set()
            for namespace in (EVERYWHERE,) if EVERYWHERE in namespaces else sorted(namespaces):
                for number, key in enumerate(self.primaries.keys(namespace), 1):
                    self._queue.add(key, priority="low", at_once=True)
                    if number % KEYS_PER_STEP == 0:
                        await asyncio.sleep(0)

    def _shows(self, error: ForbiddenError) -> bool:
        """Tell whether a denial was read from an informer of ours."""
        if not error.cached or error.verb not in ("list", "watch"):
            return False
        shown = (handle for handle in self._handles.values() if handle is not None)
        return any(
            (handle.resource.gvr.group_resource, handle.namespace) == (error.resource, error.namespace)
            for handle in shown
        )

    def _leave(self, namespace: str) -> None:
        """Close the resource caches of the owners in a namespace that is ours no more, seen or not."""
        assert self._resource is not None
        for key in self.primaries.keys(namespace):
            self._queue.discard(key)
        for owner in self._cache.owners(self._resource.gvk, namespace):
            self._queue.discard(owner.key)
            self._cache.close(owner)

    # -- events: plain functions that only enqueue ---------------------------------------------------------------

    def _contained_predicates(self, kind: str) -> ContainedPredicates:
        return ContainedPredicates(self._options.predicates, controller=self._options.controller, kind=kind)

    def _contained_watch(self, watch: Watch, kind: str) -> ContainedWatch:
        mapper: Mapper | None = None
        if watch.selector_of is not None:
            primary = str(self._options.kind) if self._resource is None else self._resource.gvk.kind
            mapper = SelectingMapper(
                watch.selector_of, self.primaries, controller=self._options.controller, kind=primary
            )
        return ContainedWatch(watch, controller=self._options.controller, kind=kind, mapper=mapper)

    def _on_add(self, obj: Object, initial: bool) -> None:
        self.primaries.unpark(obj.key)  # a kind that can be seen again tells of everything: no second run for that
        if self.own_keys.is_asked_for(obj) or self._predicates.passes(Change.added(obj)):
            self._wake(obj.key, _priority(initial), at_once=True)

    def _on_update(self, old: Object, new: Object) -> None:
        if self.own_keys.is_asked_for(new):  # whatever else has changed
            self._wake(new.key, at_once=True, settle=False)
        elif not self._reports.is_own(old, new) and self._predicates.passes(Change.updated(old, new)):
            self._wake(new.key)

    def _on_delete(self, obj: Object, unknown: bool) -> None:
        self._queue.forget(obj.key)
        if self._predicates.passes(Change.deleted(obj)):
            self.primaries.add_deleted(obj)
            self._wake(obj.key)
        else:
            self._cache.close(obj)
            self._queue.discard(obj.key)

    def _on_parked(self, namespace: str) -> None:
        self._parked[namespace].set()

    def owner_changed(self, change: OwnerChanged) -> None:
        """Have an owner reconciled that a cache tells of, if it is one of the primaries."""
        resource = self._resource
        if resource is None or (change.kind.group, change.kind.kind) != (resource.gvk.group, resource.gvk.kind):
            return
        if not self.primaries.covers(change.key):
            return
        if change.cause in ("granted", "synced"):
            self._queue.forget(change.key)
        is_child = change.cause == "child"
        self._wake(change.key, _priority(change.initial), at_once=not is_child, settle=is_child)

    def _enqueue_mapped(self, watch: ContainedWatch, change: Change, priority: Priority) -> None:
        if change.object.kind == "Event" and self._is_report(change.object):
            return
        if self.primaries.denied_everywhere:  # every key will be told when they can be seen again
            return
        for key in watch.keys(change):
            if not self.primaries.covers(key):
                continue
            if self.own_keys.is_shown(key):
                self._wake(key, priority)
            else:
                self.own_keys.keep_held(key, priority)

    def _wake(self, key: ObjectKey, priority: Priority = "high", *, at_once: bool = False, settle: bool = True) -> None:
        """Have a key run because something has happened; it waits for more of that, where it may `settle`."""
        self._on_wake(key)
        after = 0.0
        if settle and self._settling.quiet:
            self._settling.note(key, self._now())
            after = self._settling.remaining(key, self._now())
        elif not settle:
            self._settling.clear(key)
        self._queue.add(key, after=after, priority=priority, at_once=at_once)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _priority(initial: bool) -> Priority:
    return "low" if initial else "high"
