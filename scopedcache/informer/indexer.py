"""Indexes over one store: owner UID, namespace, the label keys somebody asked for, and the user's own functions.

An index is made when it is first asked for, from what the store holds then, and kept by every change after that. Over
many objects making it is work for the backlog; until it is done the index answers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from ..containment import UserFunction
from ..errors import NoSuchIndexError, NotSyncedError
from ..kinds import GVK
from ..objects import Entry, Object
from ..selectors import LabelSelector
from .backlog import OBJECTS_PER_STEP, Backlog, free
from .delta import Delta, Key

# Returns the values an object is found under: none, one or several strings.
IndexFunc = Callable[[Object], str | Iterable[str] | None]
# An index entry for more values than this is a mistake in the function (requirements D8).
MAX_INDEX_VALUES: Final = 64

_Extract = Callable[[Entry], Iterable[str]]


class _Index:
    """value → keys. While it is made, `changed` holds the keys that are up to date because something changed them."""

    __slots__ = ("_extract", "_values", "changed", "same")

    def __init__(self, extract: _Extract, same: Callable[[Entry, Entry], bool] | None) -> None:
        self._extract = extract
        self.same = same
        self.changed: set[Key] | None = None
        self._values: dict[str, dict[Key, None]] = {}

    @property
    def complete(self) -> bool:
        """Tell whether everything held is in it."""
        return self.changed is None

    def make(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Take in what is held now, a step at a time. Nothing of it counts before all does."""
        self.changed = set()
        return self._make(entries, self.changed)

    def _make(self, entries: Sequence[Entry], changed: set[Key]) -> Iterator[None]:
        for number, entry in enumerate(entries, 1):
            key = (entry.metadata.namespace, entry.metadata.name)
            if self.changed is not changed:  # cleared meanwhile
                return
            if key not in changed:
                self.take(key, entry)
            if number % OBJECTS_PER_STEP == 0:
                yield
        self.changed = None

    def take(self, key: Key, entry: Entry | None) -> None:
        """Take in one of many."""
        if entry is not None:
            self.add(key, entry)

    def update(self, key: Key, old: Entry | None, new: Entry | None) -> None:
        """Take in a change."""
        if self.changed is not None:
            self.changed.add(key)
        elif old is not None and new is not None and self.same is not None and self.same(old, new):
            return
        if old is not None:
            self.remove(key, old)
        if new is not None:
            self.add(key, new)

    def add(self, key: Key, entry: Entry) -> None:
        for value in self._extract(entry):
            keys = self._values.get(value)
            if keys is None:
                self._values[value] = {key: None}
            else:
                keys[key] = None

    def remove(self, key: Key, entry: Entry) -> None:
        for value in self._extract(entry):
            keys = self._values.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del self._values[value]

    def keys(self, value: str) -> Iterable[Key]:
        return self._values.get(value, ())

    def clear(self) -> Iterable[Any]:
        """Forget everything; return what may take long to be freed."""
        values, self._values, self.changed = self._values, {}, None
        return (values,)

    def __len__(self) -> int:
        return len(self._values)


class _FunctionIndex(_Index):
    """value → keys, by a user's function.

    What an object was found under is remembered, because the function may answer differently each time: it is asked
    once for each state of an object, and what it said then is what is removed later.
    """

    __slots__ = ("_function", "_values_by_key")

    def __init__(self, function: UserFunction[tuple[str, ...]]) -> None:
        super().__init__(_no_values, None)
        self._function = function
        self._values_by_key: dict[Key, tuple[str, ...]] = {}

    def take(self, key: Key, entry: Entry | None) -> None:
        """Put an object under what the function names now: under nothing where it is gone, or the function fails."""
        values = () if entry is None else self._function.call(entry.metadata, entry)
        if self.changed is not None:
            self.changed.add(key)
        for value in self._values_by_key.pop(key, ()):
            keys = self._values[value]
            del keys[key]
            if not keys:
                del self._values[value]
        for value in values:
            self._values.setdefault(value, {})[key] = None
        if values:
            self._values_by_key[key] = values

    def clear(self) -> Iterable[Any]:
        values_by_key, self._values_by_key = self._values_by_key, {}
        return (*super().clear(), values_by_key)


class _LabelIndexes:
    """The label keys that somebody asked for. A change looks at the labels of its object, not at all of these."""

    def __init__(self) -> None:
        self._indexes: dict[str, _Index] = {}

    def get(self, label: str) -> _Index | None:
        return self._indexes.get(label)

    def add(self, label: str) -> _Index:
        index = self._indexes[label] = _Index(_label(label), None)
        return index

    def update(self, key: Key, old: Entry | None, new: Entry | None) -> None:
        before = (old.metadata.labels if old is not None else None) or {}
        after = (new.metadata.labels if new is not None else None) or {}
        if before == after:
            return
        indexes = self._indexes
        for label, value in before.items():
            index = indexes.get(label)
            if index is not None and (index.changed is not None or after.get(label) != value):
                index.update(key, old, new)
        for label in after:
            if label not in before and (index := indexes.get(label)) is not None:
                index.update(key, None, new)

    def __iter__(self) -> Iterator[_Index]:
        return iter(self._indexes.values())

    def __bool__(self) -> bool:
        return bool(self._indexes)


