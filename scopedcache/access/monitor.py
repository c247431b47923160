"""May I do this here? One table of verdicts, kept true by the cheapest signals there are.

The calls we make anyway, one rules review per place in use and period, RBAC events that bring reviews forward, and a
second review to confirm. All reviews of a place are shared, and all places share one budget. What follows from a signal
is decided in verdict.py, readiness.py, hold_off.py, attempt_mode.py and credential_expiry.py; this file asks, waits
and tells.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Final

from ..api.client import Client
from ..api.denial_origin import is_impersonation
from ..api.permission import Permission
from ..api.ready_answer import ReadyAnswer
from ..api.request_info import RequestInfo
from ..clock import loop_time, wall_time
from ..errors import ForbiddenError, ScopedCacheError, TransportError, UnauthorizedError
from ..event_logger import event_logger
from ..identity import Identity
from ..metrics import ACCESS_REVIEWS, DETECTION_SECONDS, FORBIDDEN, NULL, Instrumentation
from ..supervisor import Supervisor
from .attempt_mode import AttemptMode, permissions_to_try, seconds_until_attempt
from .call_signals import is_doubtful, is_review, needed_permission, signal_of
from .change_notifier import Listener, VerdictChange
from .credential_expiry import CredentialExpiry
from .detection_bound import JITTER_FRACTION, PERIOD_SECONDS, ReviewLoad, effective_bound
from .hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS, HoldOff
from .outage import Outage
from .probe_loop import ProbeLoop
from .probe_schedule import EVENTS_PERIOD_FACTOR, Place, ProbeSchedule
from .rbac_events import RBACEvents
from .readiness import Readiness
from .refusals import REFUSALS_APART_SECONDS
from .review_budget import REVIEWS_PER_SECOND, ReviewBudget
from .review_timeout import ReviewTimeout
from .reviewer import Answers, Reviewer
from .shared_verdicts import SharedVerdicts
from .single_flight import SingleFlight
from .verdict import Signal, Verdict

logger: Final = event_logger("scopedcache.access")

# A review meant to come after a point in time comes this much later.
REVIEW_MARGIN_SECONDS: Final = 0.02


class Monitor:
    """The verdicts about every permission that somebody tracks, for as long as somebody does.

    What it shares with the monitors of other identities stands in `shared`: the table of verdicts, the budget, who is
    told. What is believed stands in `_tracked`; what follows from an answer depends on four more machines, which hear
    of every request (`observed`) and every review: whether the server is ready, the hold-off in force, attempt mode,
    and the doubt about credentials.
    What is asked next stands in `_schedule`. A signal changes these at once; requests are tasks of the supervisor.
    """

    def __init__(
        self,
        client: Client,
        *,
        period: float = PERIOD_SECONDS,
        rate: float = REVIEWS_PER_SECOND,
        instrumentation: Instrumentation = NULL,
        timer: Callable[[], float] = loop_time,
        wall: Callable[[], datetime] = wall_time,
        chance: Callable[[], float] = random.random,
        shared: SharedVerdicts | None = None,
    ) -> None:
        self.period = period
        self.rate = rate
        self._shared = shared = SharedVerdicts(ReviewBudget(rate)) if shared is None else shared
        self._client = client
        self._reviewer = Reviewer(client, ReviewTimeout(period), timer=timer)
        self._instrumentation = instrumentation
        for result in ("answered", "unanswered", "refused"):
            instrumentation.increment(ACCESS_REVIEWS, 0.0, result=result)
        self._timer = timer
        self._wall = wall
        self._tracked = shared.tracked
        self._schedule = ProbeSchedule(period, rate, chance, shared.round, shared.in_use)
        self._probes = ProbeLoop(self._schedule, shared.budget, shared.budget_in_use, self._review, timer=timer)
        self._readiness = Readiness()
        self._hold_off = HoldOff()
        self._outage = Outage()
        self._attempt_mode = AttemptMode()
        self._credentials = CredentialExpiry()
        self._rbac_events = RBACEvents(self._review, timer=timer)
        self._events_live: Callable[[], bool] = lambda: False
        self._rules_complete = False
        self._review_flights = SingleFlight("review", self._review_now)
        self._attempt_flights = SingleFlight("attempt", self._attempt_all)
        self._judge_flights = SingleFlight("judge-refusals", self._judge_refusals)
        self._changes = shared.changes
        self._yes_awaited: set[Permission] = set()
        self._supervisor: Supervisor | None = None

    def start(self, supervisor: Supervisor, listener: Listener) -> None:
        """Begin to probe, as tasks of `supervisor`; `listener` hears of every changed verdict."""
        self._supervisor = supervisor
        self._changes.listener = listener
        self._client.add_observer(self)
        supervisor.start_guarded("access-monitor", lambda: self._probes.run(supervisor))

    def stop(self) -> None:
        """Stop listening to the client; the tasks end with their supervisor."""
        self._client.remove_observer(self)

    # -- what is asked -------------------------------------------------------------------------------------------

    def track(self, permissions: Iterable[Permission]) -> None:
        """Keep verdicts about these permissions; each `track` is ended by one `untrack`."""
        now = self._timer()
        for permission in permissions:
            if self._tracked.add(permission, now) and self._schedule.add(permission, now):
                self._probes.wake()

    def untrack(self, permissions: Iterable[Permission]) -> None:
        """End one `track` of each; what nobody tracks is forgotten, a place without permissions is not probed."""
        for permission in permissions:
            if self._tracked.drop(permission):
                if self._schedule.drop(permission):
                    self._probes.wake()
                self._yes_awaited.discard(permission)

    def use(self, place: Place, identity: Identity | None = None) -> None:
        """Something happens in a place that concerns an owner, who has it as somebody: where there are many places, it
        is reviewed more often.
        """
        if self._schedule.use(place, self._timer()):
            self._probes.wake()

    def verdict(self, permission: Permission) -> Verdict | None:
        """Return what is believed about a tracked permission."""
        return self._tracked.get(permission)

    async def check(self, permissions: Iterable[Permission]) -> list[Verdict]:
        """Return verdicts about tracked permissions; waits for one review per place that has no answer yet."""
        wanted = list(permissions)
        places = {permission.namespace for permission in wanted if not self.verdicts[permission].settled}
        # Twice: a review that was under way already does not speak of what was tracked after it was sent.
        for _ in range(2):
            if len(places) == 1:  # as almost always: thousands may ask at once
                await self._review(*places)
            else:
                await asyncio.gather(*(self._review(place) for place in places))
            places = {verdict.permission.namespace for verdict in self._tracked.of(wanted) if verdict.unreviewed}
        return self._tracked.of(wanted)

    async def wait_until_permitted(self, permissions: Iterable[Permission]) -> None:
        """Wait until none of these is known to be lost. In attempt mode: until the next attempt is due."""
        wanted = list(permissions)
        while any(verdict.lost for verdict in self._tracked.of(wanted)):
            pause = seconds_until_attempt(self._tracked.of(wanted), self._timer()) if self.attempting else None
            if pause is not None:
                await asyncio.sleep(pause)
                return
            await self._changes.wait()

    async def wait_recovered(self, since: int) -> None:
        """Wait until the server has come back more often than `since` (`recoveries`)."""
        while self._outage.ended <= since:
            await self._changes.wait()

    def await_yes(self, permission: Permission) -> None:
        """Let the listener hear of the next "yes" about a tracked permission as of a change, even where it is none."""
        self._yes_awaited.add(permission)

    def hint(self, place: Place) -> None:
        """Something about permissions changed there (None: perhaps everywhere): review it at once, and twice again."""
        if self._supervisor is None:
            return
        places = list(self._schedule) if place is None else [place] if place in self._schedule else []
        for concerned in places:
            if self._rbac_events.note(concerned):
                self._supervisor.start(f"hint/{concerned}", self._rbac_events.follow(concerned))

    def expect_events(self, live: Callable[[], bool]) -> None:
        """Let `live` tell whether every change of RBAC objects is hinted at now.

        Probes are rarer then, provided that the rules are all there is (`Answers.complete`): changes of another
        authoriser are in no RBAC object.
        """
        self._events_live = live

    def take(self, permission: Permission, signal: Signal, now: float | None = None) -> None:
        """Take in a signal about a permission, e.g. a "no" that an access review of somebody else's met."""
        verdict = self._tracked.get(permission)
        if verdict is None:
            return
        now, place = self._timer() if now is None else now, permission.namespace
        if signal == "no" and not self._readiness.ours and verdict.state != "denied":
            self._hold_off.doubt(place, now)
        step = verdict.take(signal, now, self._wall(), hold_off=self._hold_off.seconds(now), attempting=self.attempting)
        if step.confirm_at is not None:
            self._probes.confirm(place, max(now, step.confirm_at) + REVIEW_MARGIN_SECONDS)
        if self._supervisor is not None:
            if step.ask_ready:
                self._judge_flights.start(place, self._supervisor)
            if step.attempt:
                self._attempt_flights.start(place, self._supervisor)
        if step.before is not None:
            self._tracked.note(verdict)
            if verdict.denying and verdict.evidence > -inf:
                self._instrumentation.observe(DETECTION_SECONDS, now - verdict.evidence)
            self._changes.verdict_changed(verdict, step.before)
            self._stretch(now)
        elif signal in ("yes", "done") and verdict.granted and permission in self._yes_awaited:
            self._yes_awaited.discard(permission)
            self._changes.verdict_changed(verdict, verdict.state)

    @property
    def attempting(self) -> bool:
        """Tell whether reviews are refused, so that only trying tells."""
        return self._attempt_mode.active

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of permissions is noticed now."""
        hold_off = self._hold_off.seconds(self._timer())
        if self.attempting:
            hold_off = max(hold_off, REFUSALS_APART_SECONDS)
        if not self._readiness.ours and self.places > 1:  # a "no" in two of them is enough for the long one
            hold_off = HOLD_OFF_AFTER_TROUBLE_SECONDS
        return effective_bound(self.period * self._schedule.stretch, self._schedule.load, self.rate, hold_off)

    @property
    def load(self) -> ReviewLoad:
        """Return what asking about rights comes to now."""
        schedule, bound = self._schedule, self.bound
        in_use = schedule.in_use
        spared = max(0.0, max(self.period, schedule.load / self.rate) - max(self.period, in_use.count / in_use.rate))
        return ReviewLoad(
            schedule.load,
            self.rate,
            self.period,
            bound,
            self._events_tell_all,
            in_use.count,
            bound - (1 + JITTER_FRACTION) * spared,
        )

    @property
    def _events_tell_all(self) -> bool:
        return self._rules_complete and not self.attempting and self._events_live()

    @property
    def renewal(self) -> float:
        """Return how long a watch may live in attempt mode: half of the bound there would be with reviews."""
        return effective_bound(self.period, self._schedule.load, self.rate) / 2

    def since_evidence(self, verdict: Verdict) -> float:
        """Return the seconds since the permission was last confirmed, infinite where it never was."""
        return self._timer() - verdict.evidence

    @property
    def verdicts(self) -> Mapping[Permission, Verdict]:
        return self._tracked.view

    @property
    def missing(self) -> Collection[Permission]:
        """Return the tracked permissions that are missing for certain, in the order in which they were lost."""
        return self._tracked.missing

    @property
    def recent_changes(self) -> Sequence[VerdictChange]:
        """Return the last changes of verdicts, the newest last."""
        return self._changes.recent

    @property
    def recoveries(self) -> int:
        """Return how often the server answered again after an outage."""
        return self._outage.ended

    @property
    def server_away(self) -> bool:
        """Tell whether the server did not answer when it was asked last."""
        return self._outage.away

    @property
    def reviews(self) -> int:
        """Return how many requests reviews have taken."""
        return self._shared.reviews

    def of(self, identity: Identity | None) -> Monitor:
        """Return the monitor of what an identity may do; this one knows the program's own user alone."""
        return self

    @property
    def places(self) -> int:
        return len(self._schedule)

    @property
    def unauthenticated(self) -> bool:
        """Tell whether the last answers were 401."""
        return self._credentials.in_doubt

    # -- what our own calls tell ---------------------------------------------------------------------------------

    def observed(self, info: RequestInfo, error: ScopedCacheError | None) -> None:
        """Take in how one of our own requests ended."""
        now = self._timer()
        self._hold_off.observe(error, now)
        if self._outage.observe(error, review=is_review(info)):
            self._changes.wake()
        if error is not None or not is_review(info):
            self._attempt_mode.observe(error, now)
        if self._credentials.observe(error, now):
            logger.warning("credentials.refused")
        if isinstance(error, UnauthorizedError):
            self._unauthorized(now)
        if isinstance(error, ForbiddenError) and not is_impersonation(error):
            self._instrumentation.increment(FORBIDDEN, verb=info.verb, resource=info.subject)
        permission, signal = needed_permission(info, self._client.identity), signal_of(info, error)
        if signal is not None and permission in self._tracked:
            self.take(permission, signal, now)
        elif is_doubtful(info, error):  # a write, or what nobody tracks: a review tells what else went with it
            self._probes.bring_forward(info.namespace, now)

    def _unauthorized(self, now: float) -> None:
        left = self._credentials.seconds_left(now, self.bound)
        if left:  # any request will do to tell whether it lasts
            self._probes.bring_forward(self._schedule.any_place(), now + left + REVIEW_MARGIN_SECONDS)
            return
        for permission in list(self.verdicts):
            if permission.identity == self._client.identity:
                self.take(permission, "expired", now)

    # -- reviews and attempts ------------------------------------------------------------------------------------

    async def _review(self, place: Place) -> None:
        """Review one place; everybody who asks at the same time shares the answer."""
        assert self._supervisor is not None
        await self._review_flights.share(place, self._supervisor)

    async def _review_now(self, place: Place) -> None:
        now = self._timer()
        self._stretch(now)
        permissions = self._schedule.begin_review(place, now)
        if not permissions:
            return
        doubted = {verdict.permission for verdict in self._tracked.of(permissions) if verdict.lost}
        try:
            answers = await self._reviewer.review(place, permissions, doubted, ask_ready=self._is_worth_asking_ready)
        except ForbiddenError as error:
            if self._client.identity is not None and error.identity != self._client.identity:
                self._no_answer(permissions, "unanswered")  # we may not act so: that says nothing of what it may do
            else:
                await self._review_refused(place, permissions)
        except ScopedCacheError as error:
            self._no_answer(permissions, "unanswered")
            if isinstance(error, TransportError) and self._schedule.lost(place, self._timer()):
                self._probes.wake()
        else:
            self._schedule.answered(place, answers.requests)
            self._answered(answers)

    def _is_worth_asking_ready(self, answers: Answers) -> bool:
        """Tell whether the server must say that it is ready: a "no" would change something.

        Also while it is to be found out whether it says that to us at all.
        """
        news = (permission for permission, allowed in answers.allowed.items() if not allowed)
        return self._readiness.in_question or any(verdict.state != "denied" for verdict in self._tracked.of(news))

    def _is_ready(self, answer: ReadyAnswer, now: float) -> bool:
        """Take in what the server said of itself; tell whether its "no" counts."""
        ready = self._readiness.answered(answer, now)
        if not ready:
            self._hold_off.not_ready_seen(now)
        return ready

    async def _judge_refusals(self, place: Place) -> None:
        """Let the second refusal of our own calls count, if the server is ready."""
        answer = await self._reviewer.ready()
        now = self._timer()
        signal: Signal = "refusals" if self._is_ready(answer, now) else "refusals-unready"
        for permission in self._schedule.permissions(place):
            self.take(permission, signal, now)

    def _answered(self, answers: Answers) -> None:
        self._count(answers.requests, "answered")
        if self._attempt_mode.review_answered():
            self._changes.attempt_mode_changed(False, self.bound)
        self._rules_complete = answers.complete
        now = self._timer()
        self._readiness.succeeded(now)
        no: Signal = "no" if answers.ready is None or self._is_ready(answers.ready, now) else "unready"
        for permission, allowed in answers.allowed.items():
            self.take(permission, "yes" if allowed else no, now)
        for permission in answers.unanswered:
            self.take(permission, "silent", now)

    def _no_answer(self, permissions: Iterable[Permission], result: str) -> None:
        self._count(1, result)
        now = self._timer()
        for permission in permissions:
            self.take(permission, "silent", now)

    async def _review_refused(self, place: Place, permissions: Iterable[Permission]) -> None:
        """The review itself met a 403: nothing is known; in attempt mode, trying tells."""
        self._no_answer(permissions, "refused")
        if self._attempt_mode.wants_success(self._timer()) and await self._reviewer.ready() == "ready":
            self._attempt_mode.observe(None, self._timer())
        now = self._timer()
        if self._attempt_mode.review_refused(now):
            self._changes.attempt_mode_changed(True, self.bound)
        if (decided_at := self._attempt_mode.decided_at(now)) is not None:
            self._probes.bring_forward(self._schedule.any_place(), decided_at + REVIEW_MARGIN_SECONDS)
        if self.attempting and self._supervisor is not None:
            self._attempt_flights.start(place, self._supervisor)

    async def _attempt_all(self, place: Place) -> None:
        """Ask, in the cheapest way, for what only trying can tell; the answers come back through `observed`."""
        verdicts = self._tracked.of(self._schedule.permissions(place))
        refused = [verdict.permission for verdict in verdicts if verdict.refusals.tried_at is not None]
        for permission in permissions_to_try(verdicts) if self.attempting else refused:
            await self._reviewer.attempt(permission)

    def _count(self, requests: int, result: str) -> None:
        self._shared.reviews += requests
        self._instrumentation.increment(ACCESS_REVIEWS, requests, result=result)

    def _stretch(self, now: float) -> None:
        """Probe less often while events tell of every change, and at once as often as ever when they do not."""
        if self._schedule.set_stretch(EVENTS_PERIOD_FACTOR if self._events_tell_all else 1.0, now):
            self._probes.wake()

    def __repr__(self) -> str:
        mode = " attempting" if self.attempting else ""
        return f"<Monitor permissions={len(self._tracked)} places={self.places} bound={self.bound:.1f}s{mode}>"
