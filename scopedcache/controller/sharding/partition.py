"""How the ring of hashes is divided among replicas: parts, who works on each, and who is to.

Plain and synchronous. A `Partition` is what the replicas agree on; it stands in one Lease, as text. Each part names its
holder and who is wanted for it. Where those differ, the wanted one fills its cache and says so (`warm`), the holder
finishes and lets go (its holder is nobody then), and the wanted one takes it: nobody takes what another one holds and
may still work on. `part_state.py` has that as a table.

`balance` says who is wanted where. It moves as little as it can, and cuts where the objects are: equal slots of the
ring would give all of `ns-000` to `ns-399` to one of four replicas.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import Any, Final

import attrs
import msgspec

from ...hash_ranges import RING_END, HashRange, HashRanges, ring_hash

# The form of the text. Another version may mean anything by its parts: it is refused.
VERSION: Final = 1
# Parts at most before all is cut anew: the server takes 300 ranges in a selector, and a Lease holds some hundred kB.
PARTS_AT_MOST: Final = 256
# Where nothing is known of the objects: so many places of equal weight.
EVEN_PLACES: Final = 64
# No replica works on more than this times the mean, unless one place alone is more: then there is nothing to cut.
IMBALANCE: Final = 1.5

NOBODY: Final = ""
# Where objects lie: hash → how many.
Weights = Mapping[int, int]


class UnreadablePartitionError(ValueError):
    """The text of a partition makes no sense to this version."""


@attrs.frozen
class Part:
    """A range of the ring, who holds it, and who is wanted for it; "" is nobody. `warm`: the wanted one can begin."""

    range: HashRange
    holder: str = NOBODY
    wanted: str = NOBODY
    warm: bool = False


@attrs.frozen
class Partition:
    """All parts, in the order of the ring, without a gap. `generation` grows with each change.

    `leaving` are those who are about to end: nothing is wanted of them.
    """

    parts: tuple[Part, ...] = (Part(HashRange(0, RING_END)),)
    generation: int = 0
    leaving: tuple[str, ...] = ()

    def changed(self, parts: Iterable[Part], leaving: Iterable[str] | None = None) -> Partition:
        """Return the next generation: neighbours are joined that differ in nothing."""
        joined: list[Part] = []
        for part in parts:
            last = joined[-1] if joined else None
            if last is not None and attrs.evolve(part, range=last.range) == last:
                joined[-1] = attrs.evolve(last, range=HashRange(last.range.start, part.range.end))
            else:
                joined.append(part)
        stay = self.leaving if leaving is None else tuple(sorted(leaving))
        return Partition(tuple(joined), self.generation + 1, stay)

    @classmethod
    def parse(cls, text: str) -> Partition:
        """Read the text.

        Raises:
            UnreadablePartitionError: it is not one, or of another version.
        """
        try:
            found = msgspec.json.decode(text, type=dict[str, Any])
            version, content = found["version"], found["content"]
        except (msgspec.MsgspecError, KeyError, UnicodeError) as error:
            raise UnreadablePartitionError(f"it is no partition ({error})") from error
        if version != VERSION:
            raise UnreadablePartitionError(f"another release has cut it (form {version!r}; this one reads {VERSION})")
        if found.get("sum") != _sum(content):
            raise UnreadablePartitionError("somebody has edited it by hand (its sum is another one)")
        try:
            starts = [(int(start, 16), str(h), str(w), bool(warm)) for start, h, w, warm in content["parts"]]
            ends = [start for start, _, _, _ in starts[1:]] + [RING_END]
            parts = tuple(
                Part(HashRange(start, end), holder, wanted, warm)
                for (start, holder, wanted, warm), end in zip(starts, ends, strict=True)
            )
            partition = cls(parts, int(content["generation"]), tuple(map(str, content["leaving"])))
        except (ValueError, TypeError, KeyError) as error:
            raise UnreadablePartitionError(f"its parts make no sense ({error})") from error
        if not parts or parts[0].range.start != 0:
            raise UnreadablePartitionError("its parts do not begin with the ring")
        return partition

    def __str__(self) -> str:
        parts = [[f"{part.range.start:016x}", part.holder, part.wanted, part.warm] for part in self.parts]
        content = {"generation": self.generation, "leaving": list(self.leaving), "parts": parts}
        return msgspec.json.encode({"version": VERSION, "sum": _sum(content), "content": content}).decode()

    def at(self, point: int) -> Part:
        """Return the part in which a hash lies."""
        return self.parts[bisect_right(self.parts, point, key=lambda part: part.range.start) - 1]

    def held_by(self, replica: str) -> HashRanges:
        return HashRanges.of(part.range for part in self.parts if part.holder == replica)

    def wanted_of(self, replica: str) -> HashRanges:
        return HashRanges.of(part.range for part in self.parts if part.wanted == replica)

    @property
    def replicas(self) -> set[str]:
        """Return who holds, or is wanted for, something."""
        return {name for part in self.parts for name in (part.holder, part.wanted) if name != NOBODY}

    def cut_at(self, points: Iterable[int]) -> Partition:
        """Return the same with further cuts; nobody's part changes."""
        cuts = sorted({part.range.start for part in self.parts} | {point for point in points if point < RING_END})
        ends = [*cuts[1:], RING_END]
        parts = (
            attrs.evolve(self.at(start), range=HashRange(start, end)) for start, end in zip(cuts, ends, strict=True)
        )
        return attrs.evolve(self, parts=tuple(parts))

    def with_wanted(self, wanted: Mapping[int, str]) -> Partition:
        """Return it with who is wanted from each of these points on, up to the next one."""
        starts = sorted(wanted)
        cut = self.cut_at(starts)
        return self.changed(
            _wanting(part, wanted[starts[bisect_right(starts, part.range.start) - 1]]) for part in cut.parts
        )


