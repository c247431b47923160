"""Waiting for what must happen, and watching for what must not.

A *problem* is a function that returns what is wrong in words, and nothing when all is well. So a row that fails says
what it saw last, not that some condition was false.
"""

from __future__ import annotations

from collections.abc import Callable

from scopedcache.errors import ScopedCacheError

from .clock import now, pause

Problem = Callable[[], str | None]

INTERVAL = 0.05


class Failed(Exception):
    """A promise was not kept; the message says which one, and what was seen instead."""


class NotRun(Exception):
    """A row cannot be run here; the message says why."""


def eventually(
    what: str, problem: Problem, *, within: float, since: float | None = None, interval: float = INTERVAL
) -> float:
    """Wait until there is no problem left and return the seconds since `since` (`now()`; now by default).

    A request that fails meanwhile is a problem too: servers are stopped under rows.

    Raises:
        Failed: it took longer than `within`.
    """
    began = now() if since is None else since
    while True:
        asked = now()
        wrong = _ask(problem)
        if not wrong:
            return max(0.0, now() - began)
        if asked - began > within:
            raise Failed(f"{what}: not within {within:g} s; {wrong}")
        pause(interval)


def never(what: str, problem: Problem, *, during: float, interval: float = 0.2) -> None:
    """Watch for `during` seconds that no problem comes up.

    Raises:
        Failed: it did; the message says after how long.
    """
    began = now()
    while (passed := now() - began) < during:
        if wrong := problem():
            raise Failed(f"{what}: after {passed:.1f} s {wrong}")
        pause(min(interval, during))
    if wrong := problem():
        raise Failed(f"{what}: after {during:g} s {wrong}")


def require(wrong: str | None, what: str) -> None:
    """Raise Failed if something is wrong now."""
    if wrong:
        raise Failed(f"{what}: {wrong}")


def sleep_until(moment: float) -> None:
    """Sleep until a moment of `now()`; return at once when it has passed."""
    pause(max(0.0, moment - now()))


def first(*problems: str | None) -> str | None:
    """Return the first problem there is."""
    return next((wrong for wrong in problems if wrong), None)


def differs(name: str, seen: object, expected: object) -> str | None:
    """Return in words that a value is not what it should be."""
    return None if seen == expected else f"{name} is {seen!r}, expected {expected!r}"


def _ask(problem: Problem) -> str | None:
    try:
        return problem()
    except ScopedCacheError as error:
        return f"the question failed: {error}"
