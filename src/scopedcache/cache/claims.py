"""Who holds which right, and who wants which informer: leases on verdicts begin and end here, each exactly once."""

from __future__ import annotations

from collections import Counter

from ..access import Monitor
from ..api.reviews import Right
from .pool import Physical, Pool
from .scope import Held, Scope


class Claims:
    """The needs of all scopes, by right and by informer."""

    def __init__(self, monitor: Monitor, pool: Pool) -> None:
        self._monitor = monitor
        self._pool = pool
        self._scopes: dict[Right, Counter[Scope]] = {}
        self._wanted: Counter[Physical] = Counter()

    def add(self, scope: Scope, held: Held) -> None:
        """A scope needs something."""
        self._monitor.lease(held.rights)
        for right in held.rights:
            self._scopes.setdefault(right, Counter())[scope] += 1
        self._wanted[held.physical] += 1

    def drop(self, scope: Scope, held: Held) -> None:
        """It needs it no longer; what nobody wants is forgotten."""
        for right in held.rights:
            holders = self._scopes[right]
            holders[scope] -= 1
            if not holders[scope]:
                del holders[scope]
            if not holders:
                del self._scopes[right]
        self._wanted[held.physical] -= 1
        if not self._wanted[held.physical]:
            del self._wanted[held.physical]
            self._pool.forget(held.physical)
        self._monitor.release(held.rights)

    def of(self, right: Right) -> list[Scope]:
        """Return the scopes that need a right."""
        return list(self._scopes.get(right, ()))

    def __len__(self) -> int:
        return len(self._scopes) + len(self._wanted)
