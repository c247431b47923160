"""What one API server of several has seen of the storage: the same objects and changes, some time later."""

from __future__ import annotations

from collections import deque

from .history import History
from .stored_object import Event


class Replica(History):
    """A history that is `lag` seconds behind another one: the watch cache and the informers of a server.

    It takes part in the rounds of the controllers, and is thereby brought up to date when its time has come.
    """

    name = "replica"

    def __init__(self, source: History, lag: float) -> None:
        super().__init__()
        self._take_over(source)
        self.lag = lag
        self._source = source
        self._fresh: list[Event] = []
        self._coming: deque[tuple[float, Event]] = deque()  # with the time of each change

    def observe(self, event: Event) -> None:
        """Take note of a change, to show it later."""
        self._fresh.append(event)

    def step(self, now: float) -> float | None:
        """Show the changes whose time has come; return when the next one does."""
        self._coming.extend((now, event) for event in self._fresh)
        self._fresh = []
        while self._coming and self._coming[0][0] + self.lag <= now:
            self._show(self._coming.popleft()[1])
        if self._coming:
            return self._coming[0][0] + self.lag
        self.version = self._source.version
        return None

    def catch_up(self) -> None:
        """Show everything at once: a server that starts begins with a fresh list."""
        for event in [*(event for _, event in self._coming), *self._fresh]:
            self._show(event)
        self._coming.clear()
        self._fresh = []
        self.version = self._source.version

    def start_over(self) -> None:
        """Show what the storage is now: it was restored."""
        self._take_over(self._source)
        self._coming.clear()
        self._fresh = []

    def delay(self, version: int, now: float) -> float:
        """Return the seconds until a version is seen here, 0: the newest; one that nobody has written never is."""
        if version > self._source.version:
            return float("inf")
        if not self._coming or 0 < version <= self.version:
            return 0.0
        last = self._coming[-1][0]
        at = next((at for at, event in self._coming if event.version >= version), last) if version else last
        return max(0.0, at + self.lag - now)

    def _show(self, event: Event) -> None:
        place = self._shelf(event.kind).places.setdefault(event.stored.namespace, {})
        if event.type == "DELETED":
            place.pop(event.stored.name, None)
        else:
            place[event.stored.name] = event.stored
        self.version = event.version
        self._publish(event)
