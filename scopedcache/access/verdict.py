"""What is believed about one permission, and what each signal makes of it: a table, so that docs can be drawn from it.

A single "no" never takes anything away: an API server that has just restarted refuses everybody for a second, reviews
included, and behind a load balancer one replica may lag (semantics 1.3, 2.3, 7). Where there is nothing to lose yet,
one answered "no" is enough.
"""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import Final, Literal, get_args

import attrs

from ..api.permission import Permission
from ..errors import ForbiddenError, UnauthorizedError
from .hold_off import HOLD_OFF_SECONDS, REFUSALS_APART_SECONDS

VerdictState = Literal["probing", "allowed", "suspect", "denied", "absent", "unknown", "unauthenticated"]
# yes, no: a review answered. done, refused: a call of ours succeeded, met the authoriser's 403. missing: 404, the kind
# is not served. silent: no answer, 429, 5xx, or the review itself was refused. expired: 401 for as long as the bound.
Signal = Literal["yes", "no", "done", "refused", "missing", "silent", "expired"]
# From the best to the worst, for who wants to know how bad it is.
SEVERITY: Final[tuple[VerdictState, ...]] = (
    "allowed", "probing", "unknown", "absent", "suspect", "denied", "unauthenticated",
)  # fmt: skip

# What closes, and what an allowed permission comes back from.
DENYING: Final = frozenset[VerdictState](("denied", "unauthenticated"))

_SIGNALS: Final = frozenset(get_args(Signal))
# The last signals spoke against us.
_LOST: Final = frozenset[VerdictState](("suspect", "denied", "unauthenticated"))

# (state, signal) → state. Left out: the state stays. `confirm` is decided by time, see `Verdict.take`.
TABLE: Final[dict[tuple[VerdictState, Signal], VerdictState | Literal["confirm", "confirm-refused"]]] = {
    ("probing", "yes"): "allowed",
    ("probing", "done"): "allowed",
    ("probing", "no"): "denied",
    ("probing", "refused"): "suspect",
    ("probing", "missing"): "absent",
    ("probing", "silent"): "unknown",
    ("probing", "expired"): "unauthenticated",
    ("unknown", "yes"): "allowed",
    ("unknown", "done"): "allowed",
    # Not "denied": a streaming list needs no right to list, so data may be served while list was never answered.
    ("unknown", "no"): "suspect",
    ("unknown", "refused"): "suspect",
    ("unknown", "missing"): "absent",
    ("unknown", "expired"): "unauthenticated",
    ("allowed", "no"): "suspect",
    ("allowed", "refused"): "suspect",
    ("allowed", "missing"): "absent",
    ("allowed", "expired"): "unauthenticated",
    ("suspect", "yes"): "allowed",
    ("suspect", "done"): "allowed",
    ("suspect", "no"): "confirm",
    ("suspect", "refused"): "confirm-refused",
    ("suspect", "expired"): "unauthenticated",
    ("denied", "yes"): "allowed",
    ("denied", "done"): "allowed",
    ("absent", "done"): "allowed",
    ("absent", "no"): "suspect",
    ("absent", "refused"): "suspect",
    ("absent", "expired"): "unauthenticated",
    ("unauthenticated", "yes"): "allowed",
    ("unauthenticated", "done"): "allowed",
    ("unauthenticated", "no"): "denied",
}


@attrs.frozen
class Step:
    """What a signal did to a verdict, and what it asks for.

    Attributes:
        before: the state that it ended; None where the state stayed.
        confirm_at: when the question is to be asked again, so that the answer counts; None where it is not.
    """

    before: VerdictState | None
    confirm_at: float | None


@attrs.define
class Verdict:
    """The state of one permission.

    Attributes:
        since: when it became so, in the monitor's seconds.
        evidence: when it was last confirmed, in the same; minus infinity where it never was.
        refused_at: the date of the first refusal of those that last.
    """

    permission: Permission
    state: VerdictState = "probing"
    since: float = 0.0
    evidence: float = -inf
    refused_at: datetime | None = None

    def take(
        self,
        signal: Signal,
        now: float,
        wall: datetime,
        *,
        hold_off: float = HOLD_OFF_SECONDS,
        attempting: bool = False,
    ) -> Step:
        """Take in one signal.

        Args:
            now: the time in the monitor's seconds.
            wall: the date, which errors carry.
            hold_off: how far apart two answers of reviews must be to deny.
            attempting: no review answers; two refused calls deny.
        """
        if signal not in _SIGNALS:
            raise ValueError(f"no such signal: {signal}")
        if signal in ("yes", "done"):
            self.evidence = now
        before, target = self.state, TABLE.get((self.state, signal), self.state)
        if target == "confirm":
            target = "denied" if now - self.since >= hold_off else "suspect"
        elif target == "confirm-refused":
            target = "denied" if attempting and now - self.since >= REFUSALS_APART_SECONDS else "suspect"
        if target != before:
            if target in _LOST and not self.lost:
                self.refused_at = wall
            self.state, self.since = target, now
        confirm_at = None
        if target == "suspect" and (target != before or signal == ("refused" if attempting else "no")):
            confirm_at = self.since + (REFUSALS_APART_SECONDS if attempting else hold_off)
        return Step(before if target != before else None, confirm_at)

    @property
    def lost(self) -> bool:
        """Tell whether the last signals spoke against us."""
        return self.state in _LOST

    @property
    def unreviewed(self) -> bool:
        """Tell whether no review has spoken of it yet, not even by failing."""
        return self.state == "probing"

    @property
    def denying(self) -> bool:
        """Tell whether it is missing for certain: what is seen by it must be closed."""
        return self.state in DENYING

    @property
    def granted(self) -> bool:
        """Tell whether it is there for certain."""
        return self.state == "allowed"

    @property
    def unserved(self) -> bool:
        """Tell whether a request met a 404: the kind may not be served any more."""
        return self.state == "absent"

    @property
    def settled(self) -> bool:
        """Tell whether there is an answer to give: everything but a question nobody has answered yet."""
        return self.state not in ("probing", "unknown")

    @property
    def open(self) -> bool:
        """Tell whether list and watch may be sent. Nothing known against it is not a yes, but must be tried."""
        return self.state in ("allowed", "absent", "unknown")

    def error(self, *, cached: bool = True) -> ForbiddenError | UnauthorizedError:
        """Return what a reader is to be told."""
        permission = self.permission
        if self.state == "unauthenticated":
            return UnauthorizedError(
                "the credentials were refused", status=401, reason="Unauthorized",
                verb=permission.verb, resource=permission.subject, namespace=permission.namespace, name=permission.name,
            )  # fmt: skip
        return ForbiddenError(
            since=self.refused_at, by="authorizer", cached=cached,
            verb=permission.verb, resource=permission.subject, namespace=permission.namespace, name=permission.name,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.permission.verb} {self.permission.subject}: {self.state}"
