"""Where reviews are refused, only trying tells: which rights to try, and when a second refusal counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..api.permission import Permission
from .verdict import ATTEMPTS_APART_SECONDS, Verdict


def worth_trying(verdicts: Iterable[Verdict]) -> list[Permission]:
    """Return what to try of a place: what was refused, and every list, for an open watch tells nothing about it."""
    return [v.permission for v in verdicts if v.permission.verb == "list" or (v.permission.verb == "watch" and v.lost)]


def until_next(verdicts: Collection[Verdict], now: float) -> float | None:
    """Return how long until a second attempt counts; None where a denial is settled."""
    suspects = [verdict.since for verdict in verdicts if verdict.state == "suspect"]
    if not suspects or any(verdict.state == "denied" for verdict in verdicts):
        return None
    return max(0.05, max(suspects) + ATTEMPTS_APART_SECONDS - now)
