"""What is believed about one permission, and what each signal makes of it: a table, so that docs can be drawn from it.

A single "no" never takes anything away: an API server that has just restarted refuses everybody for a second, reviews
included, and behind a load balancer one replica may lag (semantics 1.3, 2.3, 7). Where there is nothing to lose yet,
one answered "no" is enough. Whether the server was ready for its "no" is found out elsewhere (readiness.py).
"""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import Final, Literal, get_args

import attrs

from ..api.permission import Permission
from ..errors import ForbiddenError, UnauthorizedError
from .hold_off import HOLD_OFF_SECONDS
from .readiness import READY_WAIT_SECONDS
from .refusals import REFUSALS_APART_SECONDS, Refusals, is_tried

VerdictState = Literal["probing", "allowed", "suspect", "denied", "absent", "unknown", "unauthenticated"]
# yes, no: a review answered. unready: a review answered "no", by a server that is not ready. done, refused: a call of
# ours succeeded, met the authoriser's 403. refusals, refusals-unready: after the second such 403 (see refusals.py), the
# server was ready, or not. missing: 404, the kind is not served. silent: no answer, 429, 5xx, or the review itself was
# refused. expired: 401 for as long as the bound.
Signal = Literal[
    "yes", "no", "unready", "done", "refused", "refusals", "refusals-unready", "missing", "silent", "expired"
]
# From the best to the worst, for who wants to know how bad it is.
SEVERITY: Final[tuple[VerdictState, ...]] = (
    "allowed", "probing", "unknown", "absent", "suspect", "denied", "unauthenticated",
)  # fmt: skip

# What closes, and what an allowed permission comes back from.
DENYING: Final = frozenset[VerdictState](("denied", "unauthenticated"))

_SIGNALS: Final = frozenset(get_args(Signal))
# The last signals spoke against us.
_LOST: Final = frozenset[VerdictState](("suspect", "denied", "unauthenticated"))

# What becomes of a signal in a state, where more than these two decides:
# confirm: denied once the doubt has lasted for the hold-off, suspect before. outwait: as it was until the server has
# said "no" for as long as its readiness is waited for, denied then. judge: denied if the refusals count, as it was
# before. trust: allowed, unless refusals deny: those only a success ends.
Decided = Literal["confirm", "outwait", "judge", "trust"]

# (state, signal) → state. Left out: the state stays. See `Verdict.take` for what is `Decided` there.
TABLE: Final[dict[tuple[VerdictState, Signal], VerdictState | Decided]] = {
    ("probing", "yes"): "allowed",
    ("probing", "done"): "allowed",
    ("probing", "no"): "denied",
    ("probing", "unready"): "unknown",
    ("probing", "refused"): "suspect",
    ("probing", "refusals"): "judge",
    ("probing", "refusals-unready"): "judge",
    ("probing", "missing"): "absent",
    ("probing", "silent"): "unknown",
    ("probing", "expired"): "unauthenticated",
    ("unknown", "yes"): "allowed",
    ("unknown", "done"): "allowed",
    # Not "denied": a streaming list needs no right to list, so data may be served while list was never answered.
    ("unknown", "no"): "suspect",
    ("unknown", "unready"): "outwait",
    ("unknown", "refused"): "suspect",
    ("unknown", "refusals"): "judge",
    ("unknown", "refusals-unready"): "judge",
    ("unknown", "missing"): "absent",
    ("unknown", "expired"): "unauthenticated",
    ("allowed", "no"): "confirm",
    ("allowed", "unready"): "outwait",
    ("allowed", "refused"): "suspect",
    ("allowed", "refusals"): "judge",
    ("allowed", "refusals-unready"): "judge",
    ("allowed", "missing"): "absent",
    ("allowed", "expired"): "unauthenticated",
    ("suspect", "yes"): "allowed",
    ("suspect", "done"): "allowed",
    ("suspect", "no"): "confirm",
    ("suspect", "unready"): "outwait",
    ("suspect", "refusals"): "judge",
    ("suspect", "refusals-unready"): "judge",
    ("suspect", "expired"): "unauthenticated",
    ("denied", "yes"): "trust",
    ("denied", "done"): "allowed",
    ("denied", "refusals"): "judge",
    ("denied", "refusals-unready"): "judge",
    ("absent", "done"): "allowed",
    ("absent", "no"): "suspect",
    ("absent", "unready"): "outwait",
    ("absent", "refused"): "suspect",
    ("absent", "refusals"): "judge",
    ("absent", "refusals-unready"): "judge",
    ("absent", "expired"): "unauthenticated",
    ("unauthenticated", "yes"): "trust",
    ("unauthenticated", "done"): "allowed",
    ("unauthenticated", "no"): "denied",
}


