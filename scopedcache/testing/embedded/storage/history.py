"""What can be read of a cluster: its objects as they are, as they were, and the changes in between.

Whoever changes them holds the `Storage`; an API server that lags behind has a history of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Final

from ..kinds.kind import Kind
from ..wire.status_errors import expired, not_found
from .stored_object import Event, Stored

# What the watch cache of a real server keeps at least is 100 events per kind; here it is a plain number.
HISTORY_EVENTS: Final = 4096


# Named outside of the class, where `list` is a method.
StoredList = list[Stored]
EventList = list[Event]


class _Shelf:
    """The objects of one kind by namespace and name, and their latest changes."""

    def __init__(self, floor: int) -> None:
        self.places: dict[str, dict[str, Stored]] = {}
        self.history: deque[Event] = deque()
        self.floor = floor  # versions below are forgotten

    def copy(self) -> _Shelf:
        """Return another shelf with the same objects and changes."""
        other = _Shelf(self.floor)
        other.places = {namespace: dict(place) for namespace, place in self.places.items()}
        other.history = self.history.copy()
        return other


class History:
    """The objects of each kind and their latest changes, in the order of their versions."""

    def __init__(self, *, length: int = HISTORY_EVENTS) -> None:
        self.version = 1
        self._length = length
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self._forgotten = 0  # at which version all of it was

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Let `listener` hear every change, in order; it must not write."""
        self._listeners.append(listener)

    def get(self, kind: Kind, namespace: str, name: str) -> Stored | None:
        """Return an object; the namespace of cluster-scoped kinds makes no difference."""
        return self._shelf(kind).places.get(namespace if kind.namespaced else "", {}).get(name)

    def existing(self, kind: Kind, namespace: str, name: str) -> Stored:
        """Return an object that is there.

        Raises:
            StatusError: 404.
        """
        stored = self.get(kind, namespace, name)
        if stored is None:
            raise not_found(kind.group, kind.resource, name)
        return stored

    def list(self, kind: Kind, namespace: str | None = None) -> StoredList:
        """Return the objects of a namespace, or of all, by namespace and name."""
        places = self._shelf(kind).places
        chosen = sorted(places) if namespace is None else [namespace]
        return [place[name] for where in chosen if (place := places.get(where)) for name in sorted(place)]

    def list_at(self, kind: Kind, version: int, namespace: str | None = None) -> StoredList:
        """Return the objects as they were at a version.

        Raises:
            StatusError: 410, that version is forgotten.
        """
        then = {(s.namespace, s.name): s for s in self.list(kind, namespace)}
        for event in reversed(self.since(kind, version)):
            key = (event.stored.namespace, event.stored.name)
            if namespace in (None, key[0]):
                then.pop(key, None)
                if event.previous is not None:
                    then[key] = event.previous
        return [then[key] for key in sorted(then)]

    def since(self, kind: Kind, version: int) -> EventList:
        """Return the changes of a kind after a version.

        Raises:
            StatusError: 410, they are forgotten.
        """
        shelf = self._shelf(kind)
        if version < shelf.floor:
            raise expired(f"too old resource version: {version} ({shelf.floor})")
        if not shelf.history or shelf.history[-1].version <= version:
            return []
        events = [*shelf.history]
        return events[bisect_right(events, version, key=lambda event: event.version) :]

    def forget(self) -> None:
        """Forget what happened until now, as the watch cache of a server does when it starts."""
        self._forgotten = self.version
        for shelf in self._shelves.values():
            shelf.history.clear()
            shelf.floor = self.version

    def copy(self) -> History:
        """Return what it is now, to be kept."""
        other = History(length=self._length)
        other._take_over(self)
        return other

    def differences(self, other: History) -> EventList:
        """Return the changes that make this one's objects those of another one, at their versions there."""
        events: EventList = []
        for key in {**self._shelves, **other._shelves}:
            before, after = (_objects(history._shelves.get(key)) for history in (self, other))
            events += [Event("DELETED", before[name], before[name]) for name in before if name not in after]
            for name, stored in after.items():
                old = before.get(name)
                if old is None or old.uid != stored.uid or old.version != stored.version:
                    events.append(Event("ADDED" if old is None else "MODIFIED", stored, old))
        return events

    def _take_over(self, source: History) -> None:
        """Become what another history is now; nobody who listens there listens here."""
        self.version, self._length, self._forgotten = source.version, source._length, source._forgotten
        self._shelves = {key: shelf.copy() for key, shelf in source._shelves.items()}

    def _shelf(self, kind: Kind) -> _Shelf:
        shelf = self._shelves.get(kind.key)
        if shelf is None:
            shelf = self._shelves[kind.key] = _Shelf(self._forgotten)
        return shelf

    def _publish(self, event: Event) -> None:
        shelf = self._shelf(event.kind)
        shelf.history.append(event)
        if len(shelf.history) > self._length:
            shelf.floor = shelf.history.popleft().version
        for listener in self._listeners:
            listener(event)


def _objects(shelf: _Shelf | None) -> dict[tuple[str, str], Stored]:
    places = {} if shelf is None else shelf.places
    return {(namespace, name): stored for namespace, place in places.items() for name, stored in place.items()}
