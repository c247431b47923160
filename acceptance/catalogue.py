"""All rows, in groups that share a world."""

from __future__ import annotations

import functools
from pathlib import Path

from . import steps
from .rows import Group
from .world import started


def groups(logs: Path | None) -> list[Group]:
    """Return all groups; `logs` is where their processes keep their logs, a temporary folder by default."""
    return [
        Group("the ten steps", functools.partial(started, logs, "steps", applied=False), steps.ROWS, story=True),
    ]
