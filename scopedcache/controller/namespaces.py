"""Where a controller works: everywhere, in named namespaces, or in those whose labels match, as they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..informer import EventHandler
from ..kinds import GVK
from ..needs import strings
from ..objects import Object
from ..selectors import LabelSelector
from ..supervisor import Supervisor

if TYPE_CHECKING:
    from ..cache import ScopedCache

NAMESPACE: Final = GVK("", "v1", "Namespace")

# None is everywhere; names; or a selector over the labels of Namespaces.
Namespaces = str | Iterable[str] | LabelSelector | None
# Works in one place until cancelled; None is everywhere.
Hold = Callable[[str | None], Awaitable[None]]


class WatchedNamespaces:
    """The places a controller works in; `run` holds each for as long as it is one of them.

    Raises:
        ValueError: names are given, but none, or an empty one.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.selector = namespaces if isinstance(namespaces, LabelSelector) else None
        self.names: tuple[str, ...] | None = None
        if namespaces is not None and not isinstance(namespaces, LabelSelector):
            self.names = tuple(dict.fromkeys(strings(namespaces)))
            if not self.names or "" in self.names:
                raise ValueError("namespaces= names no namespace; leave it out (None) for all of them")

    async def run(self, cache: ScopedCache, hold: Hold, leave: Callable[[str], None]) -> None:
        """Run `hold` for each place, all at the same time; a failing one is started again and disturbs no other.

        A namespace that no longer matches is told to `leave`, then its `hold` is cancelled. A selector needs the right
        to list and watch Namespaces. Returns only by cancellation.
        """
        supervisor = Supervisor(f"places ({self})")
        try:
            if self.selector is None:
                for place in (None,) if self.names is None else self.names:
                    supervisor.start_guarded(place or "everywhere", lambda place=place: hold(place))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            else:
                supervisor.start_guarded("namespaces", lambda: self._follow(cache, supervisor, hold, leave))
            await asyncio.Event().wait()
        finally:
            await supervisor.close()

    async def _follow(
        self, cache: ScopedCache, supervisor: Supervisor, hold: Hold, leave: Callable[[str], None]
    ) -> None:
        places: dict[str, asyncio.Task[None]] = {}

        def select(namespace: Object) -> None:
            name = namespace.name
            if self.selector is None or not self.selector.matches(namespace.labels):
                drop(namespace)
            elif name not in places:
                places[name] = supervisor.start_guarded(name, lambda: hold(name))

        def drop(namespace: Object) -> None:
            task = places.pop(namespace.name, None)
            if task is not None:
                leave(namespace.name)
                task.cancel()

        try:
            async with cache.informer(NAMESPACE) as namespaces:
                namespaces.add_handler(
                    EventHandler(
                        on_add=lambda obj, initial: select(obj),
                        on_update=lambda old, new: select(new),
                        on_delete=lambda obj, unknown: drop(obj),
                    )
                )
                await asyncio.Event().wait()
        finally:
            for task in places.values():
                task.cancel()

    def __str__(self) -> str:
        if self.selector is not None:
            return f"namespaces labelled {self.selector}"
        return "all namespaces" if self.names is None else ", ".join(self.names)
