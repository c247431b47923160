"""The blocking twin of an informer that somebody holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import cache
from ..cache.lister import Name
from ..cache.owner import Obstacle
from ..informer import EventHandler
from ..kinds import Resource
from ..objects import Object
from ..selectors import Labels
from .portal import Portal


class InformerHandle:
    """`scopedcache.InformerHandle` for threads; `ScopedCache.informer` returns it, used with `with`."""

    def __init__(self, handle: cache.InformerHandle, portal: Portal) -> None:
        self._handle = handle
        self._portal = portal

    @property
    def resource(self) -> Resource:
        """Return what it watches."""
        return self._handle.resource

    @property
    def namespace(self) -> str | None:
        """Return where it looks; None for everywhere."""
        return self._handle.namespace

    @property
    def synced(self) -> bool:
        """Tell whether reads are answered now."""
        return self._portal.call(lambda: self._handle.synced)

    @property
    def denied(self) -> Obstacle | None:
        """Return the right that is missing, None while nothing is known to be."""
        return self._portal.call(lambda: self._handle.denied)

    @property
    def age(self) -> float | None:
        """Return the seconds since the server was last heard, None while there is no informer."""
        return self._portal.call(lambda: self._handle.age)

    def wait_synced(self) -> None:
        """Wait until reads are answered, through denials and grants alike."""
        self._portal.run(self._handle.wait_synced)

    def get(self, key: Name) -> Object | None:
        """Return an object, None where it is not there."""
        return self._portal.call(lambda: self._handle.get(key))

    def list(self, *, labels: Labels = None) -> Sequence[Object]:
        """Return all objects, or those that the labels select."""
        return self._portal.call(lambda: self._handle.list(labels=labels))

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """Return what an index holds under a value."""
        return self._portal.call(lambda: self._handle.by_index(name, value))

    def add_handler(self, handler: EventHandler) -> Callable[[], None]:
        """Call `handler`, on the loop's thread, for what is there and what changes. Returns the way to end it."""
        remove = self._portal.call(lambda: self._handle.add_handler(handler))
        return lambda: self._portal.call(remove)

    def __repr__(self) -> str:
        return f"<sync {self._handle!r}>"
