"""May I do this here? One table of verdicts, kept true by the cheapest signals there are.

The calls we make anyway, one rules review per place in use and period, hints from RBAC events, and a second review to
confirm. All reviews of a place are shared, and all places share one budget. The rules are in verdict.py; this file
asks, waits and tells.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from ..api.client import Client
from ..api.denial_origin import is_impersonation
from ..api.permission import Permission
from ..api.request_info import RequestInfo
from ..clock import loop_time
from ..errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ScopedCacheError,
    TransportError,
    UnauthorizedError,
)
from ..metrics import ACCESS_REVIEWS, FORBIDDEN, NULL, Instrumentation
from ..supervisor import Supervisor
from .attempt_mode import until_next, worth_trying
from .detection_bound import PERIOD_SECONDS, effective_bound
from .hold_off import HOLD_OFF_AFTER_LOSS_SECONDS, HOLD_OFF_SECONDS
from .probe_schedule import EVENTS_PERIOD_FACTOR, Place, Schedule
from .rbac_events import RBACEvents
from .review_budget import REVIEWS_PER_SECOND, Budget
from .reviewer import Answers, Reviewer
from .verdict import ATTEMPTS_APART_SECONDS, Signal, Verdict, VerdictState

logger = logging.getLogger("scopedcache.access")

# A connection lost this recently makes a refusal doubtful: the API server may have restarted.
LOSS_MATTERS_SECONDS = 30.0
# Reviews refused for this long, with no connection lost meanwhile, are refused for good: attempt mode.
REVIEWS_REFUSED_SECONDS = 10.0
# A review meant to come after a point in time comes this much later.
REVIEW_MARGIN_SECONDS = 0.02
# Answers that only somebody whose credentials were accepted gets.
_ADMITTED = (ForbiddenError, NotFoundError, ConflictError, GoneError, InvalidError)


class Listener(Protocol):
    """Hears of changed verdicts."""

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        """Act on it, synchronously: what is lost must be closed before this returns."""

    def attempt_mode_changed(self, attempting: bool) -> None:
        """Shorten, or restore, the life of watches: where reviews are refused, only a new watch is authorised anew."""


class Monitor:
    """The verdicts about every right that somebody tracks, for as long as somebody does."""

    def __init__(
        self,
        client: Client,
        *,
        period: float = PERIOD_SECONDS,
        rate: float = REVIEWS_PER_SECOND,
        instrumentation: Instrumentation = NULL,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.period = period
        self.rate = rate
        self.attempting = False
        self._client = client
        self._reviewer = Reviewer(client)
        self._instrumentation = instrumentation
        self._timer = timer
        self._listener: Listener | None = None
        self._verdicts: dict[Permission, Verdict] = {}
        self._users: dict[Permission, int] = {}
        self._schedule = Schedule(period, rate, chance)
        self._budget = Budget(rate)
        self._hints = RBACEvents(self._review, timer=timer)
        self._flights: dict[Place, asyncio.Task[None]] = {}
        self._trying: set[Place] = set()
        self._wake = asyncio.Event()
        self._supervisor: Supervisor | None = None
        self._lost_at = float("-inf")
        self._reviewed_at = float("-inf")
        self._complete = False
        self._events_live: Callable[[], bool] = lambda: False
        self._refused_since: float | None = None
        self._expired_since: float | None = None
        self._changed: set[asyncio.Future[None]] = set()
        self.reviews = 0

    def start(self, supervisor: Supervisor, listener: Listener) -> None:
        """Begin to probe, as tasks of `supervisor`; `listener` hears of every changed verdict."""
        self._supervisor = supervisor
        self._listener = listener
        self._client.add_observer(self)
        supervisor.start_guarded("access-monitor", self._probe_for_ever)

    def stop(self) -> None:
        """Stop listening to the client; the tasks end with their supervisor."""
        self._client.remove_observer(self)

    # -- what is asked -------------------------------------------------------------------------------------------

    def track(self, permissions: Iterable[Permission]) -> None:
        """Keep verdicts about these rights; each `track` is ended by one `untrack`."""
        for permission in permissions:
            self._users[permission] = self._users.get(permission, 0) + 1
            if permission not in self._verdicts:
                self._verdicts[permission] = Verdict(permission, since=self._timer())
                if self._schedule.add(permission, self._timer()):
                    self._wake.set()

    def untrack(self, permissions: Iterable[Permission]) -> None:
        """End one `track` of each; what nobody tracks is forgotten, a place without permissions is not probed."""
        for permission in permissions:
            self._users[permission] -= 1
            if not self._users[permission]:
                del self._users[permission], self._verdicts[permission]
                self._schedule.drop(permission)

    def verdict(self, permission: Permission) -> Verdict | None:
        """Return what is believed about a tracked permission."""
        return self._verdicts.get(permission)

    async def check(self, permissions: Iterable[Permission]) -> list[Verdict]:
        """Return verdicts about tracked permissions; waits for one review per place that has no answer yet."""
        wanted = list(permissions)
        places = {permission.namespace for permission in wanted if not self._verdicts[permission].settled}
        # Twice: a review that was under way already does not speak of rights that were tracked after it was sent.
        for _ in range(2):
            await asyncio.gather(*(self._review(place) for place in places))
            tracked = self._verdicts_of(wanted)
            places = {verdict.permission.namespace for verdict in tracked if verdict.state == "probing"}
        return self._verdicts_of(wanted)

    async def permitted(self, permissions: Iterable[Permission]) -> None:
        """Wait until none of these rights is known to be lost. In attempt mode: until the next attempt is due."""
        wanted = list(permissions)
        while any(verdict.lost for verdict in self._verdicts_of(wanted)):
            pause = until_next(self._verdicts_of(wanted), self._timer()) if self.attempting else None
            if pause is not None:
                await asyncio.sleep(pause)
                return
            turn = asyncio.get_running_loop().create_future()
            self._changed.add(turn)
            try:
                await turn
            finally:
                self._changed.discard(turn)

    def hint(self, place: Place) -> None:
        """Something about rights changed there (None: perhaps everywhere): review it at once, and twice again."""
        if self._supervisor is None:
            return
        places = list(self._schedule) if place is None else [place] if place in self._schedule else []
        for concerned in places:
            if self._hints.note(concerned):
                self._supervisor.start(f"hint/{concerned}", self._hints.follow(concerned))

    def expect_events(self, live: Callable[[], bool]) -> None:
        """Let `live` tell whether every change of RBAC objects is hinted at now.

        Probes are rarer then, provided that the rules are all there is (`Answers.complete`): changes of another
        authoriser are in no RBAC object.
        """
        self._events_live = live

    def refused(self, permission: Permission) -> None:
        """Take in that an access review of somebody else's just denied a tracked permission."""
        self._take(permission, "no", self._timer())

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of rights is noticed now."""
        reviewed = effective_bound(self.period * self._schedule.stretch, self._schedule.load, self.rate)
        return reviewed - HOLD_OFF_SECONDS + ATTEMPTS_APART_SECONDS if self.attempting else reviewed

    @property
    def renewal(self) -> float:
        """Return how long a watch may live in attempt mode: half of the bound there would be with reviews."""
        return effective_bound(self.period, self._schedule.load, self.rate) / 2

    def since_evidence(self, verdict: Verdict) -> float:
        """Return the seconds since the right was last confirmed, infinite where it never was."""
        return self._timer() - verdict.evidence

    @property
    def verdicts(self) -> Mapping[Permission, Verdict]:
        return self._verdicts

    @property
    def places(self) -> int:
        return len(self._schedule)

    @property
    def unauthenticated(self) -> bool:
        """Tell whether the last answers were 401."""
        return self._expired_since is not None

    # -- what our own calls tell ---------------------------------------------------------------------------------

    def observed(self, info: RequestInfo, error: ScopedCacheError | None) -> None:
        """Take in how one of our own requests ended."""
        now = self._timer()
        if error is None or isinstance(error, _ADMITTED):
            self._expired_since = None
        match error:
            case None:
                self._take(_permission_of(info), "done", now)
            case ForbiddenError() if not is_impersonation(error):
                self._instrumentation.increment(FORBIDDEN, verb=info.verb, resource=info.subject)
                self._refused(info, error, now)
            case UnauthorizedError():
                self._expired(now)
            case NotFoundError() if info.verb in ("list", "watch"):
                self._take(_permission_of(info), "missing", now)
            case TransportError():
                self._lost_at, self._refused_since = now, None

    def _refused(self, info: RequestInfo, error: ForbiddenError, now: float) -> None:
        if info.resource.gvr.group == "authorization.k8s.io":
            return  # a review: its asker knows what that means
        permission = _permission_of(info)
        if error.by == "authorizer" and permission in self._verdicts:
            self._take(permission, "refused", now)
        else:  # a write, or a right nobody tracks: a review tells what else went with it
            self._soon(info.namespace)

    def _expired(self, now: float) -> None:
        if self._expired_since is None:
            self._expired_since = now
            logger.warning("credentials.refused")
        left = self._expired_since + self.bound - now
        if left <= 0:
            for permission in list(self._verdicts):
                self._take(permission, "expired", now)
        else:
            self._soon(
                self._schedule.any(), left + REVIEW_MARGIN_SECONDS
            )  # any request will do to tell whether it persists

    # -- probing -------------------------------------------------------------------------------------------------

    async def _probe_for_ever(self) -> None:
        """Review the place that is due first, inside the budget."""
        while True:
            self._wake.clear()
            now = self._timer()
            first = self._schedule.first()
            if first is None:
                await self._wake.wait()
                continue
            place, due = first
            if due > now:
                await self._sleep(due - now)
                continue
            self._stretch(now)
            self._schedule.begin(place, now)
            await asyncio.sleep(self._budget.take(now))
            if place in self._schedule and self._supervisor is not None:
                self._supervisor.start(f"review/{place}", self._probe(place))

    async def _probe(self, place: Place) -> None:
        await self._review(place)
        for _ in range(self._schedule.cost(place) - 1):  # what an incomplete review took on top
            self._budget.take(self._timer())

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _soon(self, place: Place, delay: float = 0.0) -> None:
        """Bring the next probe of a place forward."""
        if self._schedule.soon(place, self._timer() + delay):
            self._wake.set()

    async def _review(self, place: Place) -> None:
        """Review one place; everybody who asks at the same time shares the answer."""
        flight = self._flights.get(place)
        if flight is None:
            assert self._supervisor is not None
            flight = self._supervisor.start(f"flight/{place}", self._review_now(place), quiet=True)
            self._flights[place] = flight
            flight.add_done_callback(lambda _: self._flights.pop(place, None))
        await asyncio.shield(flight)

    async def _review_now(self, place: Place) -> None:
        permissions = self._schedule.asked(place, self._timer())
        if not permissions:
            return
        doubted = {verdict.permission for verdict in self._verdicts_of(permissions) if verdict.lost}
        try:
            answers = await self._reviewer.review(place, permissions, doubted)
        except ForbiddenError:
            self._review_refused(place, permissions)
        except ScopedCacheError:
            self._no_answer(permissions)
        else:
            self._schedule.answered(place, answers.requests)
            self._answered(answers)

    def _answered(self, answers: Answers) -> None:
        now = self._timer()
        self.reviews += answers.requests
        self._instrumentation.increment(ACCESS_REVIEWS, answers.requests, result="answered")
        self._reviewed_at, self._refused_since = now, None
        self._attempt(False)
        self._complete = answers.complete
        for permission, allowed in answers.allowed.items():
            self._take(permission, "yes" if allowed else "no", now)
        for permission in answers.unanswered:
            self._take(permission, "silent", now)

    def _no_answer(self, permissions: Iterable[Permission]) -> None:
        self.reviews += 1
        self._instrumentation.increment(ACCESS_REVIEWS, result="unanswered")
        now = self._timer()
        for permission in permissions:
            self._take(permission, "silent", now)

    def _review_refused(self, place: Place, permissions: Sequence[Permission]) -> None:
        """The review itself met a 403: nothing is known, and from the start, or for long, attempts must tell."""
        self.reviews += 1
        self._instrumentation.increment(ACCESS_REVIEWS, result="refused")
        now = self._timer()
        for permission in permissions:
            self._take(permission, "silent", now)
        if self._refused_since is None:
            self._refused_since = now
            self._soon(place, REVIEWS_REFUSED_SECONDS + REVIEW_MARGIN_SECONDS)
        if self._reviewed_at == float("-inf") or now - self._refused_since >= REVIEWS_REFUSED_SECONDS:
            self._attempt(True)
        if self.attempting:
            self._try(place, permissions)

    # -- attempt mode --------------------------------------------------------------------------------------------

    def _attempt(self, attempting: bool) -> None:
        if attempting == self.attempting:
            return
        self.attempting = attempting
        logger.warning("attempt_mode.changed", extra={"attempting": attempting, "bound": round(self.bound, 1)})
        if self._listener is not None:
            self._listener.attempt_mode_changed(attempting)
        self._wake_permitted()  # who waits for a review to speak must attempt by itself now

    def _try(self, place: Place, permissions: Iterable[Permission]) -> None:
        """Ask, in the cheapest way, for what only trying can tell."""
        wanted = worth_trying(self._verdicts_of(permissions))
        if wanted and place not in self._trying and self._supervisor is not None:
            self._trying.add(place)
            self._supervisor.start(f"attempt/{place}", self._try_all(place, wanted))

    async def _try_all(self, place: Place, permissions: Iterable[Permission]) -> None:
        """Send the attempts; their answers come back through `observed`."""
        try:
            for permission in permissions:
                await self._reviewer.attempt(permission)
        finally:
            self._trying.discard(place)

    def _verdicts_of(self, permissions: Iterable[Permission]) -> list[Verdict]:
        return [verdict for permission in permissions if (verdict := self._verdicts.get(permission)) is not None]

    # -- the table -----------------------------------------------------------------------------------------------

    def _take(self, permission: Permission, signal: Signal, now: float) -> None:
        verdict = self._verdicts.get(permission)
        if verdict is None:
            return
        hold_off = HOLD_OFF_AFTER_LOSS_SECONDS if now - self._lost_at < LOSS_MATTERS_SECONDS else HOLD_OFF_SECONDS
        before = verdict.state
        changed = verdict.take(signal, now, hold_off=hold_off, attempting=self.attempting)
        if verdict.state == "suspect" and (changed or signal == ("refused" if self.attempting else "no")):
            # What confirms it comes a little after the hold-off, so that it counts.
            apart = ATTEMPTS_APART_SECONDS if self.attempting else hold_off
            self._soon(permission.namespace, max(0.0, verdict.since + apart - now) + REVIEW_MARGIN_SECONDS)
        if changed:
            self._tell(verdict, before)

    def _tell(self, verdict: Verdict, before: VerdictState) -> None:
        permission = verdict.permission
        logger.debug(
            "verdict.changed",
            extra={
                "verb": permission.verb, "resource": permission.subject, "namespace": permission.namespace,
                "state": verdict.state, "before": before,
            },
        )  # fmt: skip
        if self._listener is not None:
            try:
                self._listener.verdict_changed(verdict, before)
            except Exception as error:  # the answer that told us belongs to somebody else, who must get it
                logger.error("listener.failed", extra={"right": str(permission)}, exc_info=error)
        self._wake_permitted()
        self._stretch(self._timer())

    def _stretch(self, now: float) -> None:
        """Probe less often while events tell of every change, and at once as often as ever when they do not."""
        told = self._complete and not self.attempting and self._events_live()
        if self._schedule.stretched(EVENTS_PERIOD_FACTOR if told else 1.0, now):
            self._wake.set()

    def _wake_permitted(self) -> None:
        for turn in self._changed:
            if not turn.done():
                turn.set_result(None)

    def __repr__(self) -> str:
        mode = " attempting" if self.attempting else ""
        return f"<Monitor rights={len(self._verdicts)} places={len(self._schedule)} bound={self.bound:.1f}s{mode}>"


def _permission_of(info: RequestInfo) -> Permission:
    gvr = info.resource.gvr
    return Permission(info.verb, gvr.group, gvr.resource, info.namespace, info.subresource, info.name)
