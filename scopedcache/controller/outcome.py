"""What a reconcile came to, and what is due for its key then.

    it returned                   → forget the back-off; once more after `requeue_after`, if it said so
    it raised Forbidden, by the   → tell the owner; no retry: the grant requeues it, and a net every ten minutes
        authoriser
    it raised NotSynced or        → no retry where the cache tells the owner when it is over; a net as above
        UnknownKind
    it raised TerminalError       → log; nothing until something changes
    it passed its deadline        → log; retry with back-off
    it raised anything else       → log; retry with back-off

A 403 by admission (quota, PodSecurity, a webhook) is an ordinary failure: what refused it may be gone by the next try.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import attrs

from ..errors import CacheError, ForbiddenError, NotSyncedError, TerminalError
from .request import Result

Ending = Literal["success", "requeue_after", "forbidden", "waiting", "terminal", "timeout", "error"]

# The net under a lost notification; wide, since each denied key costs a run.
FORBIDDEN_REQUEUE_SECONDS: Final = 600.0


@attrs.frozen
class Outcome:
    """How a reconcile ended.

    Attributes:
        ending: the value of the `result` label in the metrics.
        error: what was raised; for `forbidden` the ForbiddenError itself, also where it came inside a group.
        after: seconds until the key runs again at the latest; None for no such time.
        rate_limited: the key runs again after its back-off.
    """

    ending: Ending
    error: BaseException | None = None
    after: float | None = None
    rate_limited: bool = False


def judge_result(answer: object) -> Outcome:
    """Judge what a reconcile returned; None is as good as an empty Result."""
    if answer is None:
        return Outcome("success")
    if not isinstance(answer, Result):
        error = TypeError(f"a reconcile returns a Result or None, not {type(answer).__name__}")
        return Outcome("error", error, rate_limited=True)
    if answer.requeue_after is None:
        return Outcome("success")
    return Outcome("requeue_after", after=answer.requeue_after)


def judge_error(error: BaseException) -> Outcome:
    """Judge what a reconcile raised; a group counts as what all of its members are."""
    leaves = list(_leaves(error))
    refusals = [leaf for leaf in leaves if isinstance(leaf, ForbiddenError) and leaf.by == "authorizer"]
    awaited = [leaf for leaf in leaves if isinstance(leaf, CacheError) and leaf.awaited]
    if len(refusals) + len(awaited) == len(leaves):
        refused = next(iter(refusals), None)
        return Outcome("forbidden" if refused else "waiting", refused or error, after=FORBIDDEN_REQUEUE_SECONDS)
    if all(isinstance(leaf, NotSyncedError) for leaf in leaves):
        return Outcome("waiting", error, rate_limited=True)
    if all(isinstance(leaf, TerminalError) for leaf in leaves):
        return Outcome("terminal", error)
    return Outcome("error", error, rate_limited=True)


def judge_timeout(deadline: float) -> Outcome:
    """Judge a reconcile that we ended at its deadline."""
    return Outcome("timeout", TimeoutError(f"the deadline of {deadline:g} s passed"), rate_limited=True)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error
