"""Who holds which right, and who wants which informer: what is tracked begins and ends here, each exactly once."""

from __future__ import annotations

from collections import Counter

from ..access import Monitor
from ..api.permission import Permission
from .informer_plan import InformerKey
from .informer_pool import Pool
from .scope import BoundNeed, Scope


class NeedRegistry:
    """The needs of all scopes, by right and by informer."""

    def __init__(self, monitor: Monitor, pool: Pool) -> None:
        self._monitor = monitor
        self._pool = pool
        self._scopes: dict[Permission, Counter[Scope]] = {}
        self._wanted: Counter[InformerKey] = Counter()

    def add(self, scope: Scope, held: BoundNeed) -> None:
        """A scope needs something."""
        self._monitor.track(held.permissions)
        for permission in held.permissions:
            self._scopes.setdefault(permission, Counter())[scope] += 1
        self._wanted[held.informer_key] += 1

    def drop(self, scope: Scope, held: BoundNeed) -> None:
        """It needs it no longer; what nobody wants is forgotten."""
        for permission in held.permissions:
            holders = self._scopes[permission]
            holders[scope] -= 1
            if not holders[scope]:
                del holders[scope]
            if not holders:
                del self._scopes[permission]
        self._wanted[held.informer_key] -= 1
        if not self._wanted[held.informer_key]:
            del self._wanted[held.informer_key]
            self._pool.forget(held.informer_key)
        self._monitor.untrack(held.permissions)

    def of(self, permission: Permission) -> list[Scope]:
        """Return the scopes that need a right."""
        return list(self._scopes.get(permission, ()))

    def __len__(self) -> int:
        return len(self._scopes) + len(self._wanted)
