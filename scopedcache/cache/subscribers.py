"""Who is told about owners: a controller's queue, or a user's own function."""

from __future__ import annotations

from collections.abc import Callable

from ..containment import UserFunction
from .owner import OwnerChanged

Subscriber = Callable[[OwnerChanged], None]


class Subscribers:
    """The subscribers of one cache. What one of them raises is logged, and is not the others' trouble."""

    def __init__(self) -> None:
        self._subscribers: dict[object, _ContainedSubscriber] = {}

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` for every change; returns the way to end it (idempotent)."""
        token = object()
        self._subscribers[token] = _ContainedSubscriber(subscriber)

        def remove() -> None:
            self._subscribers.pop(token, None)

        return remove

    def publish(self, change: OwnerChanged) -> None:
        for subscriber in list(self._subscribers.values()):
            subscriber.call(change)

    def __len__(self) -> int:
        return len(self._subscribers)


class _ContainedSubscriber:
    """A subscriber, called as a function of its own for each kind of owner: a failure is named with its kind."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._functions: dict[str, UserFunction[None]] = {}

    def call(self, change: OwnerChanged) -> None:
        kind = change.kind.kind
        function = self._functions.get(kind)
        if function is None:
            function = UserFunction(self._subscriber, "subscriber.failed", otherwise=None, kind=kind)
            self._functions[kind] = function
        function.call(change.key, change)
