"""Attempt mode: where reviews are refused, only trying tells what we may do.

This file says when it begins and ends, what is tried, and when a second refusal counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import attrs

from ..api.permission import Permission
from ..errors import ScopedCacheError, TransportError
from .hold_off import REFUSALS_APART_SECONDS
from .verdict import Verdict

# Reviews refused for this long, with no connection lost meanwhile, are refused for good. A server that comes up
# refuses them for a second or two.
REVIEWS_REFUSED_SECONDS: Final = 10.0
# An attempt comes no sooner than this after it was asked for.
SHORTEST_PAUSE_SECONDS: Final = 0.05


@attrs.define
class AttemptMode:
    """Begins with the first refused review where none was ever answered, else when refusals last; an answer ends it."""

    active: bool = attrs.field(default=False, init=False)
    _answered_once: bool = attrs.field(default=False, init=False)
    _refused_since: float | None = attrs.field(default=None, init=False)

    def observe(self, error: ScopedCacheError | None) -> None:
        """Take in how one of our requests ended."""
        if isinstance(error, TransportError):
            self._refused_since = None

    def review_answered(self) -> bool:
        """Take in that a review was answered; tell whether the mode ends with it."""
        ends = self.active
        self._answered_once, self._refused_since, self.active = True, None, False
        return ends

    def review_refused(self, now: float) -> bool:
        """Take in that a review met a 403; tell whether the mode begins with it."""
        if self._refused_since is None:
            self._refused_since = now
        lasting = now - self._refused_since >= REVIEWS_REFUSED_SECONDS
        begins = not self.active and (lasting or not self._answered_once)
        self.active = self.active or begins
        return begins

    @property
    def decided_at(self) -> float | None:
        """Return when another refused review would begin the mode; None where nothing is to be decided."""
        if self.active or self._refused_since is None:
            return None
        return self._refused_since + REVIEWS_REFUSED_SECONDS


def permissions_to_try(verdicts: Iterable[Verdict]) -> list[Permission]:
    """Return what to try of a place: what was refused, and every list, for an open watch tells nothing about it."""
    return [v.permission for v in verdicts if v.permission.verb == "list" or (v.permission.verb == "watch" and v.lost)]


def seconds_until_attempt(verdicts: Collection[Verdict], now: float) -> float | None:
    """Return how long until a second attempt counts; None where a denial is settled."""
    suspects = [verdict.since for verdict in verdicts if verdict.state == "suspect"]
    if not suspects or any(verdict.state == "denied" for verdict in verdicts):
        return None
    return max(SHORTEST_PAUSE_SECONDS, max(suspects) + REFUSALS_APART_SECONDS - now)
