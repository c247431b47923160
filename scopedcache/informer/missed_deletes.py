"""Deletions that nobody saw: what was held when a place went dark, compared with the next complete list.

Losing sight of an object is not its deletion, so a purge keeps who was there, and nothing else of it. Who is missing at
the next list was deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from ..objects import Entry, Metadata
from .delta import Key

# Objects looked at before a step is made, where nothing else makes one.
OBJECTS_PER_STEP: Final = 64


class PurgedKeys(Mapping[Key, str]):
    """(namespace, name) → UID of what was purged unseen.

    To tear down a hundred thousand objects takes longer than the loop may be held, so they are taken over in one
    piece, and `release` brings them down to their UIDs step by step.
    """

    __slots__ = ("_entries", "_uids")

    def __init__(self, uids: dict[Key, str] | None = None, entries: dict[Key, Entry] | None = None) -> None:
        self._uids = {} if uids is None else uids
        self._entries = {} if entries is None else entries

    def __getitem__(self, key: Key) -> str:
        entry = self._entries.get(key)
        return self._uids[key] if entry is None else entry.metadata.uid

    def __iter__(self) -> Iterator[Key]:
        yield from self._entries
        for key in self._uids:
            if key not in self._entries:
                yield key

    def __len__(self) -> int:
        return len(self._entries) + sum(key not in self._entries for key in self._uids)

    def __bool__(self) -> bool:
        return bool(self._entries or self._uids)

    def joined(self, entries: dict[Key, Entry]) -> PurgedKeys:
        """Return these together with what is held now; both are taken over."""
        return PurgedKeys(self._uids, self._entries | entries if self._entries else entries)

    def release(self) -> Iterator[None]:
        """Let go of the objects, one with each step; their UIDs stay."""
        while self._entries:
            key, entry = self._entries.popitem()
            self._uids[key] = entry.metadata.uid
            yield

    def take(self) -> Iterator[tuple[Key, str]]:
        """Take them all out, one by one."""
        while self._entries:
            key, entry = self._entries.popitem()
            self._uids.pop(key, None)
            yield key, entry.metadata.uid
        while self._uids:
            yield self._uids.popitem()


class MissedDeletes:
    """Whom an earlier store of the same place held, until a list says what became of them."""

    def __init__(self, purged_keys: Mapping[Key, str] | None = None) -> None:
        self._purged_keys = purged_keys if isinstance(purged_keys, PurgedKeys) else PurgedKeys(dict(purged_keys or {}))

    def take_missing(self, listed: Mapping[Key, Entry]) -> Iterator[Entry | None]:
        """Yield, once each, the objects that a complete list does not show: their name, namespace and UID alone.

        None now and then where there are none, so that the caller may pause.
        """
        for number, (key, uid) in enumerate(self._purged_keys.take(), 1):
            entry = listed.get(key)
            if entry is None or entry.metadata.uid != uid:
                metadata = Metadata(namespace=key[0], name=key[1], uid=uid)
                yield Entry(metadata, msgspec.json.encode({"metadata": metadata}))
            elif number % OBJECTS_PER_STEP == 0:
                yield None

    def take_purged(self, entries: dict[Key, Entry]) -> PurgedKeys:
        """Return whom a later store has to ask about: who is held now, and who was still missing from before.

        What is held is taken over, not copied.
        """
        before, self._purged_keys = self._purged_keys, PurgedKeys()
        return before.joined(entries)
