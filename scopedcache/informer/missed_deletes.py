"""Deletions that nobody saw: what was held when a place went dark, compared with the next complete list.

Losing sight of an object is not its deletion, so a purge keeps who was there, and nothing else of it. Who is missing at
the next list was deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ..objects import Entry, Metadata
from .backlog import OBJECTS_PER_STEP
from .delta import Key

# (namespace, name) → UID of what was purged unseen.
PurgedKeys = Mapping[Key, str]


class PurgedObjects(PurgedKeys):
    """Whom a store held when it was purged: (namespace, name) → UID. The objects themselves go, a step at a time."""

    def __init__(self, entries: dict[Key, Entry], keys: dict[Key, str]) -> None:
        self._entries = entries
        self._keys = keys

    def bury(self) -> Iterator[None]:
        """Let go of the objects; while that is not done, they can be read by nobody."""
        number = 0
        while self._entries:
            key, entry = self._entries.popitem()
            self._keys[key] = entry.metadata.uid
            number += 1
            if number % OBJECTS_PER_STEP == 0:
                yield

    def take(self) -> dict[Key, str]:
        """Return them all, with what is not buried yet."""
        for _ in self.bury():
            pass
        return self._keys

    def __getitem__(self, key: Key) -> str:
        entry = self._entries.get(key)
        return self._keys[key] if entry is None else entry.metadata.uid

    def __iter__(self) -> Iterator[Key]:
        return iter([*self._keys, *self._entries])

    def __len__(self) -> int:
        return len(self._entries) + len(self._keys)


class MissedDeletes:
    """Whom an earlier store of the same place held, until a list says what became of them."""

    def __init__(self, purged_keys: PurgedKeys | None = None) -> None:
        keys = purged_keys.take() if isinstance(purged_keys, PurgedObjects) else purged_keys
        self._purged_keys: dict[Key, str] = dict(keys or {})

    def take_missing(self, listed: Mapping[Key, Entry]) -> Iterator[Entry | None]:
        """Yield, once each, the objects that a complete list does not show: their name, namespace and UID alone.

        Where it shows them, None now and then, for the caller to pause.
        """
        number = 0
        while self._purged_keys:
            key, uid = self._purged_keys.popitem()
            entry = listed.get(key)
            if entry is None or entry.metadata.uid != uid:
                yield _identity(key, uid)
            number += 1
            if number % OBJECTS_PER_STEP == 0:
                yield None

    def __iter__(self) -> Iterator[tuple[Key, str]]:
        return iter(self._purged_keys.items())

    def forget(self, key: Key) -> Entry | None:
        """Ask no more what became of an object; return its name, namespace and UID. None where it is not known."""
        uid = self._purged_keys.pop(key, None)
        return None if uid is None else _identity(key, uid)

    def take_purged(self, entries: dict[Key, Entry]) -> PurgedObjects:
        """Return whom a later store has to ask about: who is held now, and who was still missing from before."""
        purged_keys, self._purged_keys = self._purged_keys, {}
        return PurgedObjects(entries, purged_keys)


def _identity(key: Key, uid: str) -> Entry:
    metadata = Metadata(namespace=key[0], name=key[1], uid=uid)
    return Entry(metadata, msgspec.json.encode({"metadata": metadata}))
