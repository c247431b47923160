"""Carry out what the reflector says to ask, and feed what comes to the indexed store: a shell around plain parts.

The loop is given back every few milliseconds, whatever the server sends. What happens is told as the signals of
`informer_state` to the life of the informer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from typing import Final, Literal, Protocol

import attrs

from ..api.watch.event_decoder import UNREADABLE_OBJECT, WatchEvent
from ..api.watch.pace import Pace
from ..api.watch.watch_stream import INITIAL_EVENTS_END
from ..errors import ProtocolError, ScopedCacheError, where
from ..event_logger import event_logger
from ..objects import Entry, Metadata
from .backlog import free
from .delta import Key
from .indexed_store import IndexedStore
from .informer_life import InformerLife
from .initial_list_limiter import InitialListLimiter
from .label_shard import LabelShard
from .last_event import LastEvent
from .list_watch import ListWatch, WatchEvents
from .reflector import Next, PagedList, Reflector, StreamingList, VersionCheck, Watch
from .silence_watchdog import SilenceWatchdog

logger: Final = event_logger("scopedcache.informer")

# Changes of a list applied before the clock is looked at.
CHANGES_PER_CHECKPOINT: Final = 64
# Objects of a page brought into the form they are kept in before the clock is looked at.
OBJECTS_PER_CHECKPOINT: Final = 16

Outcome = Literal["ended", "renewed", "overdue"]


class Gate(Protocol):
    """Says when an informer may ask the server."""

    async def permitted(self) -> None:
        """Wait until list and watch are not known to be refused."""

    @property
    def recoveries(self) -> int:
        """Return how often the server answered again after it had been away."""

    async def recovered(self, since: int) -> None:
        """Wait until it has done so more often than `since`."""


class ReflectorLoop:
    """Lists and watches for one indexed store until that is closed.

    Attributes:
        streaming: whether a watch is open.
        events: how many events were taken.
        error: the last trouble, None once it is over.
        lacking: more is to be shown since the last list.
    """

    def __init__(
        self,
        life: InformerLife,
        list_watch: ListWatch,
        objects: IndexedStore,
        reflector: Reflector,
        watchdog: SilenceWatchdog,
        *,
        gate: Gate | None,
        initial_lists: InitialListLimiter | None,
        list_deadline: float,
        on_stream: Callable[[bool], None] | None,
        timer: Callable[[], float],
    ) -> None:
        self.streaming = False
        self.events = 0
        self.error: Exception | None = None
        self._life = life
        self._list_watch = list_watch
        self._objects = objects
        self._reflector = reflector
        self._watchdog = watchdog
        self._gate = gate
        self._initial_lists = initial_lists
        self._list_deadline = list_deadline
        self._on_stream = on_stream
        self._timer = timer
        self._renewal: asyncio.Timeout | None = None
        self._must_list = False  # more is to be shown than was asked for
        self.lacking = False  # and it was not listed yet

    async def run(self) -> None:
        """List and watch until closed. What is not an error of ours or the server's leaves, and may be run again."""
        recoveries = 0
        while not self._objects.closed:
            if self._must_list:
                self._must_list = False
                self._reflector.broken()
            step = self._reflector.next()
            self._life.take("ask")
            if step.pause:
                self._life.take("pause")
                await self._pause(step, recoveries)
            if self._gate is not None:
                await self._gate.permitted()
                if self._gate.recoveries > recoveries:
                    self._reflector.was_away()
                    step = attrs.evolve(step, ask=self._reflector.ask)
                recoveries = self._gate.recoveries
            started = self._timer()
            try:
                outcome = await self._ask(step)
            except ScopedCacheError as error:
                self._list_watch.failed(error)
                self._reflector.failed(error, self._timer() - started)
                self._note(error)
                continue
            if self._gate is not None:  # what was away meanwhile was not who ended this in good order
                recoveries = self._gate.recoveries
            match outcome:
                case "ended":
                    self._reflector.ended(self._timer() - started, self._list_watch.asked_timeout)
                case "overdue":
                    self._reflector.overdue()
                    logger.warning("list.overdue", extra={"informer": repr(self._life)})
                case "renewed":
                    pass

    def renew(self) -> None:
        """Cut an open watch and resume it at once, so that the server authorises it again."""
        if self._renewal is not None and not self._renewal.expired():
            self._renewal.reschedule(asyncio.get_running_loop().time())

    def list_again(self) -> None:
        """List anew at once, for more is to be shown. What is held can be read meanwhile."""
        self._must_list = self.lacking = True
        self.renew()

    def fail(self, error: Exception) -> None:
        """Take note that our own side failed: reads raise `error`, and the next thing to ask for is a list."""
        self.error = error
        self._reflector.broken()
        self._life.take("defect", error)

    async def _pause(self, step: Next, recoveries: int) -> None:
        """Wait as long as the step says, or until the server is back; `recoveries`: when it was asked last."""
        if self._gate is None or step.spread is None:
            await asyncio.sleep(step.pause)
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        end = began + step.pause
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self._gate.recovered(recoveries)
                self._reflector.woken()
                end = min(end, max(began + step.least, clock() + step.spread))
        await asyncio.sleep(end - clock())

    async def _ask(self, step: Next) -> Outcome:
        match step.ask:
            case StreamingList():
                return await self._watch("", initial=True, metadata_only=step.metadata_only)
            case Watch(version):
                return await self._watch(version, initial=False, metadata_only=step.metadata_only)
            case VersionCheck(version, last):
                if await self._list_watch.check(version, last, metadata_only=step.metadata_only):
                    self._reflector.confirmed()
                else:
                    logger.warning("history.replaced", extra={"informer": repr(self._life), "version": version})
                    self._reflector.disproved()
                return "renewed"
            case PagedList(whole):
                async with self._list_slot():
                    await self._list(whole=whole, metadata_only=step.metadata_only)
                if self._objects.closed:  # by a handler of ours
                    return "ended"
                if self._must_list:
                    return "renewed"
                return await self._watch(self._reflector.version, initial=False, metadata_only=step.metadata_only)

    def _list_slot(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._initial_lists is None else self._initial_lists.take(self._list_watch.namespace)

    # -- lists ---------------------------------------------------------------------------------------------------

    async def _list(self, *, whole: bool, metadata_only: bool) -> None:
        """Take over a paged list. It stands for the version of its first page."""
        snapshot: dict[Key, Entry] = {}
        first_version, pace = "", Pace()
        async for page in self._list_watch.pages(whole=whole, metadata_only=metadata_only):
            self._watchdog.heard()
            first_version = first_version or page.version
            for number, entry in enumerate(page.entries, 1):
                snapshot[(entry.metadata.namespace, entry.metadata.name)] = self._objects.kept(entry)
                if number % OBJECTS_PER_CHECKPOINT == 0:
                    await pace.checkpoint()
            for one in page.unreadable:
                self._pass_by(one.identity, one.why, snapshot)
            await asyncio.sleep(0)
        await self._replace(snapshot, first_version)

    async def _list_from(self, stream: WatchEvents) -> None:
        """Take over the list that a watch begins with."""
        snapshot: dict[Key, Entry] = {}
        kept = self._objects.kept
        async for events in stream:
            self._watchdog.heard()
            for type_, entry in events:
                metadata = entry.metadata
                if type_ == "ADDED" or type_ == "MODIFIED":
                    snapshot[(metadata.namespace, metadata.name)] = kept(entry)
                elif type_ == "DELETED":
                    snapshot.pop((metadata.namespace, metadata.name), None)
                elif type_ == UNREADABLE_OBJECT:
                    self._pass_by(metadata, entry.body.decode(), snapshot)
                elif type_ == INITIAL_EVENTS_END:
                    return await self._replace(snapshot, metadata.resource_version)
        list_watch = self._list_watch
        raise ProtocolError(
            f"the streaming list of {list_watch.resource} {where(list_watch.namespace)} ended before its end mark"
        )

    def _pass_by(self, identity: Metadata | None, why: str, snapshot: dict[Key, Entry]) -> None:
        """Leave out of a list what cannot be read; what is held of it stays, for it was not deleted."""
        held = self._objects.passed_by(identity, why)
        if held is not None:
            snapshot[(held.metadata.namespace, held.metadata.name)] = held

    async def _replace(self, snapshot: dict[Key, Entry], version: str) -> None:
        """Bring the store to a complete list, in slices; only then it is synced."""
        if self._list_watch.label_shard is not None:
            await self._let_go_unlisted(snapshot, self._list_watch.label_shard)
        snapshot = self._list_watch.shown(snapshot)
        pace = Pace()
        for number, _ in enumerate(self._objects.replace(snapshot, version, self._reflector.seen)):
            if self._objects.closed:  # by a handler of ours
                return
            if number % CHANGES_PER_CHECKPOINT == CHANGES_PER_CHECKPOINT - 1:
                await pace.checkpoint()
        self.error = None
        self.lacking = self._must_list
        self._reflector.listed(version)
        self._life.take("listed")
        self._objects.backlog.add(free(snapshot), len(snapshot))

    # -- watches -------------------------------------------------------------------------------------------------

    async def _watch(self, version: str, *, initial: bool, metadata_only: bool) -> Outcome:
        """Read one watch to its end. `initial`: it begins with the whole list, with a slot and a deadline for that."""
        async with AsyncExitStack() as slot:
            if initial:
                await slot.enter_async_context(self._list_slot())
            try:
                async with asyncio.timeout(self._list_deadline if initial else None) as deadline:
                    async with self._list_watch.watch(
                        version, initial_events=initial, metadata_only=metadata_only
                    ) as stream:
                        self._reflector.opened()
                        self._set_streaming(True)
                        self._watchdog.heard()
                        if initial:
                            await self._list_from(stream)
                            await slot.aclose()
                            # The stream was asked to last long enough for the list; now it lasts as long as others.
                            deadline.reschedule(self._end_of_watch())
                        if self._must_list:
                            return "renewed"
                        if self._reflector.state == "listing":  # a defect of ours came in between
                            return "renewed"
                        self._life.take("streaming")
                        self.error = None
                        self._renewal = deadline
                        if self._list_watch.asked_otherwise:  # its part became smaller while it was opened
                            return "renewed"
                        await self._read_events(stream)
            except TimeoutError:
                if not deadline.expired():  # somebody else's: a handler's, a transform's
                    raise
                return "overdue" if self._renewal is None else "renewed"
            finally:
                self._set_streaming(False)
                self._renewal = None
        return "ended"

    def _end_of_watch(self) -> float | None:
        """Return when to end a watch by ourselves, in the loop's time; None where the server does it in time."""
        seconds = self._list_watch.watch_timeout
        return None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def _read_events(self, stream: WatchEvents) -> None:
        label_shard = self._list_watch.label_shard
        async for events in stream:
            self._watchdog.heard()
            if label_shard is None:
                self._apply(events)
            else:
                await self._apply_moves(events, label_shard)
            if self._objects.closed:
                return

    async def _apply_moves(self, events: Sequence[WatchEvent], shard: LabelShard) -> None:
        """Apply events where DELETED may mean that an object is another's now: it goes then, and nobody is told."""
        deleted = {_key(entry): entry.metadata.uid for type_, entry in events if type_ == "DELETED"}
        elsewhere = await self._list_watch.elsewhere(deleted) if deleted else set()
        begin = 0
        for number, (type_, entry) in enumerate(events):
            if type_ == "DELETED" and _key(entry) in elsewhere:
                self._apply(events[begin:number])
                begin = number + 1
                self._let_go(_key(entry), shard)
        self._apply(events[begin:])

    async def _let_go_unlisted(self, snapshot: Mapping[Key, Entry], shard: LabelShard) -> None:
        """Let go of what a list does not show and what goes on elsewhere."""
        missing = self._objects.missing(snapshot)
        for key in await self._list_watch.elsewhere(missing) if missing else ():
            self._let_go(key, shard)

    def _let_go(self, key: Key, shard: LabelShard) -> None:
        entry = self._objects.let_go(key)
        if entry is not None:
            shard.left(entry.metadata)

    def _apply(self, events: Sequence[WatchEvent]) -> None:
        """Apply events, each of them through store, indexes, routes and handlers, before the next."""
        objects, version = self._objects, ""
        try:
            for type_, entry in events:
                if type_ == "ADDED" or type_ == "MODIFIED":
                    objects.put(entry)
                elif type_ == "DELETED":
                    objects.remove(entry)
                elif type_ == UNREADABLE_OBJECT:
                    objects.passed_by(entry.metadata, entry.body.decode())
                version = entry.metadata.resource_version
                if objects.closed:  # by a handler of ours
                    return
        finally:
            self._reflector.progressed(version, LastEvent.of(events))
        self.events += len(events)

    def _note(self, error: ScopedCacheError) -> None:
        if _news(error) != _news(self.error):
            logger.info("watch.interrupted", extra={"informer": repr(self._life), "error": str(error)})
        self.error = error

    def _set_streaming(self, streaming: bool) -> None:
        if self.streaming != streaming:
            self.streaming = streaming
            if self._on_stream is not None:
                self._on_stream(streaming)


def _key(entry: Entry) -> Key:
    return entry.metadata.namespace, entry.metadata.name


def _news(error: Exception | None) -> tuple[str, str]:
    """Return what makes two errors the same news: not the time they are stamped with."""
    return type(error).__name__, str(getattr(error, "message", error))
