"""What an informer holds: a store, its indexes, its routes and its handlers, changed together and read from memory.

Plain and synchronous. A change goes through store, indexes, routes and handlers in one call, so that a reader never
sees half of it. Whether reads are answered is the informer's to say: `allow_reads`, `refuse_reads`, `close`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from ..api.codec import Transform
from ..api.unreadable_objects import UnreadableObjects
from ..errors import NotSyncedError, where
from ..kinds import Resource
from ..objects import Entry, Metadata, Object
from ..selectors import Labels, LabelSelector
from .delta import Delta, Key
from .indexer import Indexer, IndexFunc
from .kept_form import KeptForm
from .late_handler import ChangeHandler, LateHandler
from .missed_deletes import PurgedKeys
from .owner_router import OwnerRouter
from .ownership_chain import Owner, OwnershipChain
from .store import Store

Objects = list[Object]
Keys = list[tuple[str, str]]


# Takes work that goes through everything that is held, and takes its steps; at once, or some of them later.
RunSteps = Callable[[str, Iterator[None]], None]


def run_at_once(name: str, steps: Iterator[None]) -> None:
    """Take all steps now."""
    for _ in steps:
        pass


class IndexedStore:
    """The objects of one kind in one place, and who is told of changes.

    Attributes:
        closed: whether it was closed; whoever feeds it looks after each change, for a handler may have done it.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        namespace: str | None,
        metadata_only: bool = False,
        transform: Transform | None = None,
        chain: OwnershipChain | None = None,
        purged_keys: PurgedKeys | None = None,
        unreadable: UnreadableObjects | None = None,
        run: RunSteps = run_at_once,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.partial = metadata_only or transform is not None
        self.router = OwnerRouter(resource.gvk, chain)
        self._unreadable = unreadable or UnreadableObjects()
        self._form: KeptForm | None = None
        if self.partial:
            self._form = KeptForm(
                resource, metadata_only=metadata_only, transform=transform, unreadable=self._unreadable
            )
        self._run = run
        self._store = Store(purged_keys)
        self._indexer = Indexer(resource.gvk)
        self._indexes_torn = False  # a change stopped half way through them
        self._handlers: list[ChangeHandler] = []
        self._readable = False
        self._refusal: Exception | None = None  # why reads are refused, where it is not that there was no list yet
        self.closed = False

    def __len__(self) -> int:
        return len(self._store)

    # -- reads: memory only --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise unless reads may be answered."""
        if self._readable:
            return
        if self._refusal is not None:
            # Raised again and again: without this, each time would add to its traceback, which keeps frames alive.
            raise self._refusal.with_traceback(None)
        raise NotSyncedError(f"{self.resource} {where(self.namespace)}: the first list is not complete yet")

    def check_open(self) -> None:
        """Raise what it was closed for."""
        if self.closed:
            self.check()

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
            keys.update(dict.fromkeys(key for key, entry in entries.items() if owner in self.router.owners_of(entry)))
        return self._objects(entries[key] for key in keys)

    def by_index(self, name: str, value: str) -> Objects:
        """Return what a user's index holds under a value.

        Raises:
            NoSuchIndexError: it was not added.
        """
        self.check()
        return self._objects(self._entries(self._indexer.by_function(name, value)))

    def add_index(self, name: str, function: IndexFunc) -> None:
        """Add an index, at any time. Over many objects it is made in the background."""
        self._run(f"index {name}", self._indexer.add_function(name, function, self._store.entries))

    def _candidates(self, namespace: str | None, selector: LabelSelector, owner: str | None) -> Iterable[Entry]:
        """Return entries among which all are that are asked for.

        Where there is no index yet, one is made; over many objects that is done in the background, and everything is
        searched meanwhile: a list neither waits nor fails for it.
        """
        entries, indexer = self._store.entries, self._indexer
        if owner is not None:
            return self._entries(indexer.by_owner(owner))
        keys = None
        if selector:
            keys = indexer.candidates(selector)
            if keys is None and selector.pairs:
                self._run("index of labels", indexer.build_labels(selector, entries))
                keys = indexer.candidates(selector)
        if keys is None and namespace and namespace != self.namespace:
            keys = indexer.by_namespace(namespace)
            if keys is None:
                self._run("index of namespaces", indexer.build_namespaces(entries))
                keys = indexer.by_namespace(namespace)
        return entries.values() if keys is None else self._entries(keys)

    def _entries(self, keys: Iterable[tuple[str, str]]) -> Iterable[Entry]:
        entries = self._store.entries
        return (entries[key] for key in keys)

    def _objects(self, entries: Iterable[Entry]) -> Objects:
        gvk, partial = self.resource.gvk, self.partial
        return [Object(entry.metadata, entry.raw, gvk, partial=partial) for entry in entries]

    # -- whether reads are answered ------------------------------------------------------------------------------

    def allow_reads(self) -> None:
        """Answer reads from here on."""
        self._readable, self._refusal = True, None

    def refuse_reads(self, error: Exception) -> None:
        """Let every read raise `error`, until they are allowed again."""
        self._readable, self._refusal = False, error

    def close(self, error: Exception) -> PurgedKeys:
        """End it: no handler is called from here on, nothing is held, reads raise `error`.

        Returns what was held, by key and UID; it is `release` that lets go of it.
        """
        self.closed = True
        self.refuse_reads(error)
        for handler in self._handlers:
            handler.close()
        self._handlers = []
        return self._store.purge()

    def release(self, purged_keys: PurgedKeys) -> Iterator[None]:
        """Let go of everything that was held when it was closed, in steps."""
        yield from purged_keys.release()
        yield from self._indexer.release()

    # -- who hears of it -----------------------------------------------------------------------------------------

    def add_handler(self, handler: ChangeHandler) -> None:
        """Call `handler` for what is held now and every change after that.

        Where much is held, the handler is told of it in the background; of each object before any change of it.
        """
        if not self._store.entries:
            # A new list each time: whoever is being told of a change right now goes through the old one to its end.
            self._handlers = [*self._handlers, handler]
            return
        late = LateHandler(handler, self._store.entries)
        self._handlers = [*self._handlers, late]
        self._run("late handler", self._introduce(late))

    def _introduce(self, late: LateHandler) -> Iterator[None]:
        yield from late.tell()
        self._handlers = [late.handler if other is late else other for other in self._handlers]

    def remove_handler(self, handler: ChangeHandler) -> None:
        """Call a handler no more; safe to call twice."""
        gone = [other for other in self._handlers if handler in (other, getattr(other, "handler", None))]
        self._handlers = [other for other in self._handlers if other not in gone]
        for other in gone:
            other.close()

    @property
    def handlers(self) -> int:
        return len(self._handlers)

    # -- changes -------------------------------------------------------------------------------------------------

    def kept(self, entry: Entry) -> Entry:
        """Return an entry in the form in which it is kept: cut to its metadata, or changed by the user's transform."""
        return entry if self._form is None else self._form.of(entry)

    def passed_by(self, identity: Metadata | None, why: str) -> Entry | None:
        """Take note of an object that cannot be read; return what is held of it, which stays as it is."""
        self._unreadable.name(self.resource, identity, why)
        return None if identity is None else self._store.entries.get((identity.namespace, identity.name))

    def put(self, entry: Entry) -> None:
        """Take an ADDED or MODIFIED entry."""
        if self._form is not None:
            entry = self._form.of(entry)
        delta = self._store.put(entry)
        if delta is not None:
            self._pass_on(delta, False)

    def remove(self, entry: Entry) -> None:
        """Take a DELETED entry."""
        if self._form is not None:
            entry = self._form.of(entry)
        delta = self._store.remove(entry)
        if delta is not None:
            self._pass_on(delta, False)

    def put_own(self, entry: Entry, seen: str) -> None:
        """Take the answer to our own write; `seen` is the version that the events have come to."""
        delta = self._store.put_own(entry, seen)
        if delta is not None:
            self._pass_on(delta, False)

    def remove_own(self, key: Key, uid: str) -> None:
        """Take note that our own DELETE removed an object."""
        delta = self._store.remove_own(key, uid)
        if delta is not None:
            self._pass_on(delta, False)

    def replace(self, snapshot: dict[Key, Entry], version: str, seen: str) -> Iterator[None]:
        """Bring it to a complete list taken at `version`, one change at most with each step: the caller may pause.

        `seen` is the version before the list. Reads are the caller's to allow afterwards.
        """
        initial = not self._readable
        yield from self._mend_indexes()
        for delta in self._store.replace(snapshot, version, seen):
            if delta is not None:
                self._pass_on(delta, initial)
            yield
        yield from self._mend_indexes()

    def _pass_on(self, delta: Delta, initial: bool) -> None:
        if self.closed:
            return
        try:
            self._indexer.update(delta)
            self.router.route(delta, initial)
        except Exception:
            self._store.revert(delta)  # so that the list which heals it brings this change again
            self._indexes_torn = True
            with suppress(Exception):
                self._indexer.update(Delta(delta.new, delta.old))
            raise
        for handler in self._handlers:
            handler.handle(delta, initial)

    def _mend_indexes(self) -> Iterator[None]:
        if self._indexes_torn:
            self._indexes_torn = False
            yield from self._indexer.rebuild(self._store.entries)
