"""Deletions that nobody saw: what was held when a place went dark, compared with the next complete list.

Losing sight of an object is not its deletion, so a purge keeps who was there, and nothing else of it. Who is missing at
the next list was deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ..objects import Entry, Metadata
from .delta import Key

# (namespace, name) → UID of what was purged unseen.
PurgedKeys = Mapping[Key, str]


class MissedDeletes:
    """Whom an earlier store of the same place held, until a list says what became of them."""

    def __init__(self, purged_keys: PurgedKeys | None = None) -> None:
        self._purged_keys: dict[Key, str] = dict(purged_keys or {})

    def take_missing(self, listed: Mapping[Key, Entry]) -> Iterator[Entry]:
        """Yield, once each, the objects that a complete list does not show: their name, namespace and UID alone."""
        while self._purged_keys:
            key, uid = self._purged_keys.popitem()
            entry = listed.get(key)
            if entry is None or entry.metadata.uid != uid:
                metadata = Metadata(namespace=key[0], name=key[1], uid=uid)
                yield Entry(metadata, msgspec.json.encode({"metadata": metadata}))

    def take_purged(self, entries: Mapping[Key, Entry]) -> dict[Key, str]:
        """Return whom a later store has to ask about: who is held now, and who was still missing from before."""
        purged_keys = self._purged_keys | {key: entry.metadata.uid for key, entry in entries.items()}
        self._purged_keys = {}
        return purged_keys
