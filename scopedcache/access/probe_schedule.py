"""Which places are in use, and when each is to be reviewed next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, Literal

import attrs

from ..api.permission import Permission
from .detection_bound import JITTER_FRACTION
from .places_in_use import IN_USE_FRACTION, PlacesInUse
from .review_budget import SharedRound

# None: the whole cluster.
Place = str | None
# Why a place is reviewed: a denial is to be confirmed or cleared, something happens there, or it has its turn.
Reason = Literal["doubt", "use", "round"]
# How much rarer probes are while RBAC events tell of every change.
EVENTS_PERIOD_FACTOR: Final = 2.0
# A review that is brought forward comes no closer than this to the last one of its place.
REVIEWS_APART_SECONDS: Final = 0.5
# Where a round has become so much shorter, places come earlier than was planned. The bound has as much to spare.
REPLAN_FRACTION: Final = 0.95


@attrs.define
class _Entry:
    """One place.

    Its next probe is due at `due`; at `turn` the budget has room for it. Where there are fewer places by then, it may
    come sooner: `begun` is when the last one began, `spread` what its period is multiplied by, so that not all come at
    once.

    `reviewed_at` is when its last review was sent, `cost` the number of requests it took, `lost`: it had no answer.
    `reason`: why its next probe comes.
    """

    begun: float
    spread: float
    due: float = inf
    turn: float = inf
    permissions: dict[Permission, None] = attrs.field(factory=dict)  # in the order they were tracked
    reviewed_at: float = -inf
    cost: int = 1
    lost: bool = False
    reason: Reason = "round"


class ProbeSchedule:
    """The places in use. Each comes round after the period, or at its turn where the budget does not allow that."""

    def __init__(
        self,
        period: float,
        rate: float,
        chance: Callable[[], float],
        shared: SharedRound | None = None,
        shared_in_use: SharedRound | None = None,
    ) -> None:
        self.period = period
        self.rate = rate
        self._round = SharedRound() if shared is None else shared
        self.in_use = PlacesInUse(rate * IN_USE_FRACTION, SharedRound() if shared_in_use is None else shared_in_use)
        self.stretch = 1.0
        self._chance = chance
        self._entries: dict[Place, _Entry] = {}
        # By when they are due; what is not due then any more is passed over.
        self._queue: list[tuple[float, int, Place]] = []
        self._numbers = count()
        self._planned_load = 0

    @property
    def load(self) -> int:
        """Return how many requests one round of all places takes, those of others in the same budget included."""
        return self._round.requests

    def add(self, permission: Permission, now: float) -> bool:
        """Review a permission from now on; tell whether its place is a new one."""
        entry = self._entries.get(permission.namespace)
        if entry is None:
            self._round.requests += 1
            entry = self._entries[permission.namespace] = _Entry(now, 1.0)
            self._plan(permission.namespace, entry, now)
            self._spread_out(permission.namespace, entry, now)
        entry.permissions[permission] = None
        return len(entry.permissions) == 1

    def drop(self, permission: Permission) -> bool:
        """Review it no longer. Tell whether that was the last of its place, which is forgotten: others come earlier."""
        entry = self._entries[permission.namespace]
        del entry.permissions[permission]
        if not entry.permissions:
            self._round.requests -= entry.cost
            del self._entries[permission.namespace]
            if permission.namespace is not None:
                self.in_use.forget(permission.namespace)
        return not entry.permissions

    def first(self) -> tuple[Place, float] | None:
        """Return the place that is due first, and when; None where none is in use."""
        if self.load < self._planned_load * REPLAN_FRACTION:
            self._plan_earlier({place: entry.begun for place, entry in self._entries.items()})
        while self._queue:
            due, _, place = self._queue[0]
            entry = self._entries.get(place)
            if entry is not None and entry.due == due:
                return place, due
            heappop(self._queue)
        return None

    def begin_probe(self, place: Place, now: float) -> Reason:
        """The probe of a place begins: set its next one. Return why this one comes."""
        entry = self._entries[place]
        reason = entry.reason
        self._plan(place, entry, now)
        return reason

    def use(self, place: Place, now: float) -> bool:
        """Something happens in a place. Where rounds are long, its probes come more often for a while; tell whether the
        next one does.
        """
        entry = self._entries.get(place)
        if place is None or entry is None or self._round.seconds(self.rate) <= self._shortest:
            return False
        if not self.in_use.note(place, now) or entry.reason == "doubt":
            return False
        turn = self.in_use.take_turn(place, now, entry.due - now)
        if turn is None or not self.bring_forward(place, max(turn, entry.begun + self._shortest)):
            return False
        entry.reason = "use"
        return True

    def set_stretch(self, stretch: float, now: float) -> bool:
        """Make the period longer, or as it was; then no place comes later than that. Tell whether some come earlier."""
        shorter = stretch < self.stretch
        self.stretch = stretch
        if shorter:
            self._plan_earlier(dict.fromkeys(self._entries, now))
        return shorter

    def bring_forward(self, place: Place, at: float) -> bool:
        """Bring the next probe of a place forward; tell whether it was later."""
        entry = self._entries.get(place)
        if entry is None:
            return False
        wanted = max(at, entry.reviewed_at + REVIEWS_APART_SECONDS)
        if wanted >= entry.due:
            return False
        self._put(place, entry, wanted)
        return True

    def confirm(self, place: Place, at: float) -> bool:
        """Bring the next probe of a place forward, which confirms a denial or clears it; tell whether it was later."""
        if (entry := self._entries.get(place)) is not None:
            entry.reason = "doubt"
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

    @property
    def _shortest(self) -> float:
        return self.period * self.stretch

    def _plan(self, place: Place, entry: _Entry, now: float) -> None:
        """Set when a place is due, if its probe begins now."""
        entry.begun, entry.spread = now, 1 + JITTER_FRACTION * self._chance()
        self._planned_load = max(self._planned_load, self.load)
        entry.turn, entry.reason = self._round.take_turn(now, entry.cost, self.rate), "round"
        soonest = now + self._shortest * entry.spread
        due = max(entry.turn, soonest)
        if place is not None:
            turn = self.in_use.take_turn(place, now, due - now)
            if turn is not None and max(turn, soonest) < due:
                due, entry.reason = max(turn, soonest), "use"
        self._put(place, entry, due)

    def _spread_out(self, place: Place, entry: _Entry, now: float) -> None:
        """Let a new place come at its turn though that is sooner than a period: many that are opened at once would be
        due at once. A few may be, as far as jitter spreads them.
        """
        if self.load > self.rate * self._shortest * JITTER_FRACTION:
            self.bring_forward(place, max(entry.turn, now + REVIEWS_APART_SECONDS))

    def _plan_earlier(self, begun: Mapping[Place, float]) -> None:
        """Let no place come later than a period after these moments, as long as the period is now."""
        self._planned_load = self.load
        period = max(self._shortest, self._round.seconds(self.rate))
        for place, entry in self._entries.items():
            due = begun[place] + period * entry.spread
            if due < entry.due:
                self._put(place, entry, due)

    def _put(self, place: Place, entry: _Entry, due: float) -> None:
        entry.due = due
        heappush(self._queue, (due, next(self._numbers), place))

    def any_place(self) -> Place:
        """Return some place in use; the cluster where none is."""
        return next(iter(self._entries), None)

    def __contains__(self, place: object) -> bool:
        return place in self._entries

    def __iter__(self) -> Iterator[Place]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