def balance(partition: Partition, replicas: Collection[str], weights: Weights) -> Partition:
    """Say who of the replicas is wanted where, so that each has about as much; what need not move stays.

    Args:
        replicas: who is there and stays.
        weights: where objects lie; empty where nothing is known.
    """
    if not replicas:
        return partition
    known = {point: weight for point, weight in weights.items() if weight > 0} or _even()
    points = sorted(known)
    moved = _least_moves(partition, sorted(replicas), points, known)
    balanced = partition.with_wanted(_as_cuts(points, moved))
    if len(balanced.parts) > PARTS_AT_MOST:
        balanced = partition.with_wanted(_as_cuts(points, _in_a_row(sorted(replicas), points, known)))
    return balanced


def shares(partition: Partition, weights: Weights) -> Counter[str]:
    """Return how much lies where each one is wanted."""
    found: Counter[str] = Counter()
    for point, weight in weights.items():
        found[partition.at(point).wanted] += weight
    return found


def is_uneven(counts: Mapping[str, int]) -> bool:
    """Tell whether somebody has more than `IMBALANCE` times the mean, by more than one object for each replica."""
    if not counts:
        return False
    mean = sum(counts.values()) / len(counts)
    return max(counts.values()) > max(IMBALANCE * mean, mean + len(counts))


def _sum(content: Any) -> str:
    return f"{ring_hash(msgspec.json.encode(content).decode()):016x}"


def _wanting(part: Part, wanted: str) -> Part:
    return part if part.wanted == wanted else attrs.evolve(part, wanted=wanted, warm=False)


def _even() -> dict[int, int]:
    return {number * (RING_END // EVEN_PLACES): 1 for number in range(EVEN_PLACES)}


def _least_moves(partition: Partition, replicas: list[str], points: list[int], weights: Weights) -> list[str]:
    """Return for each point who is wanted there: as now, but for what is too much, or wanted of nobody who is there."""
    limit = sum(weights.values()) / len(replicas)
    load: Counter[str] = Counter(dict.fromkeys(replicas, 0))
    result = [partition.at(point).wanted for point in points]
    loose: list[int] = []
    for number, point in enumerate(points):
        owner, weight = result[number], weights[point]
        # Half of a place may go over the mean: somebody has to have it.
        if owner in load and load[owner] + weight / 2 <= limit:
            load[owner] += weight
        else:
            loose.append(number)
    for number in loose:
        weight = weights[points[number]]
        beside = result[number - 1] if number else NOBODY  # whoever has its neighbour: fewer parts that way
        if beside not in load or load[beside] + weight / 2 > limit:
            beside = min(replicas, key=lambda name: load[name])
        result[number] = beside
        load[beside] += weight
    return result


def _in_a_row(replicas: list[str], points: list[int], weights: Weights) -> list[str]:
    """Return for each point who is wanted there, if everybody gets one piece of the ring."""
    total, before, result = sum(weights.values()), 0, []
    for point in points:
        middle = before + weights[point] / 2
        result.append(replicas[min(len(replicas) - 1, ceil(middle * len(replicas) / total) - 1)])
        before += weights[point]
    return result


def _as_cuts(points: list[int], owners: list[str]) -> dict[int, str]:
    """Return from which point on who is wanted: what lies before the first object belongs to the last's holder."""
    cuts = {0: owners[0]}
    last = owners[0]
    for point, owner in zip(points, owners, strict=True):
        if owner != last:
            cuts[point] = last = owner
    return cuts
