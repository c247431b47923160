"""What was heard last on a watch: by it a server is known again whose history is another one now.

An etcd that was restored takes versions up again from where its backup stood. Once it has written its way past the
version that a watch had come to, that watch goes on as if nothing had happened, and what was undone is never told. But
no history holds the same event at the same version: an object that was heard of last stood at its version then, or was
gone if it was its deletion that was heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from ..api.watch.event_decoder import WatchEvent
from ..objects import Metadata


class LastEvent(msgspec.Struct, frozen=True):
    """One event; a Struct, for one is made for every burst."""

    metadata: Metadata
    deleted: bool

    @classmethod
    def of(cls, events: Sequence[WatchEvent]) -> Self | None:
        """Return the last of some events; None where none is about an object that could be read."""
        for type_, entry in reversed(events):
            if type_ in ("ADDED", "MODIFIED", "DELETED"):
                return cls(entry.metadata, type_ == "DELETED")
        return None

    def agrees_with(self, found: Sequence[Metadata]) -> bool:
        """Tell whether it is of the history in which these are the objects of its name at the end of it."""
        if self.deleted:
            return not found
        return [one.resource_version for one in found] == [self.metadata.resource_version]
