"""One kind in one place, kept up to date: asks what the reflector says to ask, and feeds what comes to its contents.

The thin shell around plain parts; the loop is given back every few milliseconds, whatever the server sends.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from typing import Any, Literal, Protocol

import attrs

from ..api import codec
from ..api.client import Client, Labels
from ..api.request_info import RequestInfo
from ..api.status_errors import of_status
from ..api.watch.event_decoder import EventDecoder
from ..api.watch.line_splitter import LINE_LIMIT_BYTES, Line
from ..api.watch.watch_stream import LineReader, Lines, Pace, bytes_of, reading
from ..clock import loop_time
from ..errors import CacheError, ProtocolError, ScopedCacheError, where
from ..kinds import ObjectKey, Resource
from ..objects import Entry
from ..selectors import LabelSelector
from ..supervisor import Supervisor
from .indexed_store import IndexedStore
from .initial_list_limiter import InitialListLimiter
from .missed_deletes import Key, PurgedKeys
from .ownership_chain import OwnershipChain
from .reflector import LIST_DEADLINE_SECONDS, PagedList, Reflector, ServerFeatures, StreamingList, Watch
from .store import Delta

logger = logging.getLogger("scopedcache.informer")

# What a watch asks the server for: this long, up to twice, so that not all of them end together (client-go's range).
# Renewal is not how we learn of revocations, so it may be long (semantics §3).
WATCH_TIMEOUT_SECONDS = 300.0
# Bookmarks come about once a minute: a stream silent for longer than this is dead (design §2, informer).
IDLE_TIMEOUT_SECONDS = 75.0
# Events applied before the clock is looked at: less than a slice of them.
BATCH_LINES = 32

InformerState = Literal["starting", "syncing", "synced", "waiting", "broken", "closed"]
Outcome = Literal["ended", "renewed", "overdue"]


class Gate(Protocol):
    """Says when an informer may ask the server."""

    async def permitted(self) -> None:
        """Wait until list and watch are not known to be refused."""


@attrs.frozen
class InformerOptions:
    """What is the same for all informers of a cache."""

    watch_timeout: float = WATCH_TIMEOUT_SECONDS
    idle_timeout: float = IDLE_TIMEOUT_SECONDS
    line_limit: int = LINE_LIMIT_BYTES
    list_deadline: float = LIST_DEADLINE_SECONDS


class Informer(IndexedStore):
    """A shared, indexed, always diffing view of one kind in one namespace (None: all, or a cluster-scoped kind)."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        metadata_only: bool = False,
        transform: codec.Transform | None = None,
        gate: Gate | None = None,
        chain: OwnershipChain | None = None,
        initial_lists: InitialListLimiter | None = None,
        server: ServerFeatures | None = None,
        purged_keys: PurgedKeys | None = None,
        options: InformerOptions | None = None,
        on_stream: Callable[[bool], None] | None = None,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        partial = metadata_only or transform is not None
        super().__init__(resource, namespace=namespace, partial=partial, chain=chain, purged_keys=purged_keys)
        self.metadata_only = metadata_only
        self.streaming = False
        self.events = 0
        self.error: Exception | None = None
        self.watch_timeout: float | None = None  # None: as the options say; the cache shortens it in attempt mode
        self._client = client
        self._labels = LabelSelector.parse(labels)
        self._fields = fields
        self._transform = transform
        self._gate = gate
        self._initial_lists = initial_lists
        self._options = options or InformerOptions()
        self._on_stream = on_stream
        self._timer = timer
        self._chance = chance
        self._reflector = Reflector(server, chance=chance)
        self._reader = EventDecoder()
        self._state: InformerState = "starting"
        self._waiters: set[asyncio.Future[None]] = set()
        self._heard = timer()
        self._asked = 0.0  # how long the current watch was to last
        self._renewal: asyncio.Timeout | None = None
        self.task: asyncio.Task[Any] | None = None

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self, supervisor: Supervisor) -> None:
        """Begin to list and watch, as a task of `supervisor`."""
        self.task = supervisor.start_guarded(repr(self), self.run, on_failure=self._broke)

    def close(self, error: Exception | None = None) -> PurgedKeys:
        """End it in one synchronous step: no handler is called from here on, nothing is held, reads raise `error`.

        The connection closes right after. Returns what was held, by key and UID.
        """
        self._closed = error or CacheError(f"{self} is closed")
        self._state = "closed"
        self._readable = False
        for handler in self._handlers:
            handler.close()
        self._handlers = []
        purged_keys = self._store.purge()
        self._indexer.clear()
        if self.task is not None:
            self.task.cancel()
        self._release_waiters(self._closed)
        return purged_keys

    async def wait_synced(self) -> None:
        """Wait until the first list is complete and every handler has seen it.

        Raises:
            CacheError: it was closed meanwhile, with the error it was closed for.
        """
        self._check_open()
        if self.synced:
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiters.add(turn)
        try:
            await turn
        finally:
            self._waiters.discard(turn)
            if turn.done() and not turn.cancelled():
                turn.exception()  # we may be cancelled in the very moment it is told
        self._check_open()

    def renew(self) -> None:
        """Cut an open watch and resume it at once, so that the server authorises it again."""
        if self._renewal is not None and not self._renewal.expired():
            self._renewal.reschedule(asyncio.get_running_loop().time())

    # -- its state -----------------------------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """Tell whether the first list was complete once."""
        return self._readable

    @property
    def state(self) -> InformerState:
        return self._state

    @property
    def age(self) -> float:
        """Return the seconds since the server was last heard: what is read may be that old."""
        return self._timer() - self._heard

    @property
    def resource_version(self) -> str:
        return self._reflector.version

    @property
    def relists(self) -> int:
        return self._reflector.relists

    # -- our own writes ------------------------------------------------------------------------------------------

    def written(self, entry: Entry) -> None:
        """Take the answer to our own write, by the ordinary path; its event will find nothing left to change."""
        if self._readable and not self.partial and self._selected(entry):
            self._tell(self._store.write(entry, self._reflector.seen))

    def deleted(self, key: ObjectKey, uid: str) -> None:
        """Take note that our own DELETE removed an object."""
        if self._readable:
            self._tell(self._store.delete_own(key, uid))

    def _tell(self, delta: Delta | None) -> None:
        """Pass on what a write changed. What fails in that is not the writer's fault: a new list deals with it."""
        try:
            self._notify(delta, False)
        except Exception as error:
            logger.error("informer.failed", extra={"informer": repr(self)}, exc_info=error)
            self._broke(error)
            self.renew()

    def _selected(self, entry: Entry) -> bool:
        here = self.namespace is None or entry.metadata.namespace == self.namespace
        return here and not self._fields and self._labels.matches(entry.metadata.labels or {})

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """List and watch until closed."""
        while self._closed is None:
            step = self._reflector.next()
            if not self._readable:
                self._enter("syncing")
            if step.pause:
                self._enter("waiting" if self._readable else "syncing")
                await asyncio.sleep(step.pause)
            if self._gate is not None:
                await self._gate.permitted()
            started = self._timer()
            try:
                outcome = await self._ask(step.ask)
            except ScopedCacheError as error:
                self._reflector.failed(error, self._timer() - started)
                self._failed(error)
                continue
            match outcome:
                case "ended":
                    self._reflector.ended(self._timer() - started, self._asked)
                case "overdue":
                    self._reflector.overdue()
                    logger.warning("list.overdue", extra={"informer": repr(self)})
                case "renewed":
                    pass

    async def _ask(self, ask: StreamingList | PagedList | Watch) -> Outcome:
        match ask:
            case StreamingList():
                return await self._watch("", initial=True)
            case Watch(version):
                return await self._watch(version, initial=False)
            case PagedList():
                async with self._slot():
                    await self._replace(*await self._list())
                if self._closed is not None:  # by a handler of ours
                    return "ended"
                return await self._watch(self._reflector.version, initial=False)

    def _slot(self) -> AbstractAsyncContextManager[None]:
        return self._initial_lists.take(self.namespace) if self._initial_lists is not None else nullcontext()

    async def _list(self) -> tuple[dict[Key, Entry], str]:
        """Return a complete paged list, and its version."""
        snapshot: dict[Key, Entry] = {}
        version = ""
        pages = self._client.pages(
            self.resource,
            namespace=self.namespace,
            labels=self._labels,
            fields=self._fields,
            metadata_only=self.metadata_only,
        )
        async for page, _ in pages:
            self._heard = self._timer()
            version = version or page.metadata.resource_version
            for raw in page.items or ():
                entry = self._kept(codec.decode_object(bytes(raw))[0])
                snapshot[(entry.metadata.namespace, entry.metadata.name)] = entry
            await asyncio.sleep(0)
        return snapshot, version

    async def _watch(self, version: str, *, initial: bool) -> Outcome:
        """Read one watch to its end. `initial`: it begins with the whole list, with a slot and a deadline for that."""
        async with AsyncExitStack() as slot:
            if initial:
                await slot.enter_async_context(self._slot())
            try:
                async with asyncio.timeout(self._options.list_deadline if initial else None) as deadline:
                    async with self._open(version, initial) as stream:
                        self._stream(True)
                        self._heard = self._timer()
                        if initial:
                            rest = await self._read_list(stream)
                            await slot.aclose()
                            # The stream was asked to last long enough for the list; now it lasts as long as others.
                            deadline.reschedule(self._end_of_stream())
                            self._take(rest)
                        self._enter("synced")
                        self.error = None
                        self._renewal = deadline
                        await self._read_events(stream)
            except TimeoutError:
                if not deadline.expired():  # somebody else's: a handler's, a transform's
                    raise
                return "overdue" if self._renewal is None else "renewed"
            finally:
                self._stream(False)
                self._renewal = None
        return "ended"

    def _end_of_stream(self) -> float | None:
        """Return when to end a stream by ourselves, in the loop's time; None where the server does it in time."""
        return None if self.watch_timeout is None else asyncio.get_running_loop().time() + self.watch_timeout

    def _open(self, version: str, initial: bool) -> AbstractAsyncContextManager[LineReader]:
        self._asked = self.watch_timeout or self._options.watch_timeout * (1 + self._chance())
        return reading(
            self._client.open_watch(
                self.resource,
                namespace=self.namespace,
                labels=self._labels,
                fields=self._fields,
                resource_version=version,
                initial_events=initial,
                timeout=max(self._asked, self._options.list_deadline) if initial else self._asked,
                idle_timeout=self._options.idle_timeout,
                metadata_only=self.metadata_only,
            ),
            self._options.line_limit,
        )

    async def _read_list(self, reader: LineReader) -> Lines:
        """Read the list a watch begins with, take it over, and return the lines after its end."""
        snapshot: dict[Key, Entry] = {}
        read, pace = self._reader.read, Pace()
        async for lines in reader:
            self._heard = self._timer()
            for number, line in enumerate(lines):
                type_, entry = read(line)
                metadata = entry.metadata
                if type_ == "ADDED" or type_ == "MODIFIED":
                    snapshot[(metadata.namespace, metadata.name)] = self._kept(entry)
                elif type_ == "DELETED":
                    snapshot.pop((metadata.namespace, metadata.name), None)
                elif type_ == "ERROR":
                    raise self._said(line)
                elif type_ == "BOOKMARK" and codec.ends_initial_events(bytes_of(line)):
                    await self._replace(snapshot, metadata.resource_version)
                    return lines[number + 1 :]
            await pace.checkpoint()
        raise ProtocolError(f"the streaming list of {self.resource} {where(self.namespace)} ended before its end mark")

    async def _read_events(self, reader: LineReader) -> None:
        pace = Pace()
        async for lines in reader:
            self._heard = self._timer()
            for first in range(0, len(lines), BATCH_LINES):
                self._take(lines[first : first + BATCH_LINES])
                if self._closed is not None:
                    return
                await pace.checkpoint()

    def _take(self, lines: Lines) -> None:
        """Apply events, each of them through store, indexes, routes and handlers, before the next."""
        if self._closed is not None:
            return
        store, read, version = self._store, self._reader.read, ""
        try:
            for line in lines:
                type_, entry = read(line)
                if type_ == "ADDED" or type_ == "MODIFIED":
                    self._notify(store.put(self._kept(entry)), False)
                elif type_ == "DELETED":
                    self._notify(store.remove(self._kept(entry)), False)
                elif type_ == "ERROR":
                    raise self._said(line)
                version = entry.metadata.resource_version
                if self._closed is not None:  # by a handler of ours
                    return
        finally:
            self._reflector.progressed(version)
        self.events += len(lines)

    async def _replace(self, snapshot: dict[Key, Entry], version: str) -> None:
        """Bring the store to a complete list, in slices; only then it is synced, and its waiters wake."""
        first = not self._readable
        pace = Pace()
        if self._fault is not None:  # an index may have been left half way
            self._indexer.rebuild(self._store.entries.values())
        for number, delta in enumerate(self._store.replace(snapshot, version, self._reflector.seen)):
            self._notify(delta, first)
            if self._closed is not None:  # by a handler of ours
                return
            if number % 64 == 63:
                await pace.checkpoint()
        self.error = self._fault = None
        self._reflector.listed(version)
        self._readable = True
        self._enter("synced")
        self._release_waiters(None)

    def _kept(self, entry: Entry) -> Entry:
        return entry if self._transform is None else codec.transformed(entry, self._transform)

    def _said(self, line: Line) -> ScopedCacheError:
        """Return the error an ERROR line stands for; a 410 is spelled Expired, or Gone by old servers."""
        status = codec.decode_error(bytes_of(line))
        return of_status(RequestInfo("watch", self.resource, self.namespace), status.code or 500, status)

    # -- changes of state ----------------------------------------------------------------------------------------

    def _failed(self, error: ScopedCacheError) -> None:
        if _words(error) != _words(self.error):
            logger.info("watch.interrupted", extra={"informer": repr(self), "error": str(error)})
        self.error = error

    def _broke(self, error: Exception) -> None:
        """Our own side failed: reads raise it until the next complete list."""
        self.error = self._fault = error
        self._readable = False
        self._reflector.broken()
        self._enter("broken")

    def _stream(self, streaming: bool) -> None:
        if self.streaming != streaming:
            self.streaming = streaming
            if self._on_stream is not None:
                self._on_stream(streaming)

    def _enter(self, state: InformerState) -> None:
        if self._state != "closed" and not (self._fault is not None and state in ("syncing", "waiting")):
            self._state = state

    def _release_waiters(self, error: Exception | None) -> None:
        for turn in self._waiters:
            if not turn.done():
                turn.set_result(None) if error is None else turn.set_exception(error)

    def __repr__(self) -> str:
        place = self.namespace or ("all namespaces" if self.resource.namespaced else "cluster")
        return f"<Informer {self.resource} in {place} {self._state} objects={len(self._store)}>"


def _words(error: Exception | None) -> tuple[str, str]:
    """Return what makes two errors the same news: not the time they are stamped with."""
    return type(error).__name__, str(getattr(error, "message", error))
