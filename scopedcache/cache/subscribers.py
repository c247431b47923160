"""Who is told about owners: a controller's queue, or a user's own function."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from .owner import OwnerChanged

logger: Final = logging.getLogger("scopedcache.cache")

Subscriber = Callable[[OwnerChanged], None]


class Subscribers:
    """The subscribers of one cache. What one of them raises is logged, and is not the others' trouble."""

    def __init__(self) -> None:
        self._subscribers: dict[object, Subscriber] = {}

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` for every change; returns the way to end it (idempotent)."""
        token = object()
        self._subscribers[token] = subscriber

        def remove() -> None:
            self._subscribers.pop(token, None)

        return remove

    def publish(self, change: OwnerChanged) -> None:
        for subscriber in list(self._subscribers.values()):
            try:
                subscriber(change)
            except Exception as error:
                logger.error("subscriber.failed", extra={"owner": str(change.key)}, exc_info=error)

    def __len__(self) -> int:
        return len(self._subscribers)