@attrs.frozen
class Step:
    """What a signal did to a verdict, and what it asks for.

    Attributes:
        before: the state that it ended; None where the state stayed.
        confirm_at: when the question is to be asked again, so that the answer counts; None where it is not.
        ask_ready: the server is to be asked whether it is ready, and its answer to be taken as `refusals`.
        attempt: the permission is to be tried: only its success can end what refusals of our calls say.
    """

    before: VerdictState | None
    confirm_at: float | None
    ask_ready: bool = False
    attempt: bool = False


@attrs.define
class Verdict:
    """The state of one permission.

    Attributes:
        since: when it became so, in the monitor's seconds.
        evidence: when it was last confirmed, in the same; minus infinity where it never was.
        refused_at: the date of the first refusal of those that last.
        refusals: the 403s that our own calls met.
        cluster: which of several it is about, for errors.
    """

    permission: Permission
    state: VerdictState = "probing"
    since: float = 0.0
    evidence: float = -inf
    refused_at: datetime | None = None
    refusals: Refusals = attrs.field(factory=Refusals)
    cluster: str = ""
    _no_since: float | None = None  # the first "no" of those that nothing spoke against

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
            attempting: no review answers: only refused calls can deny.
        """
        if signal not in _SIGNALS:
            raise ValueError(f"no such signal: {signal}")
        before = self.state
        ask_ready = self._note(signal, now)
        target = self._decide(signal, now, hold_off)
        if target != before:
            if target in _LOST and not self.lost:
                self.refused_at = wall
            self.state, self.since = target, now
        changed = target != before
        return Step(
            before if changed else None,
            None if ask_ready else self._confirm_at(signal, now, changed, hold_off, attempting),
            ask_ready,
            attempt=signal == "yes" and (tried_at := self.refusals.tried_at) is not None and now >= tried_at,
        )

    def _note(self, signal: Signal, now: float) -> bool:
        """Remember what outlasts the state; tell whether a second refusal is to be judged."""
        match signal:
            case "done":
                self.evidence, self._no_since = now, None
                self.refusals.ended()
            case "yes":
                self._no_since = None
                if not self.refusals.stand:
                    self.evidence = now
            case "no" | "unready" if self._no_since is None:
                self._no_since = self.since if self.state == "suspect" else now
            case "refused" if is_tried(self.permission):
                return self.refusals.met(now)
        return False

    def _decide(self, signal: Signal, now: float, hold_off: float) -> VerdictState:
        target = TABLE.get((self.state, signal), self.state)
        doubted = now - self._no_since if self._no_since is not None else 0.0
        match target:
            case "confirm":
                return "denied" if doubted >= hold_off else "suspect"
            case "outwait":
                return "denied" if doubted >= READY_WAIT_SECONDS else self.state
            case "judge":
                return "denied" if self.refusals.judged(signal == "refusals", now) else self.state
            case "trust":
                return "denied" if self.refusals.stand else "allowed"
        return target

    def _confirm_at(self, signal: Signal, now: float, changed: bool, hold_off: float, attempting: bool) -> float | None:
        """Return when the next answer decides, where one is to be asked for."""
        if signal == "unready" and self.state not in ("denied", "unauthenticated") and self._no_since is not None:
            return self._no_since + READY_WAIT_SECONDS
        if signal == "yes" and not self.refusals.stand and (tried_at := self.refusals.tried_at) is not None:
            return tried_at if now < tried_at else None
        if self.state != "suspect":
            return None
        if attempting and signal == "refusals-unready":
            return self.refusals.judged_again_at
        if attempting:
            return self.since + REFUSALS_APART_SECONDS if changed or signal == "refused" else None
        if changed or signal == "no":
            return (self.since if self._no_since is None else self._no_since) + hold_off
        return None

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
                identity=permission.identity, cluster=self.cluster,
            )  # fmt: skip
        return ForbiddenError(
            since=self.refused_at, by="authorizer", cached=cached,
            verb=permission.verb, resource=permission.subject, namespace=permission.namespace, name=permission.name,
            identity=permission.identity, cluster=self.cluster,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.permission.verb} {self.permission.subject}: {self.state}"
