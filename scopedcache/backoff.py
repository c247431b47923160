"""Pauses that grow: between two tries of the same thing."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs


@attrs.define
class Backoff:
    """Pauses that grow by `factor` from `base` to `cap` seconds, each with up to `jitter` of it added.

    The defaults are client-go's for reflectors (0.8 s, ×2, 30 s), which servers are used to.
    """

    base: float = 0.8
    factor: float = 2.0
    cap: float = 30.0
    jitter: float = 0.5
    chance: Callable[[], float] = random.random
    _tries: int = attrs.field(default=0, init=False)

    def next(self) -> float:
        """Return the next pause, in seconds."""
        pause = min(self.cap, self.base * self.factor**self._tries)
        self._tries = min(self._tries + 1, 32)
        return pause * (1 + self.jitter * self.chance())

    def reset(self) -> None:
        """Begin with the smallest pause again."""
        self._tries = 0
