"""A reconciler that wakes itself: each run writes something, and the event of that write is what makes it run again.

A run that finds nothing to write ends such a row, and so does anything else that happens: an event while no run is
under way, or more events during a run than it wrote objects. What our own client writes is told before its answer, so
the event of a run's own write comes while the run lasts.

Plain and synchronous. Said once: it is the reconciler that has to be changed, whatever the object.
"""

from __future__ import annotations

from typing import Final

import attrs

from ..kinds import ObjectKey

# A reconciler that moves on in steps, each of which it writes down, has fewer of them.
RUNS_IN_A_ROW: Final = 10


@attrs.frozen
class Wakes:
    """What a run has woken.

    Attributes:
        only_own: the key was woken while it ran, by nothing but what it wrote.
        is_news: it is time to say that the reconciler wakes itself.
    """

    only_own: bool
    is_news: bool = False


class SelfWaking:
    """Counts, for each key, the runs in a row that nothing but the run before has woken."""

    def __init__(self) -> None:
        self._wakes: dict[ObjectKey, int] = {}  # of the runs under way
        self._rows: dict[ObjectKey, int] = {}
        self._is_said = False

    def begin(self, key: ObjectKey) -> None:
        """A run begins."""
        self._wakes[key] = 0

    def woken(self, key: ObjectKey) -> None:
        """Something has happened for which the key is to run."""
        if key in self._wakes:
            self._wakes[key] += 1
        else:
            self._rows.pop(key, None)

    def end(self, key: ObjectKey, writes: int) -> Wakes:
        """A run has ended that wrote so many objects: return what it has woken."""
        wakes = self._wakes.pop(key, 0)
        if not 0 < wakes <= writes:
            self._rows.pop(key, None)
            return Wakes(only_own=False)
        row = self._rows[key] = self._rows.get(key, 0) + 1
        if self._is_said or row < RUNS_IN_A_ROW:
            return Wakes(only_own=True)
        self._is_said = True
        return Wakes(only_own=True, is_news=True)

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._rows.pop(key, None)
