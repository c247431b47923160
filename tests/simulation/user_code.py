"""User code that fails: reconcilers, predicates and subscribers that raise whatever comes to their mind."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

import attrs

from scopedcache.predicates import Change, Predicate

FAILURES: Final = (ValueError, KeyError, RecursionError, asyncio.CancelledError, SystemExit, StopIteration)


@attrs.define(eq=False)
class UserCode:
    """Fails with this chance, until it is mended.

    Attributes:
        fails: whether it ever does, in this life.
    """

    random: Random
    fails: bool
    chance: float = 0.0
    predicate: Predicate = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.predicate = Predicate(self._passes, "what may fail")

    def worsen(self) -> str:
        """Let it fail more often, or not at all."""
        self.chance = self.random.choice([0.0, 0.3, 1.0])
        return f"chance {self.chance:g}"

    def mend(self) -> None:
        self.chance = 0.0

    def perhaps_fail(self) -> None:
        if self.chance and self.random.random() < self.chance:
            raise self.random.choice(FAILURES)("no reason")

    def listen(self, change: object) -> None:
        """Hear of a change, as a subscriber does."""
        self.perhaps_fail()

    def _passes(self, change: Change) -> bool:
        self.perhaps_fail()
        return True
