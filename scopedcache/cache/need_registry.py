"""Who needs which right, and who which informer: what is tracked begins and ends here, each exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet

from ..access import Monitor
from ..api.permission import Permission
from .bound_need import BoundNeed
from .informer_plan import Place
from .informer_pool import InformerPool
from .scope_binding import ScopeBinding


class NeedRegistry:
    """The needs of all scopes, by right and by informer."""

    def __init__(self, monitor: Monitor, pool: InformerPool) -> None:
        self._monitor = monitor
        self._pool = pool
        self._bindings: dict[Permission, dict[ScopeBinding, int]] = {}
        self._of_nobody: dict[Permission, set[ScopeBinding]] = {}
        self._places: Counter[Place] = Counter()

    def add(self, binding: ScopeBinding, need: BoundNeed) -> None:
        """A scope needs something."""
        self._monitor.track(need.permissions)
        for permission in need.permissions:
            bindings = self._bindings.setdefault(permission, {})
            bindings[binding] = bindings.get(binding, 0) + 1
            if binding.scope.owner is None:
                self._of_nobody.setdefault(permission, set()).add(binding)
        self._places[need.informer_key.place] += 1

    def drop(self, binding: ScopeBinding, need: BoundNeed) -> None:
        """It needs it no longer; what nobody needs is forgotten."""
        self.drop_rights(binding, need)
        self.drop_place(need)

    def drop_rights(self, binding: ScopeBinding, need: BoundNeed) -> None:
        """Its rights are of no interest while its kind is not served."""
        for permission in need.permissions:
            bindings = self._bindings[permission]
            bindings[binding] -= 1
            if not bindings[binding]:
                del bindings[binding]
                self._forget_nobody(binding, permission)
            if not bindings:
                del self._bindings[permission]
        self._monitor.untrack(need.permissions)

    def drop_place(self, need: BoundNeed) -> None:
        """Nor is what its informer held."""
        place = need.informer_key.place
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
            self._pool.forget(place)

    def of(self, permission: Permission) -> list[ScopeBinding]:
        """Return the scopes that need a right."""
        return list(self._bindings.get(permission, ()))

    def of_nobody(self, permission: Permission) -> AbstractSet[ScopeBinding]:
        """Return those of them that belong to no owner."""
        return self._of_nobody.get(permission, frozenset())

    def _forget_nobody(self, binding: ScopeBinding, permission: Permission) -> None:
        bindings = self._of_nobody.get(permission)
        if bindings is not None:
            bindings.discard(binding)
            if not bindings:
                del self._of_nobody[permission]

    def is_needed(self, permission: Permission) -> bool:
        """Tell whether a scope needs a right that is not the cache's own."""
        return any(not binding.scope.internal for binding in self._bindings.get(permission, ()))

    def __len__(self) -> int:
        return len(self._bindings) + len(self._places)
