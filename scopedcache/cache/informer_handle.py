"""An informer that somebody holds by name of its kind: it outlives denials, and its handlers with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from ..errors import ScopeClosedError, ScopedCacheError, UnknownKindError
from ..informer import EventHandler, Informer
from ..kinds import Resource
from ..needs import Need
from ..objects import Object
from ..selectors import Labels
from ..supervisor import Supervisor
from .lister import Name
from .owner import Obstacle
from .scope_binding import ScopeBinding
from .scope_table import ScopeTable


class InformerHandle:
    """A shared informer of one kind, used with `async with`; `ScopedCache.informer` returns it.

    While the kind may not be seen, the handle waits: reads raise ForbiddenError, `denied` says why, and when the rights
    are back the same handlers hear of everything again.
    """

    def __init__(
        self, table: ScopeTable, supervisor: Supervisor, binding: ScopeBinding, need: Need, resource: Resource
    ) -> None:
        self.namespace = binding.scope.namespace
        self._need = need
        self._resource = resource
        self._table = table
        self._supervisor = supervisor
        self._binding = binding
        self._denied = asyncio.Event()
        self._changed = asyncio.Event()
        self._handlers = _Handlers(self._note_denial)

    def begin(self) -> None:
        """Ask for the informer; it syncs in the background."""
        self._binding.listener = self._handlers
        self._table.add(self._binding, [self._need], self._resource)
        self._supervisor.start(f"informer {self.resource}", self._open())

    def end(self) -> None:
        """Give the informer back, in one synchronous step."""
        self._table.close(self._binding)
        self._denied.set()  # who waits for a denial hears that none will come
        self._changed.set()

    async def _open(self) -> None:
        with suppress(ScopedCacheError):  # it waits; a grant opens it again
            await self._table.open(self._binding)
        self._note_denial()

    def _note_denial(self) -> None:
        self._changed.set()
        if self.denied is not None:
            self._denied.set()
        else:
            self._denied.clear()

    @property
    def resource(self) -> Resource:
        """Return the kind as it is served now; as it was served last, where it is not."""
        need = self._binding.scope.needs.find(self._need.kind)
        if need is not None:
            self._resource = need.resource
        return self._resource

    # -- its state -----------------------------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """Tell whether reads are answered now."""
        informer = self._handlers.informer
        return informer is not None and informer.synced

    @property
    def live(self) -> bool:
        """Tell whether a watch is open, so that changes are heard of at once."""
        informer = self._handlers.informer
        return informer is not None and informer.synced and informer.streaming

    @property
    def denied(self) -> Obstacle | None:
        """Return the right that is missing, or that the kind is not served; None while nothing is known to stand
        against it.
        """
        return self._binding.scope.denial

    @property
    def age(self) -> float | None:
        """Return the seconds since the server was last heard, None while there is no informer."""
        informer = self._handlers.informer
        return informer.age if informer is not None else None

    async def wait_synced(self) -> None:
        """Wait until reads are answered, through denials and grants alike.

        Raises:
            ScopeClosedError: the handle has ended.
        """
        while not self.synced:
            if self._binding.scope.is_closed:
                raise ScopeClosedError(f"the handle of {self.resource} has ended")
            informer = self._handlers.informer
            if informer is None:
                await self._handlers.wait_informer()
            else:
                await _synced_or_closed(informer)

    async def wait_denied(self) -> Obstacle:
        """Wait until a right is missing, or the kind is not served, and return what it is; at once while it is so.

        Raises:
            ScopeClosedError: the handle has ended.
        """
        while True:
            await self._denied.wait()
            if self._binding.scope.is_closed:
                raise ScopeClosedError(f"the handle of {self.resource} has ended")
            denial = self.denied
            if denial is not None:
                return denial
            self._denied.clear()

    async def wait_otherwise(self) -> Obstacle | None:
        """While it is denied: wait until reads are answered (None), or refused for something else, and return that.

        A kind that is not served may be denied once it is; one of two rights may be back.

        Raises:
            ScopeClosedError: the handle has ended.
        """
        before = self._missing
        while not self.synced:
            self._changed.clear()
            if self._binding.scope.is_closed:
                raise ScopeClosedError(f"the handle of {self.resource} has ended")
            denial, missing, informer = self.denied, self._missing, self._handlers.informer
            if denial is not None and missing and missing != before:
                return denial
            if informer is None:
                await self._changed.wait()
            else:
                await _synced_or_closed(informer)
        return None

    @property
    def _missing(self) -> Collection[str]:
        """Return what stands against reads, in short; nothing while they are about to be answered."""
        if isinstance(self.denied, UnknownKindError):
            return ("kind",)
        return [denial.subject for denial in self._table.missing_in(self._binding)]

    @property
    def complete(self) -> bool:
        """Tell whether all is held that is to be shown: a shard may have grown since the last list."""
        informer = self._handlers.informer
        return informer is not None and informer.complete

    @property
    def objects(self) -> int:
        """Return how many objects are held."""
        informer = self._handlers.informer
        return 0 if informer is None else len(informer)

    async def drop_outside(self) -> None:
        """Let go of what is not in the shard of the kind any more, if it has one; no handler is told."""
        informer = self._handlers.informer
        if informer is not None:
            await informer.drop_outside()

    # -- reads ---------------------------------------------------------------------------------------------------

    def get(self, key: Name) -> Object | None:
        """Return an object, None where it is not there.

        Raises:
            ForbiddenError, CacheError: see `Lister.get`.
        """
        return self._binding.handle.get(self._need.kind, key)

    def list_keys(self) -> Sequence[tuple[str, str]]:
        """Return the keys of all objects, at a fraction of the cost of the objects."""
        return self._binding.view_of(self.resource).informer.list_keys()

    def list(self, *, labels: Labels = None) -> Sequence[Object]:
        """Return all objects, or those that the labels select."""
        return self._binding.handle.list(self._need.kind, labels=labels)

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """Return what an index holds under a value."""
        return self._binding.handle.by_index(self._need.kind, name, value)

    # -- who hears of it -----------------------------------------------------------------------------------------

    def add_handler(self, handler: EventHandler) -> Callable[[], None]:
        """Call `handler` for what is there and what changes. Returns the way to end it (idempotent)."""
        return self._handlers.add(handler)

    def __repr__(self) -> str:
        state = "synced" if self.synced else f"denied: {self.denied}" if self.denied else "syncing"
        return f"<InformerHandle {self.resource} in {self.namespace or 'the cluster'} {state}>"


async def _synced_or_closed(informer: Informer) -> None:
    try:
        await informer.wait_synced()
    except ScopedCacheError:
        await asyncio.sleep(0)  # closed meanwhile: there may be another one


class _Handlers:
    """The handlers of a handle, added to whatever informer there is; `on_change` is told when that changes."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.informer: Informer | None = None
        self._handlers: dict[object, tuple[EventHandler, Callable[[], None] | None]] = {}
        self._settled = asyncio.Event()  # there is an informer, or none will come any more

    def add(self, handler: EventHandler) -> Callable[[], None]:
        """Add a handler; returns the way to end it (idempotent)."""
        token = object()
        self._handlers[token] = handler, None
        if self.informer is not None:
            self._attach(token, handler, self.informer)

        def remove() -> None:
            _, detach = self._handlers.pop(token, (handler, None))
            if detach is not None:
                detach()

        return remove

    async def wait_informer(self) -> None:
        """Wait until there is an informer, or none will come any more."""
        await self._settled.wait()

    def take_informer(self, informer: Informer) -> None:
        self.informer = informer
        self._settled.set()
        self._on_change()
        for token, (handler, _) in list(self._handlers.items()):
            self._attach(token, handler, informer)

    def lose_informer(self) -> None:
        self.informer = None
        self._settled.clear()
        self._on_change()
        for token, (handler, detach) in list(self._handlers.items()):
            if detach is not None:
                detach()
                self._handlers[token] = handler, None

    def note_obstacle(self) -> None:
        self._on_change()

    def end(self) -> None:
        self._settled.set()

    def _attach(self, token: object, handler: EventHandler, informer: Informer) -> None:
        """Add a handler to the informer; it is called for what is there, and may end itself or others in that."""
        if token in self._handlers:
            detach = informer.add_handler(handler)
            if token in self._handlers:
                self._handlers[token] = handler, detach
            else:
                detach()
