"""Work over many objects that is done in steps, so that whoever does it may give the loop back in between.

A handler that comes late and is told of a hundred thousand objects, an index over them, their burial: none of that may
hold the loop. What concerns few objects is done at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

# So many objects are no work.
FEW_OBJECTS: Final = 256
# Objects between two steps.
OBJECTS_PER_STEP: Final = 32


class Backlog:
    """Jobs, one after the other. `on_work` is told when there is some; until somebody works it off, it waits."""

    def __init__(self) -> None:
        self.on_work: Callable[[], None] | None = None
        self._jobs: deque[Iterator[None]] = deque()

    def add(self, job: Iterator[None], objects: int) -> None:
        """Do a job: at once where it is about few objects, or where nobody would do it later."""
        if objects <= FEW_OBJECTS or self.on_work is None:
            for _ in job:
                pass
            return
        self._jobs.append(job)
        self.on_work()

    def work(self) -> Iterator[None]:
        """Do everything, a step at a time."""
        while self._jobs:
            yield from self._jobs.popleft()

    def __bool__(self) -> bool:
        return bool(self._jobs)


def free(content: dict[Any, Any]) -> Iterator[None]:
    """Empty a dict a step at a time: what it holds is freed by that."""
    number = 0
    while content:
        content.popitem()
        number += 1
        if number % OBJECTS_PER_STEP == 0:
            yield
