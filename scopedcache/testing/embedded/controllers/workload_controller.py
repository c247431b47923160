"""What Deployments and ReplicaSets have in common: they look after one kind, and control the objects of another."""

from __future__ import annotations

from ..kinds.kind import Kind
from ..storage.storage import Event, Storage, Stored
from .objects import Place, owners, place_of


class Workloads:
    """Looks at every object of a kind that has changed, or that controls what has changed."""

    def __init__(self, storage: Storage, kind: Kind, controlled: Kind) -> None:
        self._storage = storage
        self._kind = kind
        self._controlled = controlled
        self._look_at: dict[Place, None] = {}

    def observe(self, event: Event) -> None:
        """Note whom to look at."""
        if event.kind.key == self._kind.key:
            self._look_at[place_of(event.stored)] = None
        elif event.kind.key == self._controlled.key:
            for owner in owners(event.stored):
                if owner.get("controller"):
                    self._look_at[Place(self._kind, event.stored.namespace, owner["name"])] = None

    def step(self, now: float) -> float | None:
        """Look at each of them, until nothing changes any more."""
        while self._look_at:
            place = next(iter(self._look_at))
            del self._look_at[place]
            if (stored := self._storage.get(*place)) is not None:
                self._reconcile(stored, now)
        return None

    def _reconcile(self, stored: Stored, now: float) -> None:
        """Bring what an object controls nearer to what it says, and count in its status what has become of it."""
        raise NotImplementedError

    def _controlled_by(self, owner: Stored) -> list[Stored]:
        """Return what an object controls, in its namespace."""
        candidates = self._storage.list(self._controlled, owner.namespace)
        return [each for each in candidates if any(o["uid"] == owner.uid and o.get("controller") for o in owners(each))]
