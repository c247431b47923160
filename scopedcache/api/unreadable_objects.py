"""Objects that nobody can read: left out, so that they cost nobody else anything, and named once each."""

from __future__ import annotations

from typing import Final

from ..event_logger import event_logger
from ..kinds import Resource
from ..objects import Metadata

logger: Final = event_logger("scopedcache.api")

# Objects remembered as named; beyond that it starts anew.
NAMED_OBJECTS: Final = 1024


class UnreadableObjects:
    """Remembers which objects were named."""

    def __init__(self) -> None:
        self._named: set[tuple[Resource, str, str, str]] = set()

    def name(self, resource: Resource, identity: Metadata | None, why: str) -> None:
        """Log an object once, with what is known of it."""
        known = identity or Metadata()
        key = (resource, known.namespace, known.name, known.uid)
        if key in self._named:
            return
        if len(self._named) >= NAMED_OBJECTS:
            self._named.clear()
        self._named.add(key)
        extra = {
            "kind": resource.gvk.kind,
            "namespace": known.namespace or None,
            "object": known.name or None,
            "error": why[:200],
        }
        logger.warning("object.unreadable", extra=extra)
