"""What one replica makes of the partition, and which change it would write: decisions; `coordinator.py` acts.

Plain and synchronous. Each round: `observe` what the Leases say, ask `next` for the partition to write, and tell
`written` once the server has taken it. Whose turn it is to `balance` follows from names alone: the first of those who
stay. Two who both think so write from the same resourceVersion, so one of them counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import attrs

from ...hash_ranges import RING_END, HashRange, HashRanges
from .part_state import SHOWN, WORKED_ON, WRITABLE, PartState, Signal, after
from .partition import NOBODY, Part, Partition, Weights, balance, is_uneven

# How often objects are counted anew because somebody has too many.
REBALANCE_SECONDS: Final = 60.0


@attrs.frozen
class Round:
    """What a replica knows in one round.

    Attributes:
        alive: who may be at work, for all we know.
        there: who can be given work; us included.
        synced: our caches hold what they show.
        leaving: we are about to end.
        is_idle: tells whether no run is under way in a range.
    """

    now: float
    alive: Collection[str]
    there: Collection[str]
    synced: bool
    leaving: bool
    is_idle: Callable[[HashRange], bool]


class Replica:
    """One replica and what each part is to it.

    Args:
        patience: seconds that another one may work on after we saw a partition that takes everything from it without
            its own doing: the longest a Lease lasts.
    """

    def __init__(self, identity: str, *, patience: float) -> None:
        self.identity = identity
        self.partition: Partition | None = None
        self._patience = patience
        self._states: list[tuple[HashRange, PartState]] = [(HashRange(0, RING_END), "foreign")]
        self._takes_from = float("-inf")  # when something may be taken again, after a partition came from the past
        self._strange: dict[int, float] = {}  # since when a part is said to be ours that we did not take
        self._planned_for: frozenset[str] = frozenset()
        self._proposed_for: frozenset[str] | None = None  # of what we would write, until the server has taken it
        self._counted = float("-inf")

    # -- what is ours --------------------------------------------------------------------------------------------

    @property
    def shown(self) -> HashRanges:
        """Return what is to be held in memory."""
        return self._ranges(SHOWN)

    @property
    def worked_on(self) -> HashRanges:
        """Return where runs may begin."""
        return self._ranges(WORKED_ON)

    @property
    def writable(self) -> HashRanges:
        """Return where runs may write."""
        return self._ranges(WRITABLE)

    def states(self) -> list[tuple[HashRange, PartState]]:
        """Return what each part is to us."""
        return list(self._states)

    @property
    def is_moving(self) -> bool:
        """Tell whether something is to change hands: it is worth looking again soon."""
        parts = self.partition.parts if self.partition is not None else ()
        return any(part.holder != part.wanted for part in parts)

    def _ranges(self, states: Collection[PartState]) -> HashRanges:
        return HashRanges.of(range_ for range_, state in self._states if state in states)

    # -- what comes in -------------------------------------------------------------------------------------------

    def observe(self, partition: Partition, now: float) -> None:
        """Take note of the partition as it is."""
        if self.partition is not None and partition.generation < self.partition.generation:
            # Restored from the past: somebody may have taken meanwhile what it shows as free, and may not know yet.
            self._takes_from = now + self._patience
        self.partition = partition
        states = []
        for part, state in self._refined(partition):
            for signal in self._signals(part, state):
                state = after(state, signal)
            states.append((part.range, state))
        self._states = states
        claimed = [part.range.start for part, state in self._refined(partition) if self._is_strange(part, state)]
        self._strange = {start: self._strange.get(start, now) for start in claimed}

    def lapse(self) -> None:
        """Our Lease has run out, or nothing is known of the partition any more: do nothing until told otherwise."""
        self._states = [(range_, after(state, "lapse")) for range_, state in self._states]

    def lose_all(self) -> None:
        """The partition cannot be read: whoever can may take what was ours."""
        self._states = [(range_, after(after(state, "lost"), "unwanted")) for range_, state in self._states]

    def written(self, partition: Partition, now: float) -> None:
        """Take note that our change went through."""
        self._settle_plan()
        before = self._refined(partition)
        states: list[tuple[HashRange, PartState]] = []
        for part, state in before:
            if part.holder == self.identity and state in ("warm", "lapsed"):
                state = after(state, "taken")
            elif part.holder == NOBODY and state == "lapsed":
                state = after(state, "released")
            states.append((part.range, state))
        self._states = states
        self.observe(partition, now)

    def _signals(self, part: Part, state: PartState) -> Iterator[Signal]:
        if state in ("held", "draining", "lapsed") and part.holder != self.identity:
            yield "lost"
        if part.wanted == self.identity:
            yield "wanted"
        elif part.warm or part.holder != self.identity:
            yield "unwanted"

    def _is_strange(self, part: Part, state: PartState) -> bool:
        return part.holder == self.identity and state in ("foreign", "warm")

    def _refined(self, partition: Partition) -> list[tuple[Part, PartState]]:
        """Return the partition cut where our states change too, each part with our state."""
        starts = [range_.start for range_, _ in self._states]
        cut = partition.cut_at(starts)
        return [(part, self._states[bisect_right(starts, part.range.start) - 1][1]) for part in cut.parts]

    # -- what we would write -------------------------------------------------------------------------------------

    def next(self, round_: Round, weights: Weights | None = None) -> Partition | None:
        """Return the partition to write; None where nothing is to change.

        `weights`: where objects lie, if they were counted because `must_count` asked for it.
        """
        partition = self.partition
        if partition is None:
            return None
        self._proposed_for = None
        refined = self._refined(partition)
        parts = [self._next_part(part, state, round_) for part, state in refined]
        leaving = {name for name in partition.leaving if name in round_.alive} - {self.identity}
        if round_.leaving:
            leaving.add(self.identity)
        changed = partition.changed(parts, leaving)
        if weights is not None:
            stay = frozenset(round_.there) - leaving
            self._proposed_for, self._counted = stay, round_.now
            changed = attrs.evolve(balance(changed, stay, weights), generation=partition.generation + 1)
        same = (changed.parts, changed.leaving) == (partition.parts, partition.leaving)
        if same and not self._touches(round_):
            self._settle_plan()
            return None
        # What is let go is not ours any more once the server has the write, and its answer may be lost.
        self._states = [
            (part.range, after(state, "lapse") if _is_let_go(part, then) else state)
            for (part, state), then in zip(refined, parts, strict=True)
        ]
        return changed

    def _settle_plan(self) -> None:
        """What was proposed is so: it is not to be said again until somebody comes or goes."""
        if self._proposed_for is not None:
            self._planned_for, self._proposed_for = self._proposed_for, None

    def given_up(self) -> Partition:
        """Return the partition without us: what was ours is nobody's."""
        assert self.partition is not None
        parts = (
            attrs.evolve(part, holder=NOBODY) if part.holder == self.identity else part for part in self.partition.parts
        )
        return self.partition.changed(parts, {*self.partition.leaving, self.identity})

    def must_count(self, round_: Round, objects: Mapping[str, int]) -> bool:
        """Tell whether it is our turn to say who is wanted where, and something is to be said.

        `objects`: how many each replica works on.
        """
        partition = self.partition
        if partition is None or round_.leaving:
            return False
        stay = frozenset(round_.there) - (set(partition.leaving) - {self.identity})
        if not stay or min(stay) != self.identity:
            return False
        if stay != self._planned_for or any(part.wanted not in stay for part in partition.parts):
            return True
        due = round_.now >= self._counted + REBALANCE_SECONDS
        return due and not self.is_moving and is_uneven(objects)

    def _touches(self, round_: Round) -> bool:
        """Tell whether the same is to be written again, for that is what makes it ours."""
        assert self.partition is not None
        return any(
            part.holder == self.identity and (state == "lapsed" or self._may_take(part, state, round_))
            for part, state in self._refined(self.partition)
        )

    def _next_part(self, part: Part, state: PartState, round_: Round) -> Part:
        if self._may_take(part, state, round_):
            return attrs.evolve(part, holder=self.identity, warm=False)
        if state == "warm" and round_.synced and not part.warm and part.holder != self.identity:
            return attrs.evolve(part, warm=True)
        if state == "draining" and round_.is_idle(part.range):
            return attrs.evolve(part, holder=NOBODY)
        if state == "lapsed" and self._is_to_go(part) and round_.is_idle(part.range):
            return attrs.evolve(part, holder=NOBODY)
        if state == "foreign" and self._is_forgotten(part, round_.now):
            return attrs.evolve(part, holder=NOBODY)
        return part

    def _is_to_go(self, part: Part) -> bool:
        """Tell whether a part that we hold is another's to begin with."""
        return part.holder == self.identity != part.wanted and part.warm

    def _is_forgotten(self, part: Part, now: float) -> bool:
        """Tell whether a part is said to be ours, not by our doing, for so long that whoever had it has noticed.

        We have been started anew under the same name, perhaps: nobody else would let it go.
        """
        if part.holder != self.identity:
            return False
        return now >= self._strange.get(part.range.start, now) + self._patience

    def _may_take(self, part: Part, state: PartState, round_: Round) -> bool:
        if state != "warm" or round_.leaving or round_.now < self._takes_from:
            return False
        if part.holder == self.identity:
            return self._is_forgotten(part, round_.now)
        return part.holder == NOBODY or part.holder not in round_.alive


def _is_let_go(part: Part, then: Part) -> bool:
    return part.holder != NOBODY and then.holder == NOBODY
