"""What an informer holds: a store, its indexes, its routes and its handlers, changed together and read from memory.

Plain and synchronous. A change goes through store, indexes, routes and handlers in one call, so that a reader never
sees half of it. Whether reads are answered is the informer's to say: `allow_reads`, `refuse_reads`, `close`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

from ..api.codec import Transform
from ..api.unreadable_objects import UnreadableObjects
from ..errors import NotSyncedError, where
from ..kinds import Resource
from ..objects import Entry, Metadata, Object
from ..selectors import Labels, LabelSelector
from .backlog import OBJECTS_PER_STEP, Backlog
from .delta import Delta, Key
from .indexer import Indexer, IndexFunc
from .kept_form import KeptForm
from .missed_deletes import PurgedKeys
from .owner_router import OwnerRouter
from .ownership_chain import Owner, OwnershipChain
from .store import Store

# Objects whose size is looked at to estimate that of all: a scrape must not hold the loop.
WEIGHED_OBJECTS: Final = 256

Objects = list[Object]
Keys = list[tuple[str, str]]


class ChangeHandler(Protocol):
    """Who hears of every change, directly: it raises nothing and does not wait."""

    def handle(self, delta: Delta, initial: bool) -> None: ...
    def close(self) -> None: ...


class IndexedStore:
    """The objects of one kind in one place, and who is told of changes.

    Attributes:
        backlog: what is left to do about many objects: late handlers, new indexes, what was purged.
        closed: whether it was closed; whoever feeds it looks after each change, for a handler may have done it.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        namespace: str | None,
        metadata_only: bool = False,
        transform: Transform | None = None,
        compress: bool = False,
        chain: OwnershipChain | None = None,
        purged_keys: PurgedKeys | None = None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.partial = metadata_only or transform is not None
        self.router = OwnerRouter(resource.gvk, chain)
        self._unreadable = UnreadableObjects()
        self._form: KeptForm | None = None
        if self.partial or compress:
            self._form = KeptForm(
                resource,
                metadata_only=metadata_only,
                transform=transform,
                compress=compress,
                unreadable=self._unreadable,
            )
        self._store = Store(purged_keys)
        self.backlog = Backlog()
        self._indexer = Indexer(resource.gvk, self.backlog)
        self._indexes_torn = False  # a change stopped half way through them
        self._handlers: list[ChangeHandler] = []
        self._replays: dict[ChangeHandler, set[Key]] = {}  # late handlers, and what they have heard of so far
        self._readable = False
        self._refusal: Exception | None = None  # why reads are refused, where it is not that there was no list yet
        self.closed = False

    def __len__(self) -> int:
        return len(self._store)

    @property
    def bytes(self) -> int:
        """Return about how many bytes the objects are: exact for a few, estimated from those for more."""
        few = [len(entry.raw) for entry in islice(self._store.entries.values(), WEIGHED_OBJECTS)]
        return sum(few) * len(self) // len(few) if few else 0

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
            entries = _matching(entries, selector)
        if namespace and namespace != self.namespace:
            entries = [entry for entry in entries if entry.metadata.namespace == namespace]
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

    # -- whether reads are answered ------------------------------------------------------------------------------

    def allow_reads(self) -> None:
        """Answer reads from here on."""
        self._readable, self._refusal = True, None

    def refuse_reads(self, error: Exception) -> None:
        """Let every read raise `error`, until they are allowed again."""
        self._readable, self._refusal = False, error

    def close(self, error: Exception) -> PurgedKeys:
        """End it: no handler is called from here on, nothing is held, reads raise `error`.

        Returns what was held, by key and UID.
        """
        self.closed = True
        self.refuse_reads(error)
        for handler in self._handlers:
            handler.close()
        self._handlers = []
        self._replays.clear()
        self._indexer.clear(len(self._store))
        purged = self._store.purge()
        self.backlog.add(purged.bury(), len(purged))
        return purged

    # -- who hears of it -----------------------------------------------------------------------------------------

    def add_handler(self, handler: ChangeHandler) -> None:
        """Call `handler` for what is held now and every change after that, of each object in its order.

        Where much is held, it is told of that by and by: see `backlog`.
        """
        held = list(self._store.entries)
        heard = self._replays[handler] = set[Key]()
        # A new list each time: whoever is being told of a change right now goes through the old one to its end.
        self._handlers = [*self._handlers, handler]
        self.backlog.add(self._replay(handler, held, heard), len(held))

    def _replay(self, handler: ChangeHandler, held: Keys, heard: set[Key]) -> Iterator[None]:
        """Tell a handler of what was held when it came; what changed since, it has heard of already."""
        for number, key in enumerate(held, 1):
            if self._replays.get(handler) is not heard:  # it was removed
                return
            entry = self._store.entries.get(key)
            if entry is not None and key not in heard:
                heard.add(key)
                handler.handle(Delta(None, entry), True)
            if number % OBJECTS_PER_STEP == 0:
                yield
        if self._replays.get(handler) is heard:
            del self._replays[handler]

    def remove_handler(self, handler: ChangeHandler) -> None:
        """Call a handler no more; safe to call twice."""
        if handler in self._handlers:
            self._replays.pop(handler, None)
            self._handlers = [other for other in self._handlers if other is not handler]
            handler.close()

    @property
    def handlers(self) -> int:
        return len(self._handlers)

    # -- changes -------------------------------------------------------------------------------------------------

    def kept(self, entry: Entry) -> Entry:
        """Return an entry in the form in which it is kept: cut to its metadata, transformed, compressed."""
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
        """Take the answer to our own write, whole; `seen` is the version that the events have come to."""
        delta = self._store.put_own(self.kept(entry), seen)
        if delta is not None:
            self._pass_on(delta, not self._readable)

    def leave_own(self, entry: Entry, seen: str) -> None:
        """Take note that our own write took an object out of what is asked for."""
        delta = self._store.leave_own(entry, seen)
        if delta is not None:
            self._pass_on(delta, not self._readable)

    def remove_own(self, key: Key, uid: str) -> None:
        """Take note that our own DELETE removed an object."""
        delta = self._store.remove_own(key, uid)
        if delta is not None:
            self._pass_on(delta, not self._readable)

    def replace(self, snapshot: Mapping[Key, Entry], version: str, seen: str) -> Iterator[None]:
        """Bring it to a complete list taken at `version`, one change with each step, so that the caller may pause.

        `seen` is the version before the list. Reads are the caller's to allow afterwards.
        """
        initial = not self._readable
        yield from self._mend_indexes()
        for delta in self._store.replace(snapshot, version, seen):
            if delta is not None:
                self._pass_on(delta, initial)
            yield
        yield from self._mend_indexes()

    def drop(self, belongs: Callable[[Metadata], bool]) -> Iterator[None]:
        """Let go of what does not belong here any more, a step at a time. It was not deleted: nobody is told."""
        outside = [entry for entry in self._store.entries.values() if not belongs(entry.metadata)]
        for number, entry in enumerate(outside):
            if not belongs(entry.metadata) and self._store.drop(entry):  # it may belong again since the last step
                self._indexer.update(Delta(entry, None))
            if number % OBJECTS_PER_STEP == OBJECTS_PER_STEP - 1:
                yield

    def missing(self, snapshot: Mapping[Key, Entry]) -> dict[Key, str]:
        """Return key and UID of what is held, or was when the place went dark, and is not in a list."""
        return {key: uid for key, uid in self._store.uids() if key not in snapshot}

    def let_go(self, key: Key) -> Entry | None:
        """Forget an object that was not deleted, and tell nobody; return it, with its identity alone if it was purged.

        None where it is not known.
        """
        entry = self._store.entries.get(key)
        if entry is not None and self._store.drop(entry):
            self._indexer.update(Delta(entry, None))
        return self._store.forget_purged(key) or entry

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
            if self._replays and (heard := self._replays.get(handler)) is not None:
                self._tell_late(handler, heard, delta, initial)
            else:
                handler.handle(delta, initial)

    def _tell_late(self, handler: ChangeHandler, heard: set[Key], delta: Delta, initial: bool) -> None:
        """Tell a handler of a change of what it may not have heard of yet."""
        subject = delta.new or delta.old
        assert subject is not None
        key = (subject.metadata.namespace, subject.metadata.name)
        if key in heard:
            handler.handle(delta, initial)
            return
        heard.add(key)
        if delta.new is not None:  # it hears of it for the first time
            handler.handle(Delta(None, delta.new), initial)

    def _mend_indexes(self) -> Iterator[None]:
        if self._indexes_torn:
            self._indexes_torn = False
            yield from self._indexer.rebuild(self._store.entries.values())


def _matching(entries: Iterable[Entry], selector: LabelSelector) -> Iterable[Entry]:
    """Return the entries that a selector matches; one exact value leaves little to look at more closely."""
    if selector.pairs:
        label, value = selector.pairs[0]
        entries = [entry for entry in entries if (labels := entry.metadata.labels) and labels.get(label) == value]
        if len(selector.requirements) == 1:
            return entries
    return [entry for entry in entries if selector.matches(entry.metadata.labels or {})]
