"""What an informer holds: a store, its indexes, its routes and its handlers, changed together and read from memory.

Plain and synchronous. A change goes through store, indexes, routes and handlers between two awaits of whoever applies
it, so that a reader never sees half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from ..api.client import Labels
from ..errors import NotSyncedError, where
from ..kinds import Resource
from ..objects import Entry, Object
from ..selectors import LabelSelector
from .event_handlers import EventHandler, Registered, registered
from .indexer import Indexer, IndexFunc
from .missed_deletes import PurgedKeys
from .owner_router import OwnerRouter
from .ownership_chain import Owner, OwnershipChain
from .store import Delta, Store

Objects = list[Object]
Keys = list[tuple[str, str]]


class IndexedStore:
    """The objects of one kind in one place, and who is told of changes."""

    def __init__(
        self,
        resource: Resource,
        *,
        namespace: str | None,
        partial: bool,
        chain: OwnershipChain | None,
        purged_keys: PurgedKeys | None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.router = OwnerRouter(resource.gvk, chain)
        self.partial = partial
        self._store = Store(purged_keys)
        self._indexer = Indexer(resource.gvk)
        self._handlers: list[Registered] = []
        self._readable = False
        self._closed: Exception | None = None
        self._fault: Exception | None = None  # our own side failed: reads raise it until the next complete list

    def __len__(self) -> int:
        return len(self._store)

    # -- reads: memory only --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise unless reads may be answered."""
        if self._readable:
            return
        self._check_open()
        if self._fault is not None:
            raise self._fault.with_traceback(None)
        raise NotSyncedError(f"{self.resource} {where(self.namespace)}: the first list is not complete yet")

    def _check_open(self) -> None:
        if self._closed is not None:
            # Raised again and again: without this, each time would add to its traceback, which keeps frames alive.
            raise self._closed.with_traceback(None)

    def get(self, key: tuple[str, str]) -> Object | None:
        """Return a private Object, None where it is not there. Never waits.

        Raises:
            CacheError: nothing can be said (not synced, closed, denied).
        """
        if not self._readable:
            self.check()
        entry = self._store.entries.get(key)
        if entry is None:
            return None
        return Object(entry.metadata, entry.raw, self.resource.gvk, partial=self.partial)

    def list_keys(self) -> Keys:
        """Return the keys of all objects. Never waits."""
        self.check()
        return list(self._store.entries)

    def list(self, *, namespace: str | None = None, labels: Labels = None, owner: str | None = None) -> Objects:
        """Return private Objects in no particular order: of a namespace, by labels, by an owner's UID. Never waits."""
        self.check()
        selector = LabelSelector.parse(labels)
        entries = self._candidates(namespace, selector, owner)
        if selector:
            entries = (entry for entry in entries if selector.matches(entry.metadata.labels or {}))
        if namespace and namespace != self.namespace:
            entries = (entry for entry in entries if entry.metadata.namespace == namespace)
        return self._objects(entries)

    def owned_by(self, owner: Owner) -> Objects:
        """Return what is routed to an owner: by owner reference, chain, label or route function."""
        self.check()
        entries = self._store.entries
        keys = dict.fromkeys(self._indexer.by_owner(owner.uid))
        for uid in self.router.chained(owner):
            keys.update(dict.fromkeys(self._indexer.by_owner(uid)))
        if self.router.by_content:
            routed = (key for key, entry in entries.items() if owner in self.router.owners_of(entry))
            keys.update(dict.fromkeys(routed))
        return self._objects(entries[key] for key in keys)

    def by_index(self, name: str, value: str) -> Objects:
        """Return what a user's index holds under a value.

        Raises:
            NoSuchIndexError: it was not added.
        """
        self.check()
        return self._objects(self._entries(self._indexer.by_function(name, value)))

    def add_index(self, name: str, function: IndexFunc) -> None:
        """Add an index, at any time."""
        self._indexer.add_function(name, function, self._store.entries.values())

    def _candidates(self, namespace: str | None, selector: LabelSelector, owner: str | None) -> Iterable[Entry]:
        held = self._store.entries.values()
        if owner is not None:
            return self._entries(self._indexer.by_owner(owner))
        keys = self._indexer.candidates(selector, held) if selector else None
        if keys is None and namespace and namespace != self.namespace:
            keys = self._indexer.by_namespace(namespace, held)
        return held if keys is None else self._entries(keys)

    def _entries(self, keys: Iterable[tuple[str, str]]) -> Iterable[Entry]:
        entries = self._store.entries
        return (entries[key] for key in keys)

    def _objects(self, entries: Iterable[Entry]) -> Objects:
        gvk, partial = self.resource.gvk, self.partial
        return [Object(entry.metadata, entry.raw, gvk, partial=partial) for entry in entries]

    # -- who hears of it -----------------------------------------------------------------------------------------

    def add_handler(self, handler: EventHandler) -> Callable[[], None]:
        """Call `handler` for what is held now and every change after that. Returns the way to end it (idempotent).

        Raises:
            CacheError: it is closed.
        """
        self._check_open()
        entry = registered(handler, self.resource.gvk, partial=self.partial)
        for held in list(self._store.entries.values()):
            entry.handle(Delta(None, held), True)
        # A new list each time: whoever is being told of a change right now goes through the old one to its end.
        self._handlers = [*self._handlers, entry]

        def remove() -> None:
            if entry in self._handlers:
                self._handlers = [other for other in self._handlers if other is not entry]
                entry.close()

        return remove

    @property
    def handlers(self) -> int:
        return len(self._handlers)

    # -- changes -------------------------------------------------------------------------------------------------

    def _notify(self, delta: Delta | None, initial: bool) -> None:
        if delta is None or self._closed is not None:
            return
        try:
            self._indexer.update(delta)
            self.router.route(delta, initial)
        except Exception:
            self._store.revert(delta)  # so that the list which heals it brings this change again
            with suppress(Exception):
                self._indexer.update(Delta(delta.new, delta.old))
            raise
        for handler in self._handlers:
            handler.handle(delta, initial)
