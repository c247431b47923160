"""Attempt mode: where reviews are refused, only trying tells what we may do.

This file says when it begins and ends, what is tried, and when who waits may try again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf
from typing import Final

import attrs

from ..api.permission import Permission
from ..errors import ScopedCacheError
from .hold_off import is_lost_connection
from .refusals import REFUSALS_APART_SECONDS
from .verdict import Verdict

# Reviews refused for this long, while something else of ours succeeded, are refused for good. A server that comes up
# refuses everything for a second or two, and what it is asked about itself.
REVIEWS_REFUSED_SECONDS: Final = 10.0
# The same where nothing of ours succeeds at all, counted from the last lost connection: no server comes up that slowly.
EVERYTHING_REFUSED_SECONDS: Final = 15.0
# An attempt comes no sooner than this after it was asked for.
SHORTEST_PAUSE_SECONDS: Final = 0.5


@attrs.define
class AttemptMode:
    """Begins with the first refused review where none was ever answered, else when refusals last; an answer ends it."""

    active: bool = attrs.field(default=False, init=False)
    _answered_once: bool = attrs.field(default=False, init=False)
    _refused_since: float | None = attrs.field(default=None, init=False)
    _succeeded_at: float = attrs.field(default=-inf, init=False)
    _lost_at: float = attrs.field(default=-inf, init=False)

    def observe(self, error: ScopedCacheError | None, now: float) -> None:
        """Take in how one of our requests ended, one that was no review."""
        if error is None:
            self._succeeded_at = now
        elif is_lost_connection(error):
            self._lost_at = now

    def review_answered(self) -> bool:
        """Take in that a review was answered; tell whether the mode ends with it."""
        ends = self.active
        self._answered_once, self._refused_since, self.active = True, None, False
        return ends

    def review_refused(self, now: float) -> bool:
        """Take in that a review met a 403; tell whether the mode begins with it."""
        if self._refused_since is None:
            self._refused_since = now
        begins = not self.active and (not self._answered_once or self._lasts(now))
        self.active = self.active or begins
        return begins

    def _lasts(self, now: float) -> bool:
        assert self._refused_since is not None
        if now - self._refused_since >= REVIEWS_REFUSED_SECONDS and self._succeeded_at >= self._refused_since:
            return True
        return now - max(self._refused_since, self._lost_at) >= EVERYTHING_REFUSED_SECONDS

    def wants_success(self, now: float) -> bool:
        """Tell whether a success of anything else would begin the mode with the next refused review."""
        if self.active or self._refused_since is None or self._succeeded_at >= self._refused_since:
            return False
        return now - self._refused_since >= REVIEWS_REFUSED_SECONDS

    def decided_at(self, now: float) -> float | None:
        """Return when another refused review is to be asked for; None where nothing is to be decided then."""
        if self.active or self._refused_since is None:
            return None
        decided_at = self._refused_since + REVIEWS_REFUSED_SECONDS
        return decided_at if decided_at > now else None


def permissions_to_try(verdicts: Iterable[Verdict]) -> list[Permission]:
    """Return what to try of a place: what was refused, and every list, for an open watch tells nothing about it."""
    return [v.permission for v in verdicts if v.permission.verb == "list" or (v.permission.verb == "watch" and v.lost)]


def seconds_until_attempt(verdicts: Collection[Verdict], now: float) -> float | None:
    """Return how long until a second attempt counts; None where a denial is settled."""
    suspects = [verdict.since for verdict in verdicts if verdict.state == "suspect"]
    if not suspects or any(verdict.state == "denied" for verdict in verdicts):
        return None
    return max(SHORTEST_PAUSE_SECONDS, max(suspects) + REFUSALS_APART_SECONDS - now)
