"""A handler that comes when much is held already: told of it step by step, and of each change in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ..objects import Entry
from .delta import Delta, Key


class ChangeHandler(Protocol):
    """Who hears of every change, directly: it raises nothing and does not wait."""

    def handle(self, delta: Delta, initial: bool) -> None: ...
    def close(self) -> None: ...


class LateHandler:
    """Stands in for a handler that is still being told of what was there before it came."""

    def __init__(self, handler: ChangeHandler, entries: Mapping[Key, Entry]) -> None:
        self.handler = handler
        self._untold = dict(entries)

    def handle(self, delta: Delta, initial: bool) -> None:
        """Pass a change on: as an addition, or not at all, where the object was not told of yet."""
        subject = delta.new or delta.old
        assert subject is not None
        if self._untold.pop((subject.metadata.namespace, subject.metadata.name), None) is None:
            self.handler.handle(delta, initial)
        elif delta.new is not None:
            self.handler.handle(Delta(None, delta.new), True)

    def tell(self) -> Iterator[None]:
        """Tell of what is held, one object with each step."""
        for key in list(self._untold):
            entry = self._untold.pop(key, None)
            if entry is not None:
                self.handler.handle(Delta(None, entry), True)
                yield

    def close(self) -> None:
        self._untold = {}
        self.handler.close()
