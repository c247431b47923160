"""The objects of one informer: what is held, and what an event or a list changes.

Plain and synchronous. The store never goes back in time: an event that is not newer than what is held is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from ..objects import Entry, Metadata, is_newer
from .delta import Delta, Key
from .missed_deletes import MissedDeletes, PurgedKeys, PurgedObjects
from .own_writes import OwnWrites

# Objects of a list that are compared between two steps, where nothing changes.
COMPARED_PER_STEP: Final = 256

_set = msgspec.structs.force_setattr


class Store:
    """Key → entry. `purged_keys` is what an earlier store of the same place was purged of.

    Attributes:
        has_list: a complete list was taken over. Before that only our own writes are held, and one more may be deleted
            that the list is going to show.
    """

    def __init__(self, purged_keys: PurgedKeys | None = None) -> None:
        self.has_list = False
        self.entries: dict[Key, Entry] = {}
        self.own_writes = OwnWrites()
        self._gone = self.own_writes.gone
        self._missed_deletes = MissedDeletes(purged_keys)

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: Key) -> Entry | None:
        return self.entries.get(key)

    def put(self, entry: Entry) -> Delta | None:
        """Take an ADDED or MODIFIED entry; None where it changes nothing (older, or known as deleted)."""
        metadata = entry.metadata
        if self._gone and metadata.uid in self._gone and self.own_writes.is_late(entry):
            return None
        key = (metadata.namespace, metadata.name)
        old = self.entries.get(key)
        # The same version changes nothing, an older one never does. Resource versions of one kind compare across
        # objects too, a recreated object's included (KEP-5504); where they are opaque, all there is is their order.
        if old is not None:
            before = old.metadata
            if is_newer(metadata.resource_version, before.resource_version) is False:
                return None
            if metadata.labels is not before.labels or metadata.owner_references is not before.owner_references:
                _share(before, metadata)
        self.entries[key] = entry
        return Delta(old, entry)

    def remove(self, entry: Entry) -> Delta | None:
        """Take a DELETED entry; None where the object is not held, or a newer one of the same name is."""
        metadata = entry.metadata
        if self._gone:
            self._gone.pop(metadata.uid, None)
        key = (metadata.namespace, metadata.name)
        old = self.entries.get(key)
        if old is None or old.metadata.uid != metadata.uid:
            return None
        del self.entries[key]
        return Delta(old, None, entry)

    def put_own(self, entry: Entry, seen: str) -> Delta | None:
        """Take the answer to our own write; `seen` is the version that the events have come to."""
        if self.own_writes.is_outdated(entry, seen):
            return None
        delta = self.put(entry)
        if delta is not None:
            metadata = entry.metadata
            self.own_writes.remember((metadata.namespace, metadata.name), metadata.resource_version, seen)
        return delta

    def remove_own(self, key: Key, uid: str) -> Delta | None:
        """Remove what our own DELETE removed, and take no late event about it until its own DELETED or a relist."""
        return self._lose_own(key, uid, "")

    def leave_own(self, entry: Entry, seen: str) -> Delta | None:
        """Remove what left the selection by our own write; `seen` is the version that the events have come to."""
        if self.own_writes.is_outdated(entry, seen):
            return None
        metadata = entry.metadata
        return self._lose_own((metadata.namespace, metadata.name), metadata.uid, metadata.resource_version)

    def _lose_own(self, key: Key, uid: str, version: str) -> Delta | None:
        old = self.entries.get(key)
        if old is not None and old.metadata.uid != uid:
            return None
        if old is not None and version and is_newer(old.metadata.resource_version, version):
            return None  # it is back already
        if old is None and self.has_list:
            return None  # its DELETED was there before the answer
        self._gone[uid] = version
        if old is None:
            return None
        del self.entries[key]
        return Delta(old, None)

    def replace(self, snapshot: Mapping[Key, Entry], version: str, seen: str = "") -> Iterator[Delta | None]:
        """Bring the store to a complete list taken at `version`; apply each change as its delta is taken.

        Always a diff: what is unchanged yields None now and then, for the caller to pause; what vanished yields a
        removal of unknown final state. The list is right even where it is older than what is held: the server went back
        in time then (etcd was restored). Only what our own writes changed after `version` stays as they left it. `seen`
        is the version before the list.
        """
        self.own_writes.begin_list(snapshot, version, seen)
        self.has_list = True
        try:
            yield from self._remove_unlisted(snapshot, version)
            for entry in self._missed_deletes.take_missing(snapshot):
                yield None if entry is None else Delta(entry, None, final_state_unknown=True)
            yield from self._put_listed(snapshot, version)
        finally:
            self.own_writes.end_list()

    def _remove_unlisted(self, snapshot: Mapping[Key, Entry], version: str) -> Iterator[Delta | None]:
        for number, key in enumerate(list(self.entries), 1):
            if number % COMPARED_PER_STEP == 0:
                yield None
            held = self.entries.get(key) if key not in snapshot else None
            if held is not None and not self.own_writes.written_after(key, held, version):
                del self.entries[key]
                yield Delta(held, None, final_state_unknown=True)

    def _put_listed(self, snapshot: Mapping[Key, Entry], version: str) -> Iterator[Delta | None]:
        for number, (key, entry) in enumerate(snapshot.items(), 1):
            if number % COMPARED_PER_STEP == 0:
                yield None
            old = self.entries.get(key)
            if old is not None and old.metadata.resource_version == entry.metadata.resource_version:
                continue
            if entry.metadata.uid in self._gone and self.own_writes.is_late(entry):
                continue
            if old is not None and self.own_writes.written_after(key, old, version):
                continue
            self.entries[key] = entry
            yield Delta(old, entry)

    def drop(self, entry: Entry) -> bool:
        """Forget an entry that is still held as it is here; tell whether it was."""
        key = (entry.metadata.namespace, entry.metadata.name)
        if self.entries.get(key) is not entry:
            return False
        del self.entries[key]
        return True

    def uids(self) -> Iterator[tuple[Key, str]]:
        """Return key and UID of whom an earlier store held and nothing is known since, and of whom it holds."""
        yield from self._missed_deletes
        for key, entry in self.entries.items():
            yield key, entry.metadata.uid

    def forget_purged(self, key: Key) -> Entry | None:
        """Ask no more what became of an object that an earlier store held; return what was kept of it."""
        return self._missed_deletes.forget(key)

    def revert(self, delta: Delta) -> None:
        """Undo a change that could not be passed on: the next list brings it again."""
        subject = delta.new or delta.old
        assert subject is not None
        key = (subject.metadata.namespace, subject.metadata.name)
        if delta.old is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = delta.old

    def purge(self) -> PurgedObjects:
        """Forget every object; return what was held, and what was still missing from before."""
        entries, self.entries = self.entries, {}
        self.own_writes.clear()
        return self._missed_deletes.take_purged(entries)


def _share(before: Metadata, after: Metadata) -> None:
    """Let a record have the labels and owner references of the one before it where they are equal.

    The decoder shares what it remembers, which is less than what ten thousand owners have. What is the same one needs
    no second look: not by indexes, not by routes.
    """
    if after.labels == before.labels:
        _set(after, "labels", before.labels)
    if after.owner_references == before.owner_references:
        _set(after, "owner_references", before.owner_references)
