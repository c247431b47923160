"""Closings that come while an opening has no scope yet: it asks discovery first, and must not open after that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from ..errors import ScopeClosedError
from .owner import OwnerId


@attrs.define(eq=False)
class _Arrival:
    """An opening on its way, and whether its owner was closed meanwhile."""

    closed: bool = False


class OpeningGuard:
    """The openings that have no scope yet, by owner."""

    def __init__(self) -> None:
        self._arrivals: dict[str, set[_Arrival]] = {}

    @contextmanager
    def arrival(self, owner: OwnerId) -> Iterator[None]:
        """Stand for a scope that is not there yet, as long as the block lasts.

        Raises:
            ScopeClosedError: the owner was closed meanwhile.
        """
        arrival = _Arrival()
        arrivals = self._arrivals.setdefault(owner.uid, set())
        arrivals.add(arrival)
        try:
            yield
        finally:
            arrivals.remove(arrival)
            if not arrivals:
                del self._arrivals[owner.uid]
        if arrival.closed:
            raise ScopeClosedError(f"{owner} was closed while it opened")

    def close(self, uid: str) -> None:
        """An owner was closed: what is on its way for it ends."""
        for arrival in self._arrivals.get(uid, ()):
            arrival.closed = True

    def close_all(self) -> None:
        """Everything was closed."""
        for uid in self._arrivals:
            self.close(uid)

    def __len__(self) -> int:
        return sum(len(arrivals) for arrivals in self._arrivals.values())
