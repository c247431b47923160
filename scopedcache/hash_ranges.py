"""Ranges of hashes: which objects belong to a shard, as the API server's sharded lists and watches mean it (KEP-5866).

An object's place on the ring is the 64-bit FNV-1a hash of the UTF-8 text of its namespace, or of its UID where its kind
is cluster-scoped. A server that knows sharding filters by the same hash; one that does not sends everything, in
silence, so whoever asks for a shard looks at each object itself too.

Like names lie together on the ring: the last characters of a text hardly move the upper bits of its hash. Ranges are
cut where the objects are (`controller/sharding/partition.py`), never at equal distances.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Final, Literal

import attrs

# FNV-1a, 64 bits: offset basis and prime (http://www.isthe.com/chongo/tech/comp/fnv/).
_BASIS: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
RING_END: Final = 2**64

# What the server can hash of an object.
ShardField = Literal["object.metadata.namespace", "object.metadata.uid"]
BY_NAMESPACE: Final[ShardField] = "object.metadata.namespace"
BY_UID: Final[ShardField] = "object.metadata.uid"
# A server that knows sharding answers this with 500, one that does not takes no notice of it.
MALFORMED_SELECTOR: Final = "shardRange("


@lru_cache(maxsize=65_536)
def ring_hash(text: str) -> int:
    """Return where a namespace, or a UID, lies on the ring."""
    found = _BASIS
    for byte in text.encode():
        found = (found ^ byte) * _PRIME & (RING_END - 1)
    return found


@attrs.frozen
class HashRange:
    """The hashes from `start` up to, and without, `end`."""

    start: int
    end: int

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.start < self.end <= RING_END:
            raise ValueError(f"no range of the ring: {self.start:#x} to {self.end:#x}")

    def __contains__(self, point: int) -> bool:
        return self.start <= point < self.end


@attrs.frozen
class HashRanges:
    """Some ranges of the ring, in its order; those that touch are one."""

    ranges: tuple[HashRange, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[HashRange]) -> HashRanges:
        """Return them in order, joined where they touch or overlap."""
        joined: list[HashRange] = []
        for one in sorted(ranges, key=lambda one: one.start):
            if joined and one.start <= joined[-1].end:
                joined[-1] = HashRange(joined[-1].start, max(joined[-1].end, one.end))
            else:
                joined.append(one)
        return cls(tuple(joined))

    @cached_property
    def _starts(self) -> list[int]:
        return [one.start for one in self.ranges]

    def __contains__(self, point: int) -> bool:
        before = bisect_right(self._starts, point) - 1
        return before >= 0 and point < self.ranges[before].end

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def covers(self, other: HashRanges) -> bool:
        """Tell whether all of the other lies in this."""
        return all(one.start in self and self._end_at(one.start) >= one.end for one in other.ranges)

    def _end_at(self, point: int) -> int:
        return self.ranges[bisect_right(self._starts, point) - 1].end

    def selector(self, field: ShardField) -> str:
        """Return them as the server's `shardSelector`: bounds in sixteen hex digits, the end exclusive."""
        return " || ".join(f"shardRange({field}, '{one.start:#018x}', '{one.end:#018x}')" for one in self.ranges)

    def __str__(self) -> str:
        return ", ".join(f"{one.start:#018x}–{one.end:#018x}" for one in self.ranges) or "nothing"


WHOLE_RING: Final = HashRanges((HashRange(0, RING_END),))
