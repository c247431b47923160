"""Which keys are this replica's to work on, and what becomes of those that are not, or not any more.

Replicas share the work by a hash of namespaces (`Shard`), or as a sharder says (`RingShard`), or there is one alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from ...errors import ScopedCacheError
from ...hash_ranges import HashRanges, ring_hash
from ...kinds import ObjectKey, Resource
from ...objects import Metadata, Object
from ...supervisor import Supervisor
from ..primary_objects import PrimaryObjects
from ..work_queue import Priority, WorkQueue
from .ring_shard import RingShard
from .shard import Shard

if TYPE_CHECKING:
    from ...cache import ScopedCache

# Keys enqueued in one step of the loop, where all of them are: about a millisecond.
KEYS_PER_STEP: Final = 500
# Owners looked at in one step, each of which may have to be closed.
OWNERS_PER_STEP: Final = 100


class OwnKeys:
    """The part of one controller's keys that is this replica's. `shard` None: all of them."""

    def __init__(
        self,
        controller: str,
        shard: Shard | RingShard | None,
        primaries: PrimaryObjects,
        queue: WorkQueue[ObjectKey],
        cache: ScopedCache,
    ) -> None:
        self._controller = controller
        self._shard = shard if isinstance(shard, Shard) else None
        self._ring = shard if isinstance(shard, RingShard) else None
        self._primaries = primaries
        self._queue = queue
        self._cache = cache
        self._resource: Resource | None = None
        self._shard_changed = asyncio.Event()
        self._aside: dict[ObjectKey, Priority] = {}  # held, and not ours to work on yet, or for now

    @asynccontextmanager
    async def followed(self, resource: Resource, supervisor: Supervisor) -> AsyncIterator[None]:
        """Take up what becomes ours and let go of what is another's, in this block; waits until a share is known."""
        self._resource = resource
        if self._shard is not None:
            await self._shard.known.wait()
            unsubscribe = self._shard.subscribe(self._shard_changed.set)
            supervisor.start_guarded("shard", self._follow_shard)
        elif self._ring is not None:
            unsubscribe = self._ring.filter.on_left(self._on_left)
        else:
            yield
            return
        try:
            yield
        finally:
            unsubscribe()

    def is_shown(self, key: ObjectKey) -> bool:
        """Tell whether a key's object is among those that are held here, as far as the key tells that."""
        return self._shard is None or self._lies_in(key, self._shard.shown)

    def is_asked_for(self, obj: Object) -> bool:
        """Tell whether a sharder asks for an object to be handed over."""
        return self._ring is not None and self._ring.is_asked_for(obj)

    def point(self, key: ObjectKey) -> int | None:
        """Return where a key lies on the ring; None where nobody shares the work, or nothing is known of its object."""
        if self._shard is None:
            return None
        uid = None if key.namespace else self._primaries.uid(key)
        return ring_hash(key.namespace or uid) if key.namespace or uid else None

    def is_ours(self, key: ObjectKey) -> bool:
        """Tell whether a run of the key may begin here now."""
        if self._ring is not None:
            obj = self._primaries.get(key)
            return obj is None or not self._ring.is_asked_for(obj)
        return self._shard is None or self._lies_in(key, self._shard.worked_on)

    async def put_aside(self, key: ObjectKey, priority: Priority) -> None:
        """Keep a key until it is ours to work on; one that is another replica's, and not held, is forgotten.

        What is held and not shown any more goes soon. If it is shown again before that, no event will tell of it: the
        key is all that does. What a sharder asks for is handed over.
        """
        if self._ring is not None:
            await self._hand_over(self._ring, key, priority)
            return
        assert self._shard is not None
        if self._may_be_ours(key, self._shard):
            self._keep_aside(key, priority)

    def keep_held(self, key: ObjectKey, priority: Priority) -> None:
        """Keep a key whose object is held and not shown any more: it may be shown again before it goes."""
        if self._primaries.get(key) is not None:
            self._keep_aside(key, priority)

    def _keep_aside(self, key: ObjectKey, priority: Priority) -> None:
        self._aside[key] = "high" if "high" in (priority, self._aside.get(key)) else "low"

    def _may_be_ours(self, key: ObjectKey, shard: Shard) -> bool:
        return self._lies_in(key, shard.shown) or self._primaries.get(key) is not None

    def _lies_in(self, key: ObjectKey, ranges: HashRanges) -> bool:
        point = self.point(key)
        return point is not None and point in ranges

    async def _follow_shard(self) -> None:
        """Begin with what has become ours, and let go of what is another's; until cancelled."""
        assert self._shard is not None
        while True:
            await self._shard_changed.wait()
            self._shard_changed.clear()
            for number, key in enumerate(list(self._aside), 1):
                if self._lies_in(key, self._shard.shown):
                    self._queue.add(key, priority=self._aside.pop(key), at_once=True)
                if number % KEYS_PER_STEP == 0:
                    await asyncio.sleep(0)
            await self._let_go(self._shard)
            self._aside = {
                key: priority for key, priority in self._aside.items() if self._may_be_ours(key, self._shard)
            }

    async def _let_go(self, shard: Shard) -> None:
        """Close what the owners have open that are another replica's now, and forget them: nothing was deleted."""
        assert self._resource is not None
        for number, owner in enumerate(self._cache.owners(self._resource.gvk, None), 1):
            if ring_hash(owner.key.namespace or owner.uid) not in shard.shown:
                self._queue.discard(owner.key)
                self._cache.close(owner)
                self._keep_aside(owner.key, "low")
            if number % OWNERS_PER_STEP == 0:
                await asyncio.sleep(0)
        self._primaries.drop_news(lambda obj: ring_hash(obj.namespace or obj.uid) in shard.shown)
        await self._primaries.drop_outside()

    async def _hand_over(self, ring: RingShard, key: ObjectKey, priority: Priority) -> None:
        obj = self._primaries.get(key)
        if obj is None or self._resource is None:
            return
        try:
            after = await ring.hand_over(self._resource, obj)
        except ScopedCacheError:
            self._queue.add_rate_limited(key, priority=priority)
        else:
            self._queue.forget(key)
            if after is not None:
                self._queue.add(key, after=after, priority=priority)

    def _on_left(self, metadata: Metadata) -> None:
        """Forget an object that is another shard's now: nothing was deleted."""
        from ...cache import OwnerId

        if self._resource is None or self._ring is None:
            return
        key = ObjectKey(metadata.namespace, metadata.name)
        self._ring.moved(self._resource, key)
        self._queue.discard(key)
        self._cache.close(OwnerId(self._resource.gvk, key, metadata.uid))

    def run_begun(self, key: ObjectKey) -> None:
        """A run of the key begins."""
        if self._ring is not None and self._resource is not None:
            self._ring.run_begun(self._controller, self._resource, key)

    def run_ended(self, key: ObjectKey) -> None:
        """It has ended, and nothing of it is left."""
        if self._ring is not None and self._resource is not None:
            self._ring.run_ended(self._controller, self._resource, key)
