"""The objects of one informer: what is held, what an event changes, and what is known to have been lost.

Plain and synchronous. The store never goes back in time: an event that is not newer than what is held is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from ..kinds import ObjectKey
from ..objects import Entry, Metadata, is_newer
from .missed_deletes import Key, PurgedKeys

# Own writes remembered before those that events have caught up with are forgotten.
OWN_WRITES_REMEMBERED = 256


class Delta(NamedTuple):
    """One change: `old` None is an addition, `new` None a removal.

    `final` is the state a removal was announced with. `unknown` marks a removal that nobody saw happen: `old` is then
    the last state known, perhaps metadata alone. Where the UIDs differ, the old object went and a new one came.
    """

    old: Entry | None
    new: Entry | None
    final: Entry | None = None
    unknown: bool = False


class Store:
    """Key → entry. `ghosts` is what an earlier store of the same place was purged of."""

    def __init__(self, purged_keys: PurgedKeys | None = None) -> None:
        self.entries: dict[Key, Entry] = {}
        self._purged_keys: dict[Key, str] = dict(purged_keys or {})
        self._own_deletes: set[str] = set()
        # Versions that our own writes put in, until the events have come that far.
        self._own: dict[Key, str] = {}
        # The list that is being applied, and its version; the loop turns in between, so a write's answer may come.
        self._list: Mapping[Key, Entry] = {}
        self._listed = ""

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: Key) -> Entry | None:
        return self.entries.get(key)

    def put(self, entry: Entry) -> Delta | None:
        """Take an ADDED or MODIFIED entry; None where it changes nothing (older, or known as deleted)."""
        metadata = entry.metadata
        if self._own_deletes and metadata.uid in self._own_deletes:
            return None
        key = (metadata.namespace, metadata.name)
        old = self.entries.get(key)
        if old is not None and not _supersedes(metadata, old.metadata):
            return None
        self.entries[key] = entry
        return Delta(old, entry)

    def write(self, entry: Entry, seen: str) -> Delta | None:
        """Take the answer to our own write; `seen` is the version that the events have come to.

        What is not newer than that was told by an event already, perhaps together with its deletion: None then. The
        same holds for the list that is being applied, unless the object is in it.
        """
        version = entry.metadata.resource_version
        if is_newer(version, seen) is False or self._gone_by_now(entry):
            return None
        delta = self.put(entry)
        if delta is not None:
            if len(self._own) >= OWN_WRITES_REMEMBERED:
                self._own = {key: own for key, own in self._own.items() if is_newer(own, seen) is not False}
            self._own[(entry.metadata.namespace, entry.metadata.name)] = version
        return delta

    def remove(self, entry: Entry) -> Delta | None:
        """Take a DELETED entry; None where the object is not held, or a newer one of the same name is."""
        metadata = entry.metadata
        self._own_deletes.discard(metadata.uid)
        key = (metadata.namespace, metadata.name)
        old = self.entries.get(key)
        if old is None or old.metadata.uid != metadata.uid:
            return None
        del self.entries[key]
        return Delta(old, None, entry)

    def delete_own(self, key: Key, uid: str) -> Delta | None:
        """Remove what our own DELETE removed, and take no late event about it until its own DELETED or a relist."""
        old = self.entries.get(key)
        if old is None or old.metadata.uid != uid:
            return None
        self._own_deletes.add(uid)
        del self.entries[key]
        return Delta(old, None)

    def replace(self, snapshot: Mapping[Key, Entry], version: str, seen: str = "") -> Iterator[Delta]:
        """Bring the store to a complete list taken at `version`; apply each change as its delta is taken.

        Always a diff: what is unchanged yields nothing, what vanished yields a removal of unknown final state. The
        list is right even where it is older than what is held: the server went back in time then (etcd was restored).
        Only what our own writes changed after `version` stays as they left it. `seen` is the version before the list.
        """
        self._list, self._listed = snapshot, version
        try:
            yield from self._replace(snapshot, version, seen)
        finally:
            self._list, self._listed = {}, ""

    def _replace(self, snapshot: Mapping[Key, Entry], version: str, seen: str) -> Iterator[Delta]:
        if is_newer(seen, version):
            self._own.clear()
        if self._own_deletes:  # an object that the list still shows was deleted after it, so its event is to come
            self._own_deletes &= {entry.metadata.uid for entry in snapshot.values()}
        for key in [key for key in self.entries if key not in snapshot]:
            held = self.entries.get(key)
            if held is not None and not self._written_after(key, held, version):
                del self.entries[key]
                yield Delta(held, None, unknown=True)
        while self._purged_keys:
            key, uid = self._purged_keys.popitem()
            found = snapshot.get(key)
            if found is None or found.metadata.uid != uid:
                ghost = Metadata(namespace=key[0], name=key[1], uid=uid)
                yield Delta(Entry(ghost, msgspec.json.encode({"metadata": ghost})), None, unknown=True)
        for key, entry in snapshot.items():
            old = self.entries.get(key)
            if old is not None and old.metadata.resource_version == entry.metadata.resource_version:
                continue
            if entry.metadata.uid in self._own_deletes:
                continue
            if old is not None and self._written_after(key, old, version):
                continue
            self.entries[key] = entry
            yield Delta(old, entry)

    def _written_after(self, key: Key, held: Entry, version: str) -> bool:
        own = self._own.get(key)
        return own is not None and own == held.metadata.resource_version and bool(is_newer(own, version))

    def _gone_by_now(self, entry: Entry) -> bool:
        """Tell that the list that is being applied is newer than what was written, and does not show the object."""
        metadata = entry.metadata
        if not self._listed or is_newer(metadata.resource_version, self._listed) is not False:
            return False
        listed = self._list.get((metadata.namespace, metadata.name))
        return listed is None or listed.metadata.uid != metadata.uid

    def revert(self, delta: Delta) -> None:
        """Undo a change that could not be passed on: the next list brings it again."""
        subject = delta.new or delta.old
        assert subject is not None
        key = (subject.metadata.namespace, subject.metadata.name)
        if delta.old is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = delta.old

    def purge(self) -> dict[Key, str]:
        """Forget every object; return what was held, by key and UID, and what was still missing from before."""
        purged_keys = self._purged_keys | {key: entry.metadata.uid for key, entry in self.entries.items()}
        self.entries = {}
        self._purged_keys = {}
        self._own_deletes.clear()
        self._own.clear()
        return purged_keys

    def keys(self) -> list[ObjectKey]:
        return [ObjectKey(*key) for key in self.entries]


def _supersedes(new: Metadata, old: Metadata) -> bool:
    """Tell whether `new` may replace `old`: the same version changes nothing, an older one never does."""
    # Resource versions of one kind compare across objects too, a recreated object's included (KEP-5504); where they
    # are opaque, the order of arrival is all there is.
    return is_newer(new.resource_version, old.resource_version) is not False
