"""The time that rows go by: the machine's, or that of a loop in this process, where a pause costs nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import attrs

from scopedcache.testing import virtual_time
from scopedcache.testing.virtual_time import VirtualTimeLoop


class Time(Protocol):
    """A clock, and how to let it go on."""

    def now(self) -> float:
        """Return seconds; only differences mean something."""

    def pause(self, seconds: float) -> None:
        """Let so many seconds pass, and everything happen that is due in them."""


class MachineTime:
    """The time of the machine: a pause sleeps."""

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@attrs.frozen
class LoopTime:
    """The virtual time of a loop that this thread runs whenever it pauses.

    A pause ends when all that is due has been done: rows never look between the end of a watch and its renewal.
    """

    loop: VirtualTimeLoop

    def now(self) -> float:
        return self.loop.time()

    def pause(self, seconds: float) -> None:
        self.loop.run_until_complete(virtual_time.after(seconds))


_time: ContextVar[Time] = ContextVar("time", default=MachineTime())  # noqa: B039  (it has no state)


def now() -> float:
    """Return the time that the rows of this thread go by."""
    return _time.get().now()


def pause(seconds: float) -> None:
    """Let this time pass."""
    _time.get().pause(seconds)


@contextmanager
def going_by(chosen: Time) -> Iterator[None]:
    """Go by this time as long as the block lasts."""
    token = _time.set(chosen)
    try:
        yield
    finally:
        _time.reset(token)
