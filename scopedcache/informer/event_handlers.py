"""Who hears of changes: plain functions, called directly, contained when they fail and reported when they are slow."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs
import msgspec

from ..containment import UserFunction
from ..event_logger import event_logger
from ..kinds import GVK
from ..objects import Entry, Object
from .delta import Delta, Key
from .indexed_store import ChangeHandler

logger: Final = event_logger("scopedcache.informer")

# A handler holds the loop; past this many seconds it is reported.
SLOW_SECONDS: Final = 0.010


@attrs.frozen
class EventHandler:
    """Functions to call for each change; leave out what you do not need. They should only enqueue.

    Attributes:
        on_add: takes the object, and whether it was there at the first list.
        on_update: takes the object before and after. Called only when something changed.
        on_delete: takes the last state, and whether that state is a guess because nobody saw the deletion (the object
            may then carry its name, namespace and UID alone).
        coalesce: call on a task of its own, one call per object for all changes since the last: for handlers that take
            longer, bounded by the number of objects instead of events.
    """

    on_add: Callable[[Object, bool], None] | None = None
    on_update: Callable[[Object, Object], None] | None = None
    on_delete: Callable[[Object, bool], None] | None = None
    coalesce: bool = attrs.field(default=False, kw_only=True)


class DirectHandler:
    """Calls an EventHandler for each delta."""

    def __init__(
        self,
        handler: EventHandler,
        gvk: GVK,
        *,
        partial: bool = False,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._handler = handler
        self._gvk = gvk
        self._partial = partial
        self._timer = timer
        named = handler.on_add or handler.on_update or handler.on_delete
        self._user = UserFunction(self._call, "handler.failed", otherwise=None, kind=gvk.kind, named=named)

    def handle(self, delta: Delta, initial: bool) -> None:
        # Not by `UserFunction.call`, and the usual change without a call of ours in between: this runs once for each
        # event and handler.
        old, new = delta.old, delta.new
        timer, handler = self._timer, self._handler
        started = timer()
        try:
            if old is None or new is None or old.metadata.uid != new.metadata.uid:
                self._call(delta, initial)
            elif (on_update := handler.on_update) is not None:
                gvk, partial = self._gvk, self._partial
                on_update(Object(old.metadata, old.raw, gvk, partial), Object(new.metadata, new.raw, gvk, partial))
        except BaseException as error:
            self._user.fail((new or old).metadata, error)  # type: ignore[union-attr]  # one of them is there
        else:
            if self._user.failed:
                self._user.succeed((new or old).metadata)  # type: ignore[union-attr]  # the same
        took = timer() - started
        if took > SLOW_SECONDS:
            logger.warning("handler.slow", extra={"kind": self._gvk.kind, "seconds": round(took, 4)})

    def _call(self, delta: Delta, initial: bool) -> None:
        old, new, handler = delta.old, delta.new, self._handler
        if old is None:
            if handler.on_add is not None and new is not None:
                handler.on_add(self._object(new), initial)
        elif new is None:
            if handler.on_delete is not None:
                handler.on_delete(self._object(delta.final or old), delta.final_state_unknown)
        else:  # another object of the same name
            self._call(Delta(old, None, final_state_unknown=True), initial)
            self._call(Delta(None, new), initial)

    def _object(self, entry: Entry) -> Object:
        return Object(entry.metadata, entry.raw, self._gvk, partial=self._partial)

    def close(self) -> None:
        """Call nothing from here on, not even what is left of the change being told now."""
        self._handler = EventHandler()


class CoalescingHandler:
    """Merges the deltas of each object until its task gets to them: the oldest `old`, the newest `new`."""

    def __init__(self, direct: DirectHandler) -> None:
        self._direct = direct
        # Ordered, because the oldest is taken first: a dict would look at every one taken before it, each time.
        self._pending: OrderedDict[Key, tuple[Delta, bool]] = OrderedDict()
        self._wake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="scopedcache/coalescing-handler")

    def handle(self, delta: Delta, initial: bool) -> None:
        subject = delta.new or delta.old
        assert subject is not None
        key = (subject.metadata.namespace, subject.metadata.name)
        before = self._pending.pop(key, None)
        if before is not None:
            delta = msgspec.structs.replace(delta, old=before[0].old)
        if delta.old is not None or delta.new is not None:
            self._pending[key] = (delta, initial)
            self._wake.set()

    def __len__(self) -> int:
        """Return how many objects wait for a call."""
        return len(self._pending)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                _, (delta, initial) = self._pending.popitem(last=False)
                self._direct.handle(delta, initial)
                await asyncio.sleep(0)

    def close(self) -> None:
        self._direct.close()
        self._pending.clear()
        self._task.cancel()


def change_handler(handler: EventHandler, gvk: GVK, *, partial: bool) -> ChangeHandler:
    """Return a handler in the form that is called for each change."""
    direct = DirectHandler(handler, gvk, partial=partial)
    return CoalescingHandler(direct) if handler.coalesce else direct
