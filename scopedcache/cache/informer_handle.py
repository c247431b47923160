"""An informer that somebody holds by name of its kind: it outlives denials, and its handlers with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..api.client import Labels
from ..errors import ScopeClosedError, ScopedCacheError
from ..informer import EventHandler, Informer
from ..kinds import Resource
from ..needs import Need
from ..objects import Object
from .lister import Name
from .owner import Denial
from .scope import Scope
from .scope_table import Scopes


class InformerHandle:
    """A shared informer of one kind, used with `async with`; `ScopedCache.informer` returns it.

    While the kind may not be seen, the handle waits: reads raise ForbiddenError, `denied` says why, and when the rights
    are back the same handlers hear of everything again.
    """

    def __init__(
        self, scopes: Scopes, supervise: Callable[[str, Any], Any], resource: Resource, need: Need, scope: Scope
    ) -> None:
        self.resource = resource
        self.namespace = scope.namespace
        self._scopes = scopes
        self._supervise = supervise
        self._need = need
        self._scope = scope
        self._handlers: dict[object, tuple[EventHandler, Callable[[], None] | None]] = {}
        self._bound: Informer | None = None
        self._denied = asyncio.Event()

    def begin(self) -> None:
        """Ask for the informer; it syncs in the background."""
        self._scope.on_bound = self._on_bound
        self._scopes.add(self._scope, [(self.resource, self._need)])
        self._supervise(f"informer {self.resource}", self._open())

    def end(self) -> None:
        """Give the informer back, in one synchronous step."""
        self._unbind()
        self._scopes.close(self._scope)
        self._denied.set()  # who waits for a denial hears that none will come

    async def _open(self) -> None:
        with suppress(ScopedCacheError):  # it waits; a grant opens it again
            await self._scopes.open(self._scope)
        self._note_denial()

    def _on_bound(self, informer: Informer | None) -> None:
        self._unbind()
        self._bound = informer
        self._note_denial()
        if informer is not None:
            for token, (handler, _) in list(self._handlers.items()):
                self._attach(token, handler, informer)

    def _note_denial(self) -> None:
        if self.denied is not None:
            self._denied.set()
        else:
            self._denied.clear()

    def _attach(self, token: object, handler: EventHandler, informer: Informer) -> None:
        """Add a handler to the informer; it is called for what is there, and may end itself or others in that."""
        if token in self._handlers:
            ending = informer.add_handler(handler)
            if token in self._handlers:
                self._handlers[token] = handler, ending
            else:
                ending()

    def _unbind(self) -> None:
        for token, (handler, remove) in list(self._handlers.items()):
            if remove is not None:
                remove()
                self._handlers[token] = handler, None
        self._bound = None

    # -- its state -----------------------------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """Tell whether reads are answered now."""
        return self._bound is not None and self._bound.synced

    @property
    def live(self) -> bool:
        """Tell whether a watch is open, so that changes are heard of at once."""
        return self.synced and self._bound is not None and self._bound.streaming

    @property
    def denied(self) -> Denial | None:
        """Return the right that is missing, None while nothing is known to be."""
        return self._scope.error if self._scope.state == "waiting" else None

    @property
    def age(self) -> float | None:
        """Return the seconds since the server was last heard, None while there is no informer."""
        return self._bound.age if self._bound is not None else None

    async def wait_synced(self) -> None:
        """Wait until reads are answered, through denials and grants alike.

        Raises:
            ScopeClosedError: the handle has ended.
        """
        while not self.synced:
            if self._scope.state == "closed":
                raise ScopeClosedError(f"the handle of {self.resource} has ended")
            informer = self._bound
            if informer is None:
                await self._scope.wait_bound()
                continue
            try:
                await informer.wait_synced()
            except ScopedCacheError:
                await asyncio.sleep(0)  # closed meanwhile: wait for the next one

    async def wait_denied(self) -> Denial:
        """Wait until a right is missing, and return which; at once while one is.

        Raises:
            ScopeClosedError: the handle has ended.
        """
        while True:
            await self._denied.wait()
            if self._scope.state == "closed":
                raise ScopeClosedError(f"the handle of {self.resource} has ended")
            denial = self.denied
            if denial is not None:
                return denial
            self._denied.clear()

    # -- reads ---------------------------------------------------------------------------------------------------

    def get(self, key: Name) -> Object | None:
        """Return an object, None where it is not there.

        Raises:
            ForbiddenError, CacheError: see `Lister.get`.
        """
        return self._scope.handle.get(self.resource, key)

    def list_keys(self) -> Sequence[tuple[str, str]]:
        """Return the keys of all objects, at a fraction of the cost of the objects."""
        return self._scope.handle.view_of(self.resource).informer.list_keys()

    def list(self, *, labels: Labels = None) -> Sequence[Object]:
        """Return all objects, or those that the labels select."""
        return self._scope.handle.list(self.resource, labels=labels)

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """Return what an index holds under a value."""
        return self._scope.handle.by_index(self.resource, name, value)

    # -- who hears of it -----------------------------------------------------------------------------------------

    def add_handler(self, handler: EventHandler) -> Callable[[], None]:
        """Call `handler` for what is there and what changes. Returns the way to end it (idempotent)."""
        token = object()
        self._handlers[token] = handler, None
        if self._bound is not None:
            self._attach(token, handler, self._bound)

        def remove() -> None:
            _, ending = self._handlers.pop(token, (handler, None))
            if ending is not None:
                ending()

        return remove

    def __repr__(self) -> str:
        state = "synced" if self.synced else f"denied: {self.denied}" if self.denied else "syncing"
        return f"<InformerHandle {self.resource} in {self.namespace or 'the cluster'} {state}>"
