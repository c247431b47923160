"""The life of one informer: the state it is in, what that means for its reads, and who waits for its first list."""

from __future__ import annotations

import asyncio

from .indexed_store import IndexedStore
from .informer_state import InformerSignal, InformerState, is_readable, next_state
from .missed_deletes import PurgedKeys


class InformerLife:
    """Takes signals, and keeps the reads of the indexed store and those who wait in step with them."""

    def __init__(self, objects: IndexedStore) -> None:
        self._objects = objects
        self._state: InformerState = "starting"
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def state(self) -> InformerState:
        return self._state

    @property
    def synced(self) -> bool:
        """Tell whether reads are answered."""
        return is_readable(self._state)

    def take(self, signal: InformerSignal, error: Exception | None = None) -> None:
        """Take in what happened; a defect comes with the `error` that reads are to raise."""
        self._state = next_state(self._state, signal)
        if self._state == "broken" and error is not None:
            self._objects.refuse_reads(error)
        elif self.synced and signal == "listed":
            self._objects.allow_reads()
            self._wake(None)

    def close(self, error: Exception) -> PurgedKeys:
        """End it: reads raise `error`, and so does the waiting. Returns what was held."""
        self.take("close")
        purged_keys = self._objects.close(error)
        self._wake(error)
        return purged_keys

    async def wait_synced(self) -> None:
        """Wait until the first list is complete and every handler has seen it.

        Raises:
            CacheError: it was closed meanwhile, with the error it was closed for.
        """
        self._objects.check_open()
        if self.synced:
            return
        synced = asyncio.get_running_loop().create_future()
        self._waiters.add(synced)
        try:
            await synced
        finally:
            self._waiters.discard(synced)
            if synced.done() and not synced.cancelled():
                synced.exception()  # we may be cancelled in the very moment it is told
        self._objects.check_open()

    @property
    def waiters(self) -> int:
        """Return how many wait for the first list."""
        return len(self._waiters)

    def _wake(self, error: Exception | None) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None) if error is None else waiter.set_exception(error)

    def __repr__(self) -> str:
        objects = self._objects
        place = objects.namespace or ("all namespaces" if objects.resource.namespaced else "cluster")
        return f"<Informer {objects.resource} in {place} {self._state} objects={len(objects)}>"
