"""Which replicas are there, by their Leases: decisions, with the clock coming in.

As in leader election: a Lease counts for its own duration after it was last seen to change, by the local clock; here a
touch counts as well, for what somebody edits over and over may hide that it was renewed. Who has no Lease counts as
long as one would last from when that was first noticed. Whoever has released its Lease is given no work any more. Its
parts it has given up before; where the partition names it still somebody has edited the Lease, and it counts as if
nobody had. So does a duration that is shorter than ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import attrs

from ..manager.election_rules import LeaseRecord

# How many primaries a replica works on; what it has seen of the partition.
OBJECTS_ANNOTATION: Final = "sharding.scopedcache.dev/objects"
GENERATION_ANNOTATION: Final = "sharding.scopedcache.dev/generation"


@attrs.frozen
class Member:
    """A replica's Lease, as it says."""

    record: LeaseRecord
    objects: int = 0
    generation: int = 0


class Members:
    """Who is there. `duration` is how long somebody counts of whom there is no Lease."""

    def __init__(self, duration: float) -> None:
        self._duration = duration
        self._members: dict[str, Member] = {}
        self._changed: dict[str, float] = {}
        self._missed: dict[str, float] = {}  # since when there is no Lease of a name
        self._named: frozenset[str] = frozenset()  # by the partition

    def observe(self, members: Mapping[str, Member], named: Collection[str], now: float) -> None:
        """Take note of all Leases, by replica, and of the replicas that the partition names."""
        for name, member in members.items():
            known = self._members.get(name)
            if known is None or known.record.version != member.record.version:
                self._changed[name] = now
        self._members = dict(members)
        self._named = frozenset(named)
        self._missed = {name: self._missed.get(name, now) for name in named if name not in members}

    def alive(self, now: float) -> set[str]:
        """Return who may be at work, for all we know."""
        known = {
            name
            for name, member in self._members.items()
            if (member.record.holder or name in self._named)
            and now < self._changed[name] + max(member.record.duration, self._duration)
        }
        return known | {name for name, since in self._missed.items() if now < since + self._duration}

    def there(self, now: float) -> set[str]:
        """Return who is there and can be given work: a Lease of theirs was seen, and it is held."""
        return self.alive(now) & {name for name, member in self._members.items() if member.record.holder}

    def ended(self, now: float, seconds: float) -> list[str]:
        """Return whose Leases have been nobody's, or run out, for so long."""
        return [
            name
            for name, member in self._members.items()
            if now >= self._changed[name] + member.record.duration + seconds
        ]

    def objects(self, names: Collection[str]) -> dict[str, int]:
        """Return how many objects each of them works on."""
        return {name: self._members[name].objects for name in names if name in self._members}

    @property
    def generation(self) -> int:
        """Return the newest generation of the partition that anybody has seen."""
        return max((member.generation for member in self._members.values()), default=0)