class Indexer:
    """All indexes of one informer."""

    def __init__(self, gvk: GVK, backlog: Backlog | None = None) -> None:
        self._gvk = gvk
        self._backlog = Backlog() if backlog is None else backlog
        self._owners = _Index(_owner_uids, None)
        self._namespaces: _Index | None = None
        self._labels = _LabelIndexes()
        self._functions: dict[str, _FunctionIndex] = {}

    def update(self, delta: Delta) -> None:
        """Take one change of the store."""
        old, new = delta.old, delta.new
        metadata = (new or old).metadata  # type: ignore[union-attr]  # one of them is there
        key = (metadata.namespace, metadata.name)
        if self._functions:
            for index in self._functions.values():
                index.take(key, new)
        owners = self._owners
        if (
            old is None
            or new is None
            or old.metadata.owner_references is not new.metadata.owner_references
            or owners.changed is not None
        ):
            owners.update(key, old, new)
        if self._namespaces is not None:
            self._namespaces.update(key, old, new)
        if self._labels:
            self._labels.update(key, old, new)

    def rebuild(self, entries: Iterable[Entry]) -> Iterator[None]:
        """Make all indexes anew from what the store holds, a step at a time."""
        held = list(entries)
        self.clear(len(held))
        for number, entry in enumerate(held, 1):
            self.update(Delta(None, entry))
            if number % OBJECTS_PER_STEP == 0:
                yield

    def add_function(self, name: str, function: IndexFunc, entries: Iterable[Entry]) -> None:
        """Add a user's index, over what is held already and what comes."""
        if name in self._functions:
            return
        values: UserFunction[tuple[str, ...]] = UserFunction(
            _by(function, self._gvk, name), "index.failed", otherwise=(), kind=self._gvk.kind, named=function
        )
        index = self._functions[name] = _FunctionIndex(values)
        self._make(index, list(entries))

    def by_function(self, name: str, value: str) -> Iterable[Key]:
        """Return the keys a user's index holds under a value.

        Raises:
            NoSuchIndexError: nobody added it.
            NotSyncedError: it is being made.
        """
        index = self._functions.get(name)
        if index is None:
            known = ", ".join(sorted(self._functions)) or "none"
            raise NoSuchIndexError(f"no index {name!r} for {self._gvk.kind}; there are: {known}")
        if not index.complete:
            raise NotSyncedError(f"the index {name!r} for {self._gvk.kind} is not complete yet")
        return index.keys(value)

    def by_owner(self, uid: str) -> Iterable[Key]:
        return self._owners.keys(uid)

    def by_namespace(self, namespace: str, entries: Iterable[Entry]) -> Iterable[Key] | None:
        """Return the keys of a namespace, None where no index can tell yet."""
        if self._namespaces is None:
            self._namespaces = _Index(lambda e: (e.metadata.namespace,), lambda a, b: True)
            self._make(self._namespaces, list(entries))
        return self._namespaces.keys(namespace) if self._namespaces.complete else None

    def candidates(self, selector: LabelSelector, entries: Iterable[Entry]) -> Iterable[Key] | None:
        """Return keys among which every match of the selector is, None where no index can tell, or not yet."""
        found: list[Iterable[Key]] = []
        for label, value in selector.pairs:
            index = self._labels.get(label)
            if index is None:
                index = self._labels.add(label)
                self._make(index, list(entries))
            if index.complete:
                found.append(index.keys(value))
        return min(found, key=_size, default=None)

    def clear(self, objects: int = 0) -> None:
        """Forget the content, which is about so many objects; the indexes stay registered."""
        kept = self._namespaces
        indexes = [self._owners, *([kept] if kept is not None else []), *self._labels, *self._functions.values()]
        for values in [values for index in indexes for values in index.clear()]:
            self._backlog.add(free(values), objects)

    def sizes(self) -> dict[str, int]:
        """Return how many distinct values each of the user's indexes holds."""
        return {name: len(index) for name, index in self._functions.items()}

    def _make(self, index: _Index, entries: Sequence[Entry]) -> None:
        self._backlog.add(index.make(entries), len(entries))


def _size(keys: Iterable[Key]) -> int:
    return len(keys) if isinstance(keys, dict | tuple) else 0


def _same_owners(a: Entry, b: Entry) -> bool:
    mine, theirs = a.metadata.owner_references, b.metadata.owner_references
    return mine is theirs or mine == theirs


def _owner_uids(entry: Entry) -> Iterable[str]:
    references = entry.metadata.owner_references
    return [reference.uid for reference in references] if references else ()


def _label(label: str) -> _Extract:
    def extract(entry: Entry) -> Iterable[str]:
        labels = entry.metadata.labels
        value = labels.get(label) if labels else None
        return () if value is None else (value,)

    return extract


def _no_values(entry: Entry) -> Iterable[str]:
    return ()


def _by(function: IndexFunc, gvk: GVK, name: str) -> Callable[[Entry], tuple[str, ...]]:
    def extract(entry: Entry) -> tuple[str, ...]:
        returned: Any = function(Object(entry.metadata, entry.raw, gvk))
        if returned is None:
            return ()
        values = (returned,) if isinstance(returned, str) else tuple(islice(returned, MAX_INDEX_VALUES + 1))
        if len(values) > MAX_INDEX_VALUES or not all(isinstance(value, str) for value in values):
            raise TypeError(
                f"index {name!r} returned {values!r:.80} for {gvk.kind}: at most {MAX_INDEX_VALUES} strings"
            )
        return values if len(values) < 2 else tuple(dict.fromkeys(values))

    return extract
