"""The informers that really run: one per kind and place, shared by everybody who needs it, closed with the last.

`InformerLeases` says which informer serves a need; the pool starts and ends them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs

from ..access import Monitor
from ..api.client import Client
from ..api.codec import Transform
from ..clock import loop_time
from ..event_logger import event_logger
from ..identity import Identity
from ..informer import IndexFunc, Informer, InformerOptions
from ..informer.initial_list_limiter import InitialListLimiter
from ..informer.label_shard import LabelShard
from ..informer.list_watch import NAME_FIELD
from ..informer.missed_deletes import PurgedKeys
from ..informer.ownership_chain import Owner, OwnershipChain
from ..informer.reflector import ServerFeatures
from ..informer.shard_filter import ShardFilter
from ..kinds import Kind, ObjectKey, Resource, denotes
from ..objects import Entry, Object
from ..selectors import LabelSelector
from ..supervisor import Supervisor
from .informer_plan import InformerKey, Place
from .memory_return import MemoryReturn

T = TypeVar("T")

logger: Final = event_logger("scopedcache.cache")


class _RightsGate:
    """Lets an informer ask when its rights are not known to be lost."""

    def __init__(self, monitor: Monitor, informer_key: InformerKey) -> None:
        self._monitor = monitor
        self._permissions = informer_key.permissions

    async def permitted(self) -> None:
        await self._monitor.wait_until_permitted(self._permissions)

    @property
    def recoveries(self) -> int:
        return self._monitor.recoveries

    async def recovered(self, since: int) -> None:
        await self._monitor.wait_recovered(since)


@attrs.frozen
class _Writes:
    """Hears of the writes of one identity."""

    pool: InformerPool
    identity: Identity

    def written(self, resource: Resource, written: Object) -> None:
        self.pool.written_as(self.identity, resource, written)

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        self.pool.deleted_as(self.identity, resource, key, uid)


class InformerPool:
    """Running informers and who holds them."""

    def __init__(
        self,
        client: Client,
        monitor: Monitor,
        supervisor: Supervisor,
        *,
        options: InformerOptions,
        selectors: Mapping[Kind, LabelSelector],
        field_selectors: Mapping[Kind, str] = MappingProxyType({}),
        transforms: Mapping[Kind, Transform],
        compress: bool | Collection[Kind] = False,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.open_watches = 0
        self._client = client
        self._chains: dict[Identity | None, OwnershipChain] = {}
        self._acting: dict[Identity, Client] = {}
        self._listeners: dict[Identity, _Writes] = {}
        self._monitor = monitor
        self._supervisor = supervisor
        self._options = options
        self._selectors = selectors
        self._field_selectors = field_selectors
        self._transforms = transforms
        self._compress = compress
        self._timer = timer
        self._chance = chance
        self._server = ServerFeatures()
        self._initial_lists = InitialListLimiter()
        self._informers: dict[InformerKey, Informer] = {}
        self._started: dict[InformerKey, float] = {}
        self._holders: dict[InformerKey, set[Hashable]] = {}
        self._purged_keys: dict[Place, PurgedKeys] = {}
        self._closing: set[asyncio.Task[Any]] = set()
        self._memory = MemoryReturn()
        self.ended: dict[str, tuple[int, int]] = {}  # by kind: events and relists of informers that are closed
        self._indexes: list[tuple[Kind, str, IndexFunc]] = []
        self._shards: dict[Kind, ShardFilter | LabelShard] = {}

    # -- as whom -------------------------------------------------------------------------------------------------

    def client_of(self, identity: Identity | None) -> Client:
        """Return the client that sends as an identity, made where there is none."""
        if identity is None:
            return self._client
        client = self._acting.get(identity)
        if client is None:
            client = self._acting[identity] = self._client.acting_as(identity)
            listener = self._listeners[identity] = _Writes(self, identity)
            client.add_write_listener(listener)
        return client

    def chain_of(self, identity: Identity | None) -> OwnershipChain:
        """Return what is known of who owns what, from what an identity was shown."""
        return self._chains.setdefault(identity, OwnershipChain())

    def drop_owner(self, owner: Owner, identity: Identity | None) -> None:
        """Forget everything that leads to an owner which is served as an identity."""
        for shown_to in {None, identity}:
            if (chain := self._chains.get(shown_to)) is not None:
                chain.drop(owner)

    def identity_ended(self, identity: Identity) -> None:
        """Forget an identity that is not in use any more; who closes its client is told of it elsewhere."""
        client = self._acting.pop(identity, None)
        if client is not None:
            client.remove_write_listener(self._listeners.pop(identity))
        self._chains.pop(identity, None)

    # -- who needs which -----------------------------------------------------------------------------------------

    def acquire(self, informer_key: InformerKey, holder: Hashable, purged_keys: PurgedKeys | None = None) -> Informer:
        """Return the informer, started if it was not running; `holder` keeps it until it releases it.

        `purged_keys`: what was held of the place before, where the pool does not know it itself.
        """
        informer = self._informers.get(informer_key)
        if informer is None:
            informer = self._start(informer_key, self._purged_keys.pop(informer_key.place, None) or purged_keys)
            self._started[informer_key] = self._timer()
            self._informers[informer_key] = informer
            self._holders[informer_key] = set()
        self._holders[informer_key].add(holder)
        return informer

    def release(self, informer_key: InformerKey, holder: Hashable, error: Exception | None = None) -> PurgedKeys | None:
        """End one hold; the last one closes the informer. Returns whom it held then.

        Where it closes for an `error`, the keys and UIDs it held are kept: what is missing when the place can be seen
        again was deleted meanwhile.
        """
        holders = self._holders.get(informer_key)
        if holders is None:
            return None
        holders.discard(holder)
        if holders:
            return None
        del self._holders[informer_key]
        del self._started[informer_key]
        informer = self._informers.pop(informer_key)
        events, relists = self.ended.get(str(informer_key.resource), (0, 0))
        self.ended[str(informer_key.resource)] = events + informer.events, relists + informer.relists
        task = informer.task
        if task is not None and not task.done():
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        purged_keys = informer.close(error)
        self._memory.closed()
        if error is not None and purged_keys:
            self._purged_keys[informer_key.place] = purged_keys
        return purged_keys

    def forget(self, place: Place) -> None:
        """Nobody needs this any more: forget what it held."""
        self._purged_keys.pop(place, None)

    def started(self, informer_key: InformerKey) -> float:
        """Return when a running informer was started, in the cache's seconds."""
        return self._started[informer_key]

    def running(self, informer_key: InformerKey) -> Informer | None:
        return self._informers.get(informer_key)

    def shows(self, kind: Kind, key: ObjectKey, uid: str) -> bool:
        """Tell whether some informer of the program's own user holds an object now."""
        for informer_key, informer in self._informers.items():
            if informer_key.identity is None and denotes(kind, informer_key.resource) and informer.synced:
                obj = informer.get(key)
                if obj is not None and obj.uid == uid:
                    return True
        return False

    def __iter__(self) -> Iterator[tuple[InformerKey, Informer]]:
        return iter(list(self._informers.items()))

    def __len__(self) -> int:
        return len(self._informers)

    async def close_clients(self) -> None:
        """Close the clients that were asked for and that nobody listens by."""
        for identity, client in list(self._acting.items()):
            self.identity_ended(identity)
            await client.close()

    async def wait_closed(self) -> None:
        """Wait until the connections of closed informers are closed."""
        current = asyncio.current_task()
        closing = [task for task in self._closing if task is not current]
        if closing:
            await asyncio.wait(closing)

    # -- what concerns all of them -------------------------------------------------------------------------------

    def add_index(self, kind: Kind, name: str, function: IndexFunc) -> None:
        """Add an index to every present and future informer of a kind."""
        self._indexes.append((kind, name, function))
        for informer_key, informer in self._informers.items():
            if denotes(kind, informer_key.resource):
                informer.add_index(name, function)

    def set_shard(self, kind: Kind, shard: ShardFilter | LabelShard | None) -> None:
        """Let future informers of a kind hold a part of its objects; None: all of them again."""
        if shard is None:
            self._shards.pop(kind, None)
        else:
            self._shards[kind] = shard

    def renew(self) -> None:
        """Give every watch the life the monitor wants now, beginning with a new one."""
        for informer_key, informer in self._informers.items():
            informer.watch_timeout = self._watch_timeout(informer_key.identity)
            informer.renew()

    def written(self, resource: Resource, written: Object) -> None:
        """Show the answer to our own write to the informers it belongs to."""
        self.written_as(None, resource, written)

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Remove what our own DELETE removed."""
        self.deleted_as(None, resource, key, uid)

    def written_as(self, identity: Identity | None, resource: Resource, written: Object) -> None:
        """Show the answer to a write to the informers of who wrote it; others are told by their own watch."""
        informers = list(self._informers_of(identity, resource, written.key))
        if informers:
            entry = Entry.of(written)
            for informer in informers:
                informer.written(entry)

    def deleted_as(self, identity: Identity | None, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Remove what a DELETE of an identity removed."""
        for informer in self._informers_of(identity, resource, key):
            informer.deleted(key, uid)

    @property
    def handlers(self) -> int:
        return sum(informer.handlers for informer in self._informers.values())

    def _watch_timeout(self, identity: Identity | None) -> float | None:
        monitor = self._monitor.of(identity)
        return monitor.renewal if monitor.attempting else None

    def _informers_of(self, identity: Identity | None, resource: Resource, key: ObjectKey) -> Iterable[Informer]:
        for place in product({key.namespace or None, None}, (None, key.name), (False, True)):
            informer = self._informers.get(InformerKey(resource, *place, identity))
            if informer is not None:
                yield informer

    def _start(self, informer_key: InformerKey, purged_keys: PurgedKeys | None) -> Informer:
        resource = informer_key.resource
        informer = Informer(
            self.client_of(informer_key.identity),
            resource,
            namespace=informer_key.namespace,
            labels=_of_kind(self._selectors, resource),
            fields=_fields(informer_key.name, _of_kind(self._field_selectors, resource)),
            metadata_only=informer_key.metadata_only,
            transform=_of_kind(self._transforms, resource),
            compress=self._is_compressed(resource),
            gate=_RightsGate(self._monitor, informer_key),
            chain=self.chain_of(informer_key.identity),
            initial_lists=self._initial_lists,
            server=self._server,
            purged_keys=purged_keys,
            shard=_of_kind(self._shards, resource),
            options=self._options,
            on_stream=self._count_stream,
            timer=self._timer,
            chance=self._chance,
        )
        informer.watch_timeout = self._watch_timeout(informer_key.identity)
        for kind, name, function in self._indexes:
            if denotes(kind, resource):
                informer.add_index(name, function)
        informer.start(self._supervisor)
        about = {"kind": resource.gvk.kind, "namespace": informer_key.namespace}
        if informer_key.identity is not None:
            about["identity"] = str(informer_key.identity)
        logger.info("watch.started", extra=about)
        return informer

    def _is_compressed(self, resource: Resource) -> bool:
        if isinstance(self._compress, bool):
            return self._compress
        return any(denotes(kind, resource) for kind in self._compress)

    def _count_stream(self, streaming: bool) -> None:
        self.open_watches += 1 if streaming else -1


def _fields(name: str | None, selector: str | None) -> str | None:
    """Return the field selector of an informer."""
    return ",".join(filter(None, (f"{NAME_FIELD}{name}" if name else None, selector))) or None


def _of_kind(settings: Mapping[Kind, T], resource: Resource) -> T | None:
    """Return what is set for a kind."""
    return next((value for kind, value in settings.items() if denotes(kind, resource)), None)
