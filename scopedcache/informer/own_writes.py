"""Our own writes and deletes, until the events have come that far: what keeps a cache from going back behind them.

The answer to a write is shown at once, before its event and perhaps before the first list. A list that was taken before
it must not undo it, and an answer that comes late must not bring back what was deleted since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..objects import Entry, is_newer
from .delta import Key

# Own writes remembered before those that events have caught up with are forgotten.
OWN_WRITES_REMEMBERED: Final = 256


class OwnWrites:
    """The versions that our own writes put into one store, and the objects that our own deletes took out of it.

    Attributes:
        gone: UIDs that our own DELETE removed, or that left the selection by our own write, and whose DELETED event is
            to come: no late event is taken about them. Each with the version it left at, "" where it was deleted.
            Always the same dict, so that the store may look into it for every event.
    """

    def __init__(self) -> None:
        self.gone: Final[dict[str, str]] = {}
        self._versions: dict[Key, str] = {}
        # The list that is being applied, and its version; the loop turns in between, so a write's answer may come.
        self._list: Mapping[Key, Entry] = {}
        self._list_version = ""

    def __len__(self) -> int:
        """Return how many writes are remembered."""
        return len(self._versions)

    def is_outdated(self, entry: Entry, seen: str) -> bool:
        """Tell whether the answer to a write is not news any more; `seen` is the version the events have come to.

        What is not newer than that was told by an event already, perhaps together with its deletion. The same holds for
        the list that is being applied, unless the object is in it.
        """
        metadata = entry.metadata
        if is_newer(metadata.resource_version, seen) is False:
            return True
        if not self._list_version or is_newer(metadata.resource_version, self._list_version) is not False:
            return False
        listed = self._list.get((metadata.namespace, metadata.name))
        return listed is None or listed.metadata.uid != metadata.uid

    def remember(self, key: Key, version: str, seen: str) -> None:
        """Take note that a write of ours put this version in."""
        if len(self._versions) >= OWN_WRITES_REMEMBERED:
            self._versions = {key: own for key, own in self._versions.items() if is_newer(own, seen) is not False}
        self._versions[key] = version

    def written_after(self, key: Key, held: Entry, version: str) -> bool:
        """Tell whether what is held is our own write, and newer than a list taken at `version`."""
        own = self._versions.get(key)
        return own is not None and own == held.metadata.resource_version and bool(is_newer(own, version))

    def begin_list(self, snapshot: Mapping[Key, Entry], version: str, seen: str) -> None:
        """A complete list taken at `version` is about to be applied; `seen` is the version before it."""
        self._list, self._list_version = snapshot, version
        if is_newer(seen, version):  # the server went back in time, and our writes with it
            self._versions.clear()
        if self.gone:  # an object that the list still shows was deleted after it, so its event is to come
            listed = {entry.metadata.uid for entry in snapshot.values()}
            for uid in [uid for uid in self.gone if uid not in listed]:
                del self.gone[uid]

    def end_list(self) -> None:
        """The list is applied, or given up."""
        self._list, self._list_version = {}, ""

    def is_late(self, entry: Entry) -> bool:
        """Tell whether what is said of an object that is gone was so before; if it is not, the object is back."""
        metadata = entry.metadata
        left_at = self.gone[metadata.uid]
        if not left_at or is_newer(metadata.resource_version, left_at) is not True:
            return True
        del self.gone[metadata.uid]
        return False

    def clear(self) -> None:
        """Forget everything."""
        self.gone.clear()
        self._versions.clear()
