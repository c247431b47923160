"""Open watches: what each of them has still to send, and when it ends.

A watch was authorised when it was opened and never is again: it outlives the right to it. The door that carries it
takes its bytes, and asks `tick` when `due` has come; nothing here waits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import msgspec

from ..kinds.kind import Kind
from ..storage.history import History
from ..storage.stored_object import Event, Stored
from ..wire.status_errors import StatusError
from .rendering import View, event_bytes, object_bytes
from .selection import Selection

# Seconds; a watch that names none lasts so long, or up to twice (semantics 1.1).
DEFAULT_TIMEOUT_SECONDS: Final = 1800.0
FIRST_BOOKMARK_SECONDS: Final = 1.0
BOOKMARK_PERIOD_SECONDS: Final = 60.0
BOOKMARK_BEFORE_END_SECONDS: Final = 2.0
# Lines waiting for a reader; one that falls further behind is dropped, without a word.
BACKLOG_EVENTS: Final = 50_000
_NEVER: Final = float("inf")
_encode = msgspec.json.Encoder().encode


class Watch:
    """One watch: a queue of lines and a deadline."""

    def __init__(
        self,
        kind: Kind,
        api_version: str,
        selection: Selection,
        view: View,
        *,
        now: float,
        timeout: float,
        bookmarks: bool,
    ) -> None:
        self.kind = kind
        self.since = 0
        self.seen: Callable[[], int] = int  # the version that its server has seen
        self.api_version = api_version
        self.selection = selection
        self.view = view
        self.ended = False
        self.lost = False
        self.notify: Callable[[], None] = _nothing
        self.closed: list[Callable[[], None]] = []
        self._lines: list[bytes] = []
        self._ends = now + timeout
        self._bookmark = now + FIRST_BOOKMARK_SECONDS if bookmarks else _NEVER
        self._last_bookmark = max(now, self._ends - BOOKMARK_BEFORE_END_SECONDS) if bookmarks else _NEVER

    @property
    def due(self) -> float:
        """Return when `tick` has something to do."""
        return min(self._ends, self._bookmark, self._last_bookmark)

    def take(self) -> list[bytes]:
        """Return the lines that wait; they do no more."""
        lines, self._lines = self._lines, []
        return lines

    def send(self, line: bytes) -> None:
        """Queue a line."""
        if self.ended:
            return
        self._lines.append(line)
        if len(self._lines) > BACKLOG_EVENTS:
            self._lines.clear()
            self.end()
        self.notify()

    def bookmark(self, version: int, *, ends_initial_events: bool = False) -> None:
        """Queue a BOOKMARK; none that is older than what the watch began with."""
        if version < self.since:
            return
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if ends_initial_events:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body = {"kind": self.kind.name, "apiVersion": self.api_version, "metadata": metadata}
        if self.view == "metadata":
            body |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        self.send(event_bytes("BOOKMARK", _encode(body)))

    def fail(self, refusal: StatusError) -> None:
        """Queue an ERROR, and end."""
        self.send(event_bytes("ERROR", _encode(refusal.status())))
        self.end()

    def end(self) -> None:
        """End in good order, once what waits is taken."""
        if not self.ended:
            self.ended = True
            self.notify()

    def lose(self) -> None:
        """End as a connection that is lost: what waits is lost too."""
        self.lost = True
        self._lines.clear()
        self.end()

    def end_at(self, when: float) -> None:
        """End no later than at `when`."""
        self._ends = min(self._ends, when)
        self.notify()

    def tick(self, now: float) -> None:
        """Send the bookmark that is due, or end."""
        if now >= self._ends:
            self.end()
        elif now >= self._last_bookmark:
            self._last_bookmark = self._bookmark = _NEVER
            self.bookmark(self.seen())
        elif now >= self._bookmark:
            self._bookmark = now + BOOKMARK_PERIOD_SECONDS
            self.bookmark(self.seen())

    def close(self) -> None:
        """The client has gone, or has everything: leave no trace."""
        self.end()
        for callback in self.closed:
            callback()
        self.closed = []


class Watches:
    """All open watches; every change is offered to those whose place it is in, once rendered for all of them."""

    def __init__(self, history: History, *, seed: int = 0) -> None:
        self._history = history
        self._chance = random.Random(seed)
        self._open: dict[tuple[str, str], dict[str | None, dict[Watch, None]]] = {}
        history.subscribe(self._publish)

    def __len__(self) -> int:
        return sum(len(watches) for places in self._open.values() for watches in places.values())

    def timeout(self, wanted: float) -> float:
        """Return how long a watch lasts: as long as it asked for, else at random."""
        return wanted or self._chance.uniform(DEFAULT_TIMEOUT_SECONDS, 2 * DEFAULT_TIMEOUT_SECONDS)

    def begin(self, watch: Watch, since: int | None, initial: list[Stored], *, marked: bool) -> None:
        """Fill a watch with what comes first (objects, or the changes since a version), and keep it up to date."""
        watch.closed.append(lambda: self._forget(watch))
        watch.seen = lambda: self._history.version
        self._open.setdefault(watch.kind.key, {}).setdefault(watch.selection.namespace, {})[watch] = None
        if since is not None:
            watch.since = since
            try:
                events = self._history.since(watch.kind, since)
            except StatusError as refusal:
                watch.fail(refusal)
                return
            place = watch.selection.namespace
            for event in events:
                if place in (None, event.stored.namespace):
                    offer(watch, event, {})
            return
        for stored in initial:
            watch.send(event_bytes("ADDED", object_bytes(stored, watch.api_version, watch.view)))
        if marked:
            watch.bookmark(self._history.version, ends_initial_events=True)

    def of(self, kind: Kind) -> list[Watch]:
        """Return the open watches of a kind."""
        return [watch for watches in self._open.get(kind.key, {}).values() for watch in watches]

    def end_all(self, *, lost: bool = False) -> None:
        """End every watch, in good order or as a lost connection: the server goes away."""
        for places in self._open.values():
            for watches in places.values():
                for watch in watches:
                    (watch.lose if lost else watch.end)()

    def _publish(self, event: Event) -> None:
        places = self._open.get(event.kind.key)
        if not places:
            return
        rendered: dict[tuple[str, View, str, int], bytes] = {}
        namespace = event.stored.namespace
        for place in {None, namespace}:
            for watch in places.get(place, ()):
                offer(watch, event, rendered)

    def _forget(self, watch: Watch) -> None:
        self._open.get(watch.kind.key, {}).get(watch.selection.namespace, {}).pop(watch, None)


def offer(watch: Watch, event: Event, rendered: dict[tuple[str, View, str, int], bytes]) -> None:
    """Send a change to a watch as it concerns it: what stops matching its selectors is deleted for it."""
    if event.version <= watch.since:
        return  # it asked for what comes after a version that is still to come
    chosen = _seen(watch.selection, event)
    if chosen is None:
        return
    type_, stored = chosen
    key = (watch.api_version, watch.view, type_, id(stored))
    line = rendered.get(key)
    if line is None:
        line = rendered[key] = event_bytes(type_, object_bytes(stored, watch.api_version, watch.view))
    watch.send(line)


def _seen(selection: Selection, event: Event) -> tuple[str, Stored] | None:
    type_, stored, previous = event
    if selection.is_plain:
        return type_, stored
    before = previous is not None and selection.matches(previous)
    if type_ == "DELETED":
        return (type_, stored) if before else None
    now = selection.matches(stored)
    if now:
        return ("MODIFIED" if before else "ADDED"), stored
    if before and previous is not None:
        # The last state that matched, at the version of the change.
        metadata = {**previous.metadata, "resourceVersion": str(event.version)}
        return "DELETED", Stored(stored.kind, {**previous.body, "metadata": metadata}, event.version)
    return None


def _nothing() -> None:
    """Nobody listens yet."""
