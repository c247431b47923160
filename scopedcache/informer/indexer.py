"""Indexes over one store: owner UID, namespace, the label keys somebody asked for, and the user's own functions.

An index is made when it is first asked for, from what the store holds then, and kept by every change after that. To
make one over a hundred thousand objects takes longer than the loop may be held, so it is made in steps, which the
caller takes when it likes; changes that come in between go into it as well. Until an index of labels or namespaces is
whole, it answers nothing, and the caller searches; one of a user's function says that it is not synced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from ..containment import UserFunction
from ..errors import NoSuchIndexError, NotSyncedError
from ..kinds import GVK
from ..objects import Entry, Object
from ..selectors import LabelSelector
from .delta import Delta, Key

# Returns the values an object is found under: none, one or several strings.
IndexFunc = Callable[[Object], str | Iterable[str] | None]
# An index entry for more values than this is a mistake in the function (requirements D8).
MAX_INDEX_VALUES: Final = 64

_NO_LABELS: Final[Mapping[str, str]] = {}


class _Index:
    """value → keys. `whole`: it holds all there is, and not a part of it."""

    __slots__ = ("_values", "whole")

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self._values: dict[str, dict[Key, None]] = {}

    def add(self, value: str, key: Key) -> None:
        keys = self._values.get(value)
        if keys is None:
            self._values[value] = {key: None}
        else:
            keys[key] = None

    def remove(self, value: str, key: Key) -> None:
        keys = self._values.get(value)
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del self._values[value]

    def keys(self, value: str) -> Mapping[Key, None]:
        return self._values.get(value, {})

    def clear(self) -> None:
        self._values = {}

    def release(self) -> Iterator[None]:
        """Let go of everything, in steps."""
        values = self._values
        while values:
            _, keys = values.popitem()
            while keys:
                keys.popitem()
                yield

    def __len__(self) -> int:
        return len(self._values)


class _FunctionIndex(_Index):
    """value → keys, by a user's function.

    What an object was found under is remembered, because the function may answer differently each time: it is asked
    once for each state of an object, and what it said then is what is removed later.
    """

    __slots__ = ("_function", "_values_by_key", "unbuilt")

    def __init__(self, function: UserFunction[tuple[str, ...]]) -> None:
        super().__init__()
        self._function = function
        self._values_by_key: dict[Key, tuple[str, ...]] = {}
        self.unbuilt: dict[Key, None] = {}  # what its making has not come to yet

    def take(self, key: Key, entry: Entry | None) -> None:
        """Put an object under the values that the function names now; under none where it is gone."""
        values = () if entry is None else self._function.call(entry.metadata, entry)
        if self.unbuilt:
            self.unbuilt.pop(key, None)
        for value in self._values_by_key.pop(key, ()):
            self.remove(value, key)
        for value in values:
            self.add(value, key)
        if values:
            self._values_by_key[key] = values

    def clear(self) -> None:
        super().clear()
        self._values_by_key = {}

    def release(self) -> Iterator[None]:
        yield from super().release()
        while self._values_by_key:
            self._values_by_key.popitem()
            yield


class Indexer:
    """All indexes of one informer."""

    def __init__(self, gvk: GVK) -> None:
        self._gvk = gvk
        self._owners = _Index(whole=True)
        self._namespaces: _Index | None = None
        self._labels: dict[str, _Index] = {}
        self._functions: dict[str, _FunctionIndex] = {}

    def update(self, delta: Delta) -> None:
        """Take one change of the store."""
        old, new = delta.old, delta.new
        subject = new or old
        assert subject is not None
        key = (subject.metadata.namespace, subject.metadata.name)
        for index in self._functions.values():
            index.take(key, new)
        a, b = None if old is None else old.metadata, None if new is None else new.metadata
        mine = a.owner_references if a is not None else None
        theirs = b.owner_references if b is not None else None
        if mine is not theirs and mine != theirs:
            for reference in mine or ():
                self._owners.remove(reference.uid, key)
            for reference in theirs or ():
                self._owners.add(reference.uid, key)
        if self._namespaces is not None and (a is None or b is None):
            (self._namespaces.add if a is None else self._namespaces.remove)(key[0], key)
        if self._labels:
            self._update_labels(key, a.labels if a is not None else None, b.labels if b is not None else None)

    def _update_labels(self, key: Key, old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> None:
        """Look at the labels an object carries, and not at all that somebody asked for."""
        if old is new:
            return
        before, after, indexes = old or _NO_LABELS, new or _NO_LABELS, self._labels
        for label, value in before.items():
            if label in indexes and after.get(label) != value:
                indexes[label].remove(value, key)
        for label, value in after.items():
            if label in indexes and before.get(label) != value:
                indexes[label].add(value, key)

    def rebuild(self, entries: Mapping[Key, Entry]) -> Iterator[None]:
        """Make all indexes anew from what the store holds, one object with each step."""
        self.clear()
        for key in list(entries):
            entry = entries.get(key)
            if entry is not None:
                self.update(Delta(None, entry))
                yield

    # -- the user's functions ------------------------------------------------------------------------------------

    def add_function(self, name: str, function: IndexFunc, entries: Mapping[Key, Entry]) -> Iterator[None]:
        """Add a user's index, over what comes from here on; the steps make it over what is held."""
        if name in self._functions:
            return iter(())
        values: UserFunction[tuple[str, ...]] = UserFunction(
            _values_of(function, self._gvk, name), "index.failed", otherwise=(), kind=self._gvk.kind, named=function
        )
        index = self._functions[name] = _FunctionIndex(values)
        return self._build_function(index, entries)

    def _build_function(self, index: _FunctionIndex, entries: Mapping[Key, Entry]) -> Iterator[None]:
        index.unbuilt = dict.fromkeys(entries)
        for key in list(index.unbuilt):
            if key in index.unbuilt and (entry := entries.get(key)) is not None:
                index.take(key, entry)
                yield
        index.unbuilt, index.whole = {}, True

    def by_function(self, name: str, value: str) -> Iterable[Key]:
        """Return the keys a user's index holds under a value.

        Raises:
            NoSuchIndexError: nobody added it.
            NotSyncedError: it is still being made.
        """
        index = self._functions.get(name)
        if index is None:
            known = ", ".join(sorted(self._functions)) or "none"
            raise NoSuchIndexError(f"no index {name!r} for {self._gvk.kind}; there are: {known}")
        if not index.whole:
            raise NotSyncedError(f"the index {name!r} of {self._gvk.kind} is still being made")
        return index.keys(value)

    # -- owners, namespaces, labels ------------------------------------------------------------------------------

    def by_owner(self, uid: str) -> Iterable[Key]:
        return self._owners.keys(uid)

    def by_namespace(self, namespace: str) -> Iterable[Key] | None:
        """Return the keys of a namespace, None where there is no whole index of them."""
        index = self._namespaces
        return index.keys(namespace) if index is not None and index.whole else None

    def candidates(self, selector: LabelSelector) -> Iterable[Key] | None:
        """Return keys among which every match of the selector is, None where no index can tell."""
        found: Mapping[Key, None] | None = None
        for label, value in selector.pairs:
            index = self._labels.get(label)
            if index is not None and index.whole:
                keys = index.keys(value)
                if found is None or len(keys) < len(found):
                    found = keys
        return found

    def build_namespaces(self, entries: Mapping[Key, Entry]) -> Iterator[None]:
        """Make the index of namespaces, where there is none; one object with each step."""
        if self._namespaces is None:
            index = self._namespaces = _Index()
            for key in list(entries):
                if key in entries:
                    index.add(key[0], key)
                    yield
            index.whole = True

    def build_labels(self, selector: LabelSelector, entries: Mapping[Key, Entry]) -> Iterator[None]:
        """Make the indexes that a selector could use, where there are none; one object with each step."""
        for label, _ in selector.pairs:
            if label in self._labels:
                continue
            index = self._labels[label] = _Index()
            for key in list(entries):
                entry = entries.get(key)
                if entry is not None:
                    value = (entry.metadata.labels or _NO_LABELS).get(label)
                    if value is not None:
                        index.add(value, key)
                    yield
            index.whole = True

    # -- the end -------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget the content; the indexes stay registered."""
        for index in self._all():
            index.clear()

    def release(self) -> Iterator[None]:
        """Let go of everything, in steps; it is not used any more."""
        for index in self._all():
            yield from index.release()

    def sizes(self) -> dict[str, int]:
        """Return how many distinct values each of the user's indexes holds."""
        return {name: len(index) for name, index in self._functions.items()}

    def _all(self) -> list[_Index]:
        namespaces = [] if self._namespaces is None else [self._namespaces]
        return [self._owners, *namespaces, *self._labels.values(), *self._functions.values()]


def _values_of(function: IndexFunc, gvk: GVK, name: str) -> Callable[[Entry], tuple[str, ...]]:
    def values_of(entry: Entry) -> tuple[str, ...]:
        returned: Any = function(Object(entry.metadata, entry.raw, gvk))
        if returned is None:
            return ()
        values = (returned,) if isinstance(returned, str) else tuple(islice(returned, MAX_INDEX_VALUES + 1))
        if len(values) > MAX_INDEX_VALUES or not all(isinstance(value, str) for value in values):
            raise TypeError(
                f"index {name!r} returned {values!r:.80} for {gvk.kind}: at most {MAX_INDEX_VALUES} strings"
            )
        return values if len(values) < 2 else tuple(dict.fromkeys(values))

    return values_of
