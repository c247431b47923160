"""How long a key waits until what happens to it has settled: many changes, one run.

Plain: it is told of events and asked when a key is picked. A key waits in the queue meanwhile, and no worker for it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

K = TypeVar("K", bound=Hashable)


@attrs.frozen
class _Unsettled:
    first: float
    last: float


class Settling(Generic[K]):
    """The keys to which something has happened since they ran last.

    Args:
        quiet: seconds without an event after which a key runs.
        at_most: seconds after the first event in which it runs however many come; None for no such time.

    Raises:
        ValueError: a number makes no sense.
    """

    def __init__(self, quiet: float, at_most: float | None) -> None:
        if quiet < 0:
            raise ValueError(f"settle= is in seconds, not {quiet}")
        if at_most is not None and at_most < quiet:
            raise ValueError(f"at_most= ({at_most}) is no shorter than settle= ({quiet})")
        self.quiet = quiet
        self._at_most = at_most
        self._keys: dict[K, _Unsettled] = {}

    def note(self, key: K, now: float) -> None:
        """Something happened."""
        before = self._keys.get(key)
        self._keys[key] = _Unsettled(now if before is None else before.first, now)

    def remaining(self, key: K, now: float) -> float:
        """Return the seconds that a key still waits; 0 where it may run."""
        found = self._keys.get(key)
        if found is None:
            return 0.0
        due = found.last + self.quiet
        if self._at_most is not None:
            due = min(due, found.first + self._at_most)
        return max(0.0, due - now)

    def clear(self, key: K) -> None:
        """A key runs now, or never."""
        self._keys.pop(key, None)

    def __len__(self) -> int:
        return len(self._keys)
