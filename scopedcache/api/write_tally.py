"""How many objects something has written: whoever wants to know puts a tally into its context.

Every client counts there, whoever it sends as and whichever server it talks to; tasks and threads that something starts
count with it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

import attrs


@attrs.define(eq=False)
class WriteTally:
    """Writes that a server has answered with an object, or with its end."""

    writes: int = 0


CURRENT_TALLY: Final[ContextVar[WriteTally | None]] = ContextVar("scopedcache_write_tally", default=None)


def count_write() -> None:
    """Count a write, if somebody wants to know."""
    tally = CURRENT_TALLY.get()
    if tally is not None:
        tally.writes += 1
