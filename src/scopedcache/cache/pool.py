"""The informers that really run: one per kind and place, shared by everybody who needs it, closed with the last.

`plan` decides which informer serves a need; the pool starts and ends them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs

from ..access import Monitor
from ..api.client import Client
from ..api.codec import Transform
from ..api.reviews import Right
from ..informer import IndexFunc, Informer, InformerOptions
from ..informer.reflector import Server
from ..informer.router import Chain
from ..informer.slots import SyncSlots
from ..informer.store import Ghosts
from ..objects import Entry, Kind, Need, Object, ObjectKey, Resource, denotes
from ..selectors import LabelSelector
from ..tasks import Supervisor, loop_time

_log = logging.getLogger("scopedcache.cache")


@attrs.frozen(cache_hash=True)
class Physical:
    """Which list and watch: a kind, a place (None: the whole cluster), perhaps one name, perhaps metadata alone."""

    resource: Resource
    namespace: str | None
    name: str | None = None
    metadata_only: bool = False

    @cached_property
    def rights(self) -> tuple[Right, Right]:
        """Return what it takes: list and watch, both, whatever a streaming list would get by with."""
        gvr = self.resource.gvr
        place = self.namespace
        return (
            Right("list", gvr.group, gvr.resource, place, name=self.name),
            Right("watch", gvr.group, gvr.resource, place, name=self.name),
        )


def plan(resource: Resource, need: Need, namespace: str | None, cluster_wide: Collection[Kind]) -> Physical:
    """Return the informer that serves a need in a namespace.

    Cluster-scoped kinds, and the kinds a cache was told to watch everywhere, have one for the whole cluster.
    """
    everywhere = not resource.namespaced or any(denotes(kind, resource) for kind in cluster_wide)
    return Physical(resource, None if everywhere else namespace, need.name, need.metadata_only)


class _Gate:
    """Lets an informer ask when its rights are not known to be lost."""

    def __init__(self, monitor: Monitor, physical: Physical) -> None:
        self._monitor = monitor
        self._rights = physical.rights

    async def permitted(self) -> None:
        await self._monitor.permitted(self._rights)


class Pool:
    """Running informers and who holds them."""

    def __init__(
        self,
        client: Client,
        monitor: Monitor,
        supervisor: Supervisor,
        *,
        options: InformerOptions,
        selectors: Mapping[Kind, LabelSelector],
        transforms: Mapping[Kind, Transform],
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.chain = Chain()
        self.open_watches = 0
        self._client = client
        self._monitor = monitor
        self._supervisor = supervisor
        self._options = options
        self._selectors = selectors
        self._transforms = transforms
        self._timer = timer
        self._chance = chance
        self._server = Server()
        self._slots = SyncSlots()
        self._informers: dict[Physical, Informer] = {}
        self._holders: dict[Physical, set[Hashable]] = {}
        self._ghosts: dict[Physical, Ghosts] = {}
        self._closing: set[asyncio.Task[Any]] = set()
        self._indexes: list[tuple[Kind, str, IndexFunc]] = []

    def acquire(self, physical: Physical, holder: Hashable) -> Informer:
        """Return the informer, started if it was not running; `holder` keeps it until it releases it."""
        informer = self._informers.get(physical)
        if informer is None:
            informer = self._informers[physical] = self._start(physical, self._ghosts.pop(physical, None))
            self._holders[physical] = set()
        self._holders[physical].add(holder)
        return informer

    def release(self, physical: Physical, holder: Hashable, error: Exception | None = None) -> None:
        """End one hold; the last one closes the informer.

        Where it closes for an `error`, the keys and UIDs it held are kept: what is missing when the place can be seen
        again was deleted meanwhile.
        """
        holders = self._holders.get(physical)
        if holders is None:
            return
        holders.discard(holder)
        if holders:
            return
        del self._holders[physical]
        informer = self._informers.pop(physical)
        task = informer.task
        if task is not None and not task.done():
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        ghosts = informer.close(error)
        if error is not None and ghosts:
            self._ghosts[physical] = ghosts

    def forget(self, physical: Physical) -> None:
        """Nobody needs this any more: forget what it held."""
        self._ghosts.pop(physical, None)

    def running(self, physical: Physical) -> Informer | None:
        return self._informers.get(physical)

    def shows(self, kind: Kind, key: ObjectKey, uid: str) -> bool:
        """Tell whether some informer holds an object now."""
        for physical, informer in self._informers.items():
            if denotes(kind, physical.resource) and informer.synced:
                found = informer.get(key)
                if found is not None and found.uid == uid:
                    return True
        return False

    def __iter__(self) -> Iterator[tuple[Physical, Informer]]:
        return iter(list(self._informers.items()))

    def __len__(self) -> int:
        return len(self._informers)

    def holders(self, physical: Physical) -> int:
        return len(self._holders.get(physical, ()))

    async def wait_closed(self) -> None:
        """Wait until the connections of closed informers are closed."""
        mine = asyncio.current_task()
        closing = [task for task in self._closing if task is not mine]
        if closing:
            await asyncio.wait(closing)

    # -- what concerns all of them -------------------------------------------------------------------------------

    def add_index(self, kind: Kind, name: str, function: IndexFunc) -> None:
        """Add an index to every present and future informer of a kind."""
        self._indexes.append((kind, name, function))
        for physical, informer in self._informers.items():
            if denotes(kind, physical.resource):
                informer.add_index(name, function)

    def renew(self) -> None:
        """Give every watch the life the monitor wants now, beginning with a new one."""
        for informer in self._informers.values():
            informer.watch_timeout = self._renewal
            informer.renew()

    def written(self, resource: Resource, written: Object) -> None:
        """Show the answer to our own write to the informers it belongs to."""
        informers = list(self._concerned(resource, written.key))
        if informers:
            entry = Entry(written.metadata, written.to_json())
            for informer in informers:
                informer.written(entry)

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Remove what our own DELETE removed."""
        for informer in self._concerned(resource, key):
            informer.deleted(key, uid)

    @property
    def handlers(self) -> int:
        return sum(informer.handlers for informer in self._informers.values())

    @property
    def _renewal(self) -> float | None:
        return self._monitor.renewal if self._monitor.attempting else None

    def _concerned(self, resource: Resource, key: ObjectKey) -> Iterable[Informer]:
        for namespace in {key.namespace or None, None}:
            for name in (None, key.name):
                informer = self._informers.get(Physical(resource, namespace, name))
                if informer is not None:
                    yield informer

    def _start(self, physical: Physical, ghosts: Ghosts | None) -> Informer:
        resource = physical.resource
        informer = Informer(
            self._client,
            resource,
            namespace=physical.namespace,
            labels=next((found for kind, found in self._selectors.items() if denotes(kind, resource)), None),
            fields=f"metadata.name={physical.name}" if physical.name else None,
            metadata_only=physical.metadata_only,
            transform=next((found for kind, found in self._transforms.items() if denotes(kind, resource)), None),
            gate=_Gate(self._monitor, physical),
            chain=self.chain,
            slots=self._slots,
            server=self._server,
            ghosts=ghosts,
            options=self._options,
            on_stream=self._streamed,
            timer=self._timer,
            chance=self._chance,
        )
        informer.watch_timeout = self._renewal
        for kind, name, function in self._indexes:
            if denotes(kind, resource):
                informer.add_index(name, function)
        informer.start(self._supervisor)
        _log.info("watch.started", extra={"kind": resource.gvk.kind, "namespace": physical.namespace})
        return informer

    def _streamed(self, streaming: bool) -> None:
        self.open_watches += 1 if streaming else -1
