"""Who needs which right, and who which informer: what is tracked begins and ends here, each exactly once."""

from __future__ import annotations

from collections import Counter

from ..access import Monitor
from ..api.permission import Permission
from .bound_need import BoundNeed
from .informer_plan import InformerKey
from .informer_pool import InformerPool
from .scope_binding import ScopeBinding


class NeedRegistry:
    """The needs of all scopes, by right and by informer."""

    def __init__(self, monitor: Monitor, pool: InformerPool) -> None:
        self._monitor = monitor
        self._pool = pool
        self._bindings: dict[Permission, Counter[ScopeBinding]] = {}
        self._informers: Counter[InformerKey] = Counter()

    def add(self, binding: ScopeBinding, need: BoundNeed) -> None:
        """A scope needs something."""
        self._monitor.track(need.permissions)
        for permission in need.permissions:
            self._bindings.setdefault(permission, Counter())[binding] += 1
        self._informers[need.informer_key] += 1

    def drop(self, binding: ScopeBinding, need: BoundNeed) -> None:
        """It needs it no longer; what nobody needs is forgotten."""
        for permission in need.permissions:
            bindings = self._bindings[permission]
            bindings[binding] -= 1
            if not bindings[binding]:
                del bindings[binding]
            if not bindings:
                del self._bindings[permission]
        self._informers[need.informer_key] -= 1
        if not self._informers[need.informer_key]:
            del self._informers[need.informer_key]
            self._pool.forget(need.informer_key)
        self._monitor.untrack(need.permissions)

    def of(self, permission: Permission) -> list[ScopeBinding]:
        """Return the scopes that need a right."""
        return list(self._bindings.get(permission, ()))

    def is_needed(self, permission: Permission) -> bool:
        """Tell whether a scope needs a right that is not the cache's own."""
        return any(not binding.scope.internal for binding in self._bindings.get(permission, ()))

    def __len__(self) -> int:
        return len(self._bindings) + len(self._informers)
