"""Which places are in use, and when each is to be reviewed next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Final

import attrs

from ..api.permission import Permission
from .detection_bound import JITTER_FRACTION
from .review_budget import SharedRound

# None: the whole cluster.
Place = str | None
# How much rarer probes are while RBAC events tell of every change.
EVENTS_PERIOD_FACTOR: Final = 2.0
# A review that is brought forward comes no closer than this to the last one of its place.
REVIEWS_APART_SECONDS: Final = 0.5


@attrs.define
class _Entry:
    """One place.

    Its next probe is due a period after `begun`, when the last one began, or at `wanted`, where that is sooner. Where
    there are fewer places by then, the period is shorter than it was to be, down to `shortest`.

    `reviewed_at` is when its last review was sent, `cost` the number of requests it took, `lost`: it had no answer.
    `doubted`: its next probe confirms a denial, or clears it.
    """

    begun: float
    period: float
    shortest: float
    spread: float
    wanted: float = inf
    permissions: dict[Permission, None] = attrs.field(factory=dict)  # in the order they were tracked
    reviewed_at: float = -inf
    cost: int = 1
    lost: bool = False
    doubted: bool = False


class ProbeSchedule:
    """The places in use. Each comes round after the period, or later where the budget does not allow that."""

    def __init__(
        self, period: float, rate: float, chance: Callable[[], float], shared: SharedRound | None = None
    ) -> None:
        self.period = period
        self.rate = rate
        self._round = SharedRound() if shared is None else shared
        self.stretch = 1.0
        self._chance = chance
        self._entries: dict[Place, _Entry] = {}

    @property
    def load(self) -> int:
        """Return how many requests one round of all places takes, those of others in the same budget included."""
        return self._round.requests

    def add(self, permission: Permission, now: float) -> bool:
        """Review a permission from now on; tell whether its place is a new one."""
        entry = self._entries.get(permission.namespace)
        if entry is None:
            self._round.requests += 1
            entry = self._entries[permission.namespace] = self._entry(now)
        entry.permissions[permission] = None
        return len(entry.permissions) == 1

    def drop(self, permission: Permission) -> bool:
        """Review it no longer. Tell whether that was the last of its place, which is forgotten: others come earlier."""
        entry = self._entries[permission.namespace]
        del entry.permissions[permission]
        if not entry.permissions:
            self._round.requests -= entry.cost
            del self._entries[permission.namespace]
        return not entry.permissions

    def first(self) -> tuple[Place, float] | None:
        """Return the place that is due first, and when; None where none is in use."""
        if not self._entries:
            return None
        place = min(self._entries, key=lambda name: self._due(self._entries[name]))
        return place, self._due(self._entries[place])

    def begin_probe(self, place: Place, now: float) -> bool:
        """The probe of a place begins: set its next one. Tell whether this one confirms a denial, or clears it."""
        entry, fresh = self._entries[place], self._entry(now)
        entry.begun, entry.period, entry.shortest = fresh.begun, fresh.period, fresh.shortest
        entry.spread, entry.wanted = fresh.spread, inf
        doubted, entry.doubted = entry.doubted, False
        return doubted

    def set_stretch(self, stretch: float, now: float) -> bool:
        """Make the period longer, or as it was; then no place comes later than that. Tell whether some come earlier."""
        shorter = stretch < self.stretch
        self.stretch = stretch
        if shorter:
            for entry in self._entries.values():
                entry.wanted = min(entry.wanted, self._due(self._entry(now)))
        return shorter

    def bring_forward(self, place: Place, at: float) -> bool:
        """Bring the next probe of a place forward; tell whether it was later."""
        entry = self._entries.get(place)
        if entry is None:
            return False
        wanted = max(at, entry.reviewed_at + REVIEWS_APART_SECONDS)
        earlier = wanted < self._due(entry)
        entry.wanted = min(entry.wanted, wanted)
        return earlier

    def confirm(self, place: Place, at: float) -> bool:
        """Bring the next probe of a place forward, which confirms a denial or clears it; tell whether it was later."""
        if (entry := self._entries.get(place)) is not None:
            entry.doubted = True
        return self.bring_forward(place, at)

    def begin_review(self, place: Place, now: float) -> tuple[Permission, ...]:
        """A review of a place is sent; return the permissions it is about."""
        entry = self._entries.get(place)
        if entry is None:
            return ()
        entry.reviewed_at = now
        return tuple(entry.permissions)

    def answered(self, place: Place, cost: int) -> None:
        """A review of a place was answered, and took so many requests."""
        entry = self._entries.get(place)
        if entry is not None:
            self._round.requests += cost - entry.cost
            entry.cost = cost
            entry.lost = False

    def lost(self, place: Place, now: float) -> bool:
        """A review of a place had no answer: the first time, ask again soon. Tell whether it comes earlier by that."""
        entry = self._entries.get(place)
        if entry is None or entry.lost:
            return False
        entry.lost = True
        return self.bring_forward(place, now)

    def permissions(self, place: Place) -> tuple[Permission, ...]:
        """Return the permissions of a place, in the order they were tracked."""
        entry = self._entries.get(place)
        return tuple(entry.permissions) if entry is not None else ()

    def cost(self, place: Place) -> int:
        """Return how many requests the last review of a place took."""
        entry = self._entries.get(place)
        return entry.cost if entry is not None else 0

    def _entry(self, now: float) -> _Entry:
        shortest = self.period * self.stretch
        period = max(shortest, self.load / self.rate)
        return _Entry(now, period, shortest, 1 + JITTER_FRACTION * self._chance())

    def _due(self, entry: _Entry) -> float:
        period = min(entry.period, max(entry.shortest, self.load / self.rate))
        return min(entry.wanted, entry.begun + period * entry.spread)

    def any_place(self) -> Place:
        """Return some place in use; the cluster where none is."""
        return next(iter(self._entries), None)

    def __contains__(self, place: object) -> bool:
        return place in self._entries

    def __iter__(self) -> Iterator[Place]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
