"""The only module that asks what time it is: of the running loop, or of the machine where none runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime


def loop_time() -> float:
    """Return the time of the running loop; the monotonic clock where none runs.

    On ordinary loops the two are the same. A loop with virtual time moves everything that goes by this one.
    """
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def machine_time() -> float:
    """Return the monotonic clock of the machine: for threads that block, while whatever loop they have stands still."""
    return time.monotonic()


def wall_time() -> datetime:
    """Return the date and time to stamp things with: the machine's, unless the running loop has a `wall_time()`.

    A loop with virtual time has one, so that what is stamped an hour later there is an hour apart.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return datetime.now(UTC)
    of_loop: Callable[[], datetime] | None = getattr(loop, "wall_time", None)
    return datetime.now(UTC) if of_loop is None else of_loop()
