"""Indexes over one store: owner UID, namespace, the label keys somebody asked for, and the user's own functions.

An index is made when it is first asked for, from what the store holds then, and kept by every change after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from ..errors import NoSuchIndexError
from ..kinds import GVK
from ..objects import Entry, Object
from ..selectors import LabelSelector
from .delta import Delta, Key

# Returns the values an object is found under: none, one or several strings.
IndexFunc = Callable[[Object], str | Iterable[str] | None]
# An index entry for more values than this is a mistake in the function (requirements D8).
MAX_INDEX_VALUES: Final = 64

_Extract = Callable[[Entry], Iterable[str]]


class _Index:
    """value → keys."""

    __slots__ = ("_extract", "_values", "same")

    def __init__(self, extract: _Extract, same: Callable[[Entry, Entry], bool] | None) -> None:
        self._extract = extract
        self.same = same
        self._values: dict[str, dict[Key, None]] = {}

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

    def clear(self) -> None:
        self._values = {}

    def __len__(self) -> int:
        return len(self._values)


class _FunctionIndex(_Index):
    """value → keys, by a user's function.

    What an object was found under is remembered, because the function may answer differently each time: it is asked
    once for each state of an object, and what it said then is what is removed later.
    """

    __slots__ = ("_values_by_key",)

    def __init__(self, extract: _Extract) -> None:
        super().__init__(extract, None)
        self._values_by_key: dict[Key, tuple[str, ...]] = {}

    def values_of(self, entry: Entry | None) -> tuple[str, ...]:
        return () if entry is None else tuple(dict.fromkeys(self._extract(entry)))

    def set(self, key: Key, values: tuple[str, ...]) -> None:
        for value in self._values_by_key.pop(key, ()):
            keys = self._values[value]
            del keys[key]
            if not keys:
                del self._values[value]
        for value in values:
            self._values.setdefault(value, {})[key] = None
        if values:
            self._values_by_key[key] = values

    def clear(self) -> None:
        super().clear()
        self._values_by_key = {}


class Indexer:
    """All indexes of one informer."""

    def __init__(self, gvk: GVK) -> None:
        self._gvk = gvk
        self._owners = _Index(_owner_uids, _same_owners)
        self._namespaces: _Index | None = None
        self._labels: dict[str, _Index] = {}
        self._functions: dict[str, _FunctionIndex] = {}
        self._all: list[_Index] = [self._owners]

    def update(self, delta: Delta) -> None:
        """Take one change of the store. What a user's function raises leaves everything as it was."""
        old, new = delta.old, delta.new
        if self._functions:
            self._update_functions(new or old, new)
        if old is not None and new is not None:
            key = (new.metadata.namespace, new.metadata.name)
            for index in self._all:
                if index.same is None or not index.same(old, new):
                    index.remove(key, old)
                    index.add(key, new)
        elif new is not None:
            key = (new.metadata.namespace, new.metadata.name)
            for index in self._all:
                index.add(key, new)
        elif old is not None:
            key = (old.metadata.namespace, old.metadata.name)
            for index in self._all:
                index.remove(key, old)

    def _update_functions(self, subject: Entry | None, new: Entry | None) -> None:
        assert subject is not None
        key = (subject.metadata.namespace, subject.metadata.name)
        new_values = [(index, index.values_of(new)) for index in self._functions.values()]
        for index, values in new_values:
            index.set(key, values)

    def rebuild(self, entries: Iterable[Entry]) -> None:
        """Make all indexes anew from what the store holds."""
        self.clear()
        for entry in entries:
            self.update(Delta(None, entry))

    def add_function(self, name: str, function: IndexFunc, entries: Iterable[Entry]) -> None:
        """Add a user's index, over what is held already and what comes."""
        if name not in self._functions:
            index = _FunctionIndex(_by(function, self._gvk, name))
            for entry in entries:
                index.set((entry.metadata.namespace, entry.metadata.name), index.values_of(entry))
            self._functions[name] = index

    def by_function(self, name: str, value: str) -> Iterable[Key]:
        """Return the keys a user's index holds under a value.

        Raises:
            NoSuchIndexError: nobody added it.
        """
        index = self._functions.get(name)
        if index is None:
            known = ", ".join(sorted(self._functions)) or "none"
            raise NoSuchIndexError(f"no index {name!r} for {self._gvk.kind}; there are: {known}")
        return index.keys(value)

    def by_owner(self, uid: str) -> Iterable[Key]:
        return self._owners.keys(uid)

    def by_namespace(self, namespace: str, entries: Iterable[Entry]) -> Iterable[Key]:
        if self._namespaces is None:
            self._namespaces = self._add(_Index(lambda e: (e.metadata.namespace,), lambda a, b: True), entries)
        return self._namespaces.keys(namespace)

    def candidates(self, selector: LabelSelector, entries: Iterable[Entry]) -> Iterable[Key] | None:
        """Return keys among which every match of the selector is, None where no index can tell."""
        if not selector.pairs:
            return None
        for label, _ in selector.pairs:
            if label not in self._labels:
                self._labels[label] = self._add(_Index(_label(label), _same_label(label)), entries)
        return min((self._labels[label].keys(value) for label, value in selector.pairs), key=_size)

    def clear(self) -> None:
        """Forget the content; the indexes stay registered."""
        for index in (*self._all, *self._functions.values()):
            index.clear()

    def sizes(self) -> dict[str, int]:
        """Return how many distinct values each of the user's indexes holds."""
        return {name: len(index) for name, index in self._functions.items()}

    def _add(self, index: _Index, entries: Iterable[Entry]) -> _Index:
        for entry in entries:
            index.add((entry.metadata.namespace, entry.metadata.name), entry)
        self._all.append(index)
        return index


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


def _same_label(label: str) -> Callable[[Entry, Entry], bool]:
    def same(a: Entry, b: Entry) -> bool:
        return (a.metadata.labels or {}).get(label) == (b.metadata.labels or {}).get(label)

    return same


def _by(function: IndexFunc, gvk: GVK, name: str) -> _Extract:
    def extract(entry: Entry) -> Iterable[str]:
        returned: Any = function(Object(entry.metadata, entry.raw, gvk))
        if returned is None:
            return ()
        values = (returned,) if isinstance(returned, str) else tuple(returned)
        if len(values) > MAX_INDEX_VALUES or not all(isinstance(value, str) for value in values):
            raise TypeError(
                f"index {name!r} returned {values!r:.80} for {gvk.kind}: at most {MAX_INDEX_VALUES} strings"
            )
        return values

    return extract
