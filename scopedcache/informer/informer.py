"""One kind in one place, kept up to date and shared: an indexed store, and a loop that lists and watches for it.

What is held and who hears of it is `IndexedStore`; whether reads are answered is `InformerLife`; what is asked next is
`Reflector`, which `ReflectorLoop` carries out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from ..api.client import Client
from ..api.codec import Transform
from ..api.watch.pace import Pace
from ..clock import loop_time
from ..errors import CacheError
from ..event_logger import event_logger
from ..kinds import ObjectKey, Resource
from ..objects import Entry, Object
from ..selectors import Labels
from ..supervisor import Supervisor
from .event_handlers import EventHandler, change_handler
from .indexed_store import IndexedStore, Keys, Objects
from .indexer import IndexFunc
from .informer_life import InformerLife
from .informer_options import InformerOptions
from .informer_state import InformerState
from .initial_list_limiter import InitialListLimiter
from .label_shard import LabelShard
from .list_watch import ListWatch
from .missed_deletes import PurgedKeys
from .owner_router import OwnerRouter
from .ownership_chain import Owner, OwnershipChain
from .reflector import Reflector, ServerFeatures
from .reflector_loop import Gate, ReflectorLoop
from .shard_filter import ShardFilter
from .silence_watchdog import SilenceWatchdog

logger: Final = event_logger("scopedcache.informer")


class Informer:
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
        transform: Transform | None = None,
        compress: bool = False,
        gate: Gate | None = None,
        chain: OwnershipChain | None = None,
        initial_lists: InitialListLimiter | None = None,
        server: ServerFeatures | None = None,
        purged_keys: PurgedKeys | None = None,
        shard: ShardFilter | LabelShard | None = None,
        options: InformerOptions | None = None,
        on_stream: Callable[[bool], None] | None = None,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        options = options or InformerOptions()
        self.resource: Final = resource
        self.namespace: Final = namespace
        self.metadata_only: Final = metadata_only
        self.task: asyncio.Task[Any] | None = None
        self._supervisor: Supervisor | None = None
        self._backlog_task: asyncio.Task[None] | None = None
        self._objects: Final = IndexedStore(
            resource,
            namespace=namespace,
            metadata_only=metadata_only,
            transform=transform,
            compress=compress,
            chain=chain,
            purged_keys=purged_keys,
        )
        # What `get` calls, for readers that call it for every object.
        self.look_up: Final = self._objects.get
        self._life: Final = InformerLife(self._objects)
        self._list_watch: Final = ListWatch(
            client,
            resource,
            namespace=namespace,
            labels=labels,
            fields=fields,
            options=options,
            chance=chance,
            shard=shard,
        )
        self._shard: Final = shard if isinstance(shard, ShardFilter) else None
        self._reflector: Final = Reflector(server, group=resource.gvr.group, metadata_only=metadata_only, chance=chance)
        self._watchdog: Final = SilenceWatchdog(timer, idle_timeout=options.idle_timeout)
        self._loop: Final = ReflectorLoop(
            self._life,
            self._list_watch,
            self._objects,
            self._reflector,
            self._watchdog,
            gate=gate,
            initial_lists=initial_lists,
            list_deadline=options.list_deadline,
            on_stream=on_stream,
            timer=timer,
        )

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self, supervisor: Supervisor) -> None:
        """Begin to list and watch, as a task of `supervisor`."""
        self._supervisor = supervisor
        if self._shard is not None:
            self._shard.on_wider(self._loop.list_again)
            self._shard.on_less_asked(self._loop.renew)
        self._objects.backlog.on_work = self._work_off
        self.task = supervisor.start_guarded(repr(self), self._loop.run, on_failure=self._loop.fail)

    def close(self, error: Exception | None = None) -> PurgedKeys:
        """End it in one synchronous step: no handler is called from here on, nothing is held, reads raise `error`.

        The connection closes right after. Returns what was held, by key and UID.
        """
        if self._shard is not None:
            self._shard.forget(self._loop.list_again)
            self._shard.forget(self._loop.renew)
        purged_keys = self._life.close(error or CacheError(f"{self} is closed"))
        self._objects.backlog.on_work = None  # nothing leads back to us: we go when the last reader does
        if self.task is not None:
            self.task.cancel()
        return purged_keys

    async def drop_outside(self) -> None:
        """Let go, in slices, of what is not in the shard any more. It was not deleted: no handler is told."""
        if self._shard is not None:
            pace = Pace()
            for _ in self._objects.drop(self._shard.admits):
                await pace.checkpoint()

    @property
    def complete(self) -> bool:
        """Tell whether all of the shard is held, which may have grown since the last list."""
        return self.synced and not self._loop.lacking

    def _work_off(self) -> None:
        """There is work over many objects: do it in slices. It may outlast us, for our own burial is such work."""
        assert self._supervisor is not None
        if self._backlog_task is None or self._backlog_task.done():
            self._backlog_task = self._supervisor.start(f"backlog of {self!r}", self._work())

    async def _work(self) -> None:
        pace = Pace()
        for _ in self._objects.backlog.work():
            await pace.checkpoint()

    async def wait_synced(self) -> None:
        """Wait until the first list is complete and every handler has seen it.

        Raises:
            CacheError: it was closed meanwhile, with the error it was closed for.
        """
        await self._life.wait_synced()

    def renew(self) -> None:
        """Cut an open watch and resume it at once, so that the server authorises it again."""
        self._loop.renew()

    # -- its state -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> InformerState:
        """Return its state: starting, syncing, synced, waiting, broken or closed."""
        return self._life.state

    @property
    def synced(self) -> bool:
        """Tell whether reads are answered: the first list was complete, and nothing of ours has failed since."""
        return self._life.synced

    @property
    def age(self) -> float:
        """Return the seconds since the server was last heard: what is read may be that old."""
        return self._watchdog.age

    @property
    def streaming(self) -> bool:
        """Tell whether a watch is open."""
        return self._loop.streaming

    @property
    def error(self) -> Exception | None:
        """Return the last trouble, None once it is over."""
        return self._loop.error

    @property
    def events(self) -> int:
        """Return how many watch events were received."""
        return self._loop.events

    @property
    def bytes(self) -> int:
        """Return about how many bytes the objects are, as the server sent them."""
        return self._objects.bytes

    @property
    def relists(self) -> int:
        """Return how many full lists there were after the first one."""
        return self._reflector.relists

    @property
    def resource_version(self) -> str:
        """Return the version that was seen last; empty before the first list."""
        return self._reflector.version

    @property
    def waiters(self) -> int:
        """Return how many wait for the first list."""
        return self._life.waiters

    @property
    def watch_timeout(self) -> float | None:
        """Seconds after which we end a watch by ourselves; None, as the options say: the cache shortens it."""
        return self._list_watch.watch_timeout

    @watch_timeout.setter
    def watch_timeout(self, seconds: float | None) -> None:
        self._list_watch.watch_timeout = seconds

    # -- reads: memory only --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def partial(self) -> bool:
        """Tell whether objects are not whole: metadata only, or transformed."""
        return self._objects.partial

    def check(self) -> None:
        """Raise unless reads may be answered."""
        self._objects.check()

    def get(self, key: tuple[str, str]) -> Object | None:
        """Return a private Object, None where it is not there. Never waits.

        Raises:
            CacheError: nothing can be said (not synced, closed, denied).
        """
        return self._objects.get(key)

    def list_keys(self) -> Keys:
        """Return the keys of all objects. Never waits."""
        return self._objects.list_keys()

    def list(self, *, namespace: str | None = None, labels: Labels = None, owner: str | None = None) -> Objects:
        """Return private Objects in no particular order: of a namespace, by labels, by an owner's UID. Never waits."""
        return self._objects.list(namespace=namespace, labels=labels, owner=owner)

    def owned_by(self, owner: Owner) -> Objects:
        """Return what is routed to an owner: by owner reference, chain, label or route function."""
        return self._objects.owned_by(owner)

    def by_index(self, name: str, value: str) -> Objects:
        """Return what a user's index holds under a value.

        Raises:
            NoSuchIndexError: it was not added.
        """
        return self._objects.by_index(name, value)

    def add_index(self, name: str, function: IndexFunc) -> None:
        """Add an index, at any time."""
        self._objects.add_index(name, function)

    # -- who hears of changes ------------------------------------------------------------------------------------

    @property
    def router(self) -> OwnerRouter:
        """Return the owners that hear of their objects."""
        return self._objects.router

    @property
    def handlers(self) -> int:
        """Return how many handlers are registered."""
        return self._objects.handlers

    def add_handler(self, handler: EventHandler) -> Callable[[], None]:
        """Call `handler` for what is held now and every change after that. Returns the way to end it (idempotent).

        Raises:
            CacheError: it is closed.
        """
        objects = self._objects
        objects.check_open()
        added = change_handler(handler, self.resource.gvk, partial=objects.partial)
        objects.add_handler(added)
        return lambda: objects.remove_handler(added)

    # -- our own writes ------------------------------------------------------------------------------------------

    def written(self, entry: Entry) -> None:
        """Take the answer to our own write, by the ordinary path; its event will find nothing left to change.

        Before the first list too: that may have been taken before the write. Where only the server can tell whether the
        object is among those that are asked for, its event tells.
        """
        selected = self._list_watch.selects(entry)
        if selected is None:
            return
        take = self._objects.put_own if selected else self._objects.leave_own
        self._contain(lambda: take(entry, self._reflector.seen))

    def deleted(self, key: ObjectKey, uid: str) -> None:
        """Take note that our own DELETE removed an object."""
        self._contain(lambda: self._objects.remove_own(key, uid))

    def _contain(self, change: Callable[[], None]) -> None:
        """Make a change. What fails in passing it on is not the writer's fault: a new list deals with it."""
        if self._objects.closed:
            return
        try:
            change()
        except Exception as error:
            logger.error("informer.failed", extra={"informer": repr(self)}, exc_info=error)
            self._loop.fail(error)
            self.renew()

    def __repr__(self) -> str:
        return repr(self._life)
