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

from ..api.call import Call, is_impersonation
from ..api.client import Client
from ..api.reviews import Right
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
from ..instrumentation import ACCESS_REVIEWS, FORBIDDEN, NULL, Instrumentation
from ..tasks import Supervisor, loop_time
from .attempts import until_next, worth_trying
from .budget import PERIOD, RATE, Budget, effective_bound
from .hints import Hints
from .reviewer import Answers, Reviewer
from .schedule import STRETCH, Place, Schedule
from .verdict import ATTEMPTS_APART, HOLD_OFF, HOLD_OFF_AFTER_LOSS, Signal, State, Verdict

_log = logging.getLogger("scopedcache.access")

# A connection lost this recently makes a refusal doubtful: the API server may have restarted.
LOSS_MATTERS = 30.0
# Reviews refused for this long, with no connection lost meanwhile, are refused for good: attempt mode.
REVIEWS_REFUSED = 10.0
# A review meant to come after a point in time comes this much later.
AFTER = 0.02
# Answers that only somebody whose credentials were accepted gets.
_ADMITTED = (ForbiddenError, NotFoundError, ConflictError, GoneError, InvalidError)


class Listener(Protocol):
    """Hears of changed verdicts."""

    def verdict_changed(self, verdict: Verdict, before: State) -> None:
        """Act on it, synchronously: what is lost must be closed before this returns."""

    def attempt_mode_changed(self, attempting: bool) -> None:
        """Shorten, or restore, the life of watches: where reviews are refused, only a new watch is authorised anew."""


class Monitor:
    """The verdicts about every right that somebody leases, for as long as somebody does."""

    def __init__(
        self,
        client: Client,
        *,
        period: float = PERIOD,
        rate: float = RATE,
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
        self._verdicts: dict[Right, Verdict] = {}
        self._leases: dict[Right, int] = {}
        self._schedule = Schedule(period, rate, chance)
        self._budget = Budget(rate)
        self._hints = Hints(self._review, timer=timer)
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

    def lease(self, rights: Iterable[Right]) -> None:
        """Keep verdicts about these rights; each lease is ended by one `release`."""
        for right in rights:
            self._leases[right] = self._leases.get(right, 0) + 1
            if right not in self._verdicts:
                self._verdicts[right] = Verdict(right, since=self._timer())
                if self._schedule.add(right, self._timer()):
                    self._wake.set()

    def release(self, rights: Iterable[Right]) -> None:
        """End one lease of each; a right nobody leases is forgotten, a place without rights is not probed."""
        for right in rights:
            self._leases[right] -= 1
            if not self._leases[right]:
                del self._leases[right], self._verdicts[right]
                self._schedule.drop(right)

    def verdict(self, right: Right) -> Verdict | None:
        """Return what is believed about a leased right."""
        return self._verdicts.get(right)

    async def check(self, rights: Iterable[Right]) -> list[Verdict]:
        """Return verdicts about leased rights; waits for one review per place that has no answer yet."""
        wanted = list(rights)
        places = {right.namespace for right in wanted if not self._verdicts[right].settled}
        # Twice: a review that was under way already does not speak of rights that were leased after it was sent.
        for _ in range(2):
            await asyncio.gather(*(self._review(place) for place in places))
            leased = self._leased(wanted)
            places = {verdict.right.namespace for verdict in leased if verdict.state == "probing"}
        return self._leased(wanted)

    async def permitted(self, rights: Iterable[Right]) -> None:
        """Wait until none of these rights is known to be lost. In attempt mode: until the next attempt is due."""
        wanted = list(rights)
        while any(verdict.lost for verdict in self._leased(wanted)):
            pause = until_next(self._leased(wanted), self._timer()) if self.attempting else None
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

    def refused(self, right: Right) -> None:
        """Take in that an access review of somebody else's just denied a leased right."""
        self._take(right, "no", self._timer())

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of rights is noticed now."""
        reviewed = effective_bound(self.period * self._schedule.stretch, self._schedule.load, self.rate)
        return reviewed - HOLD_OFF + ATTEMPTS_APART if self.attempting else reviewed

    @property
    def renewal(self) -> float:
        """Return how long a watch may live in attempt mode: half of the bound there would be with reviews."""
        return effective_bound(self.period, self._schedule.load, self.rate) / 2

    def since_evidence(self, verdict: Verdict) -> float:
        """Return the seconds since the right was last confirmed, infinite where it never was."""
        return self._timer() - verdict.evidence

    @property
    def verdicts(self) -> Mapping[Right, Verdict]:
        return self._verdicts

    @property
    def places(self) -> int:
        return len(self._schedule)

    @property
    def unauthenticated(self) -> bool:
        """Tell whether the last answers were 401."""
        return self._expired_since is not None

    # -- what our own calls tell ---------------------------------------------------------------------------------

    def observed(self, call: Call, error: ScopedCacheError | None) -> None:
        """Take in how one of our own requests ended."""
        now = self._timer()
        if error is None or isinstance(error, _ADMITTED):
            self._expired_since = None
        match error:
            case None:
                self._take(_right(call), "done", now)
            case ForbiddenError() if not is_impersonation(error):
                self._instrumentation.increment(FORBIDDEN, verb=call.verb, resource=call.subject)
                self._refused(call, error, now)
            case UnauthorizedError():
                self._expired(now)
            case NotFoundError() if call.verb in ("list", "watch"):
                self._take(_right(call), "missing", now)
            case TransportError():
                self._lost_at, self._refused_since = now, None

    def _refused(self, call: Call, error: ForbiddenError, now: float) -> None:
        if call.resource.gvr.group == "authorization.k8s.io":
            return  # a review: its asker knows what that means
        right = _right(call)
        if error.by == "authorizer" and right in self._verdicts:
            self._take(right, "refused", now)
        else:  # a write, or a right nobody leases: a review tells what else went with it
            self._soon(call.namespace)

    def _expired(self, now: float) -> None:
        if self._expired_since is None:
            self._expired_since = now
            _log.warning("credentials-refused")
        left = self._expired_since + self.bound - now
        if left <= 0:
            for right in list(self._verdicts):
                self._take(right, "expired", now)
        else:
            self._soon(self._schedule.any(), left + AFTER)  # any request will do to tell whether it persists

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
        rights = self._schedule.asked(place, self._timer())
        if not rights:
            return
        doubted = {verdict.right for verdict in self._leased(rights) if verdict.lost}
        try:
            answers = await self._reviewer.review(place, rights, doubted)
        except ForbiddenError:
            self._review_refused(place, rights)
        except ScopedCacheError:
            self._no_answer(rights)
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
        for right, allowed in answers.allowed.items():
            self._take(right, "yes" if allowed else "no", now)
        for right in answers.unanswered:
            self._take(right, "silent", now)

    def _no_answer(self, rights: Iterable[Right]) -> None:
        self.reviews += 1
        self._instrumentation.increment(ACCESS_REVIEWS, result="unanswered")
        now = self._timer()
        for right in rights:
            self._take(right, "silent", now)

    def _review_refused(self, place: Place, rights: Sequence[Right]) -> None:
        """The review itself met a 403: nothing is known, and from the start, or for long, attempts must tell."""
        self.reviews += 1
        self._instrumentation.increment(ACCESS_REVIEWS, result="refused")
        now = self._timer()
        for right in rights:
            self._take(right, "silent", now)
        if self._refused_since is None:
            self._refused_since = now
            self._soon(place, REVIEWS_REFUSED + AFTER)
        if self._reviewed_at == float("-inf") or now - self._refused_since >= REVIEWS_REFUSED:
            self._attempt(True)
        if self.attempting:
            self._try(place, rights)

    # -- attempt mode --------------------------------------------------------------------------------------------

    def _attempt(self, attempting: bool) -> None:
        if attempting == self.attempting:
            return
        self.attempting = attempting
        _log.warning("attempt-mode", extra={"attempting": attempting, "bound": round(self.bound, 1)})
        if self._listener is not None:
            self._listener.attempt_mode_changed(attempting)
        self._wake_permitted()  # who waits for a review to speak must attempt by itself now

    def _try(self, place: Place, rights: Iterable[Right]) -> None:
        """Ask, in the cheapest way, for what only trying can tell."""
        wanted = worth_trying(self._leased(rights))
        if wanted and place not in self._trying and self._supervisor is not None:
            self._trying.add(place)
            self._supervisor.start(f"attempt/{place}", self._try_all(place, wanted))

    async def _try_all(self, place: Place, rights: Iterable[Right]) -> None:
        """Send the attempts; their answers come back through `observed`."""
        try:
            for right in rights:
                await self._reviewer.attempt(right)
        finally:
            self._trying.discard(place)

    def _leased(self, rights: Iterable[Right]) -> list[Verdict]:
        return [verdict for right in rights if (verdict := self._verdicts.get(right)) is not None]

    # -- the table -----------------------------------------------------------------------------------------------

    def _take(self, right: Right, signal: Signal, now: float) -> None:
        verdict = self._verdicts.get(right)
        if verdict is None:
            return
        hold_off = HOLD_OFF_AFTER_LOSS if now - self._lost_at < LOSS_MATTERS else HOLD_OFF
        before = verdict.state
        changed = verdict.take(signal, now, hold_off=hold_off, attempting=self.attempting)
        if verdict.state == "suspect" and (changed or signal == ("refused" if self.attempting else "no")):
            # What confirms it comes a little after the hold-off, so that it counts.
            apart = ATTEMPTS_APART if self.attempting else hold_off
            self._soon(right.namespace, max(0.0, verdict.since + apart - now) + AFTER)
        if changed:
            self._tell(verdict, before)

    def _tell(self, verdict: Verdict, before: State) -> None:
        right = verdict.right
        _log.debug(
            "verdict",
            extra={
                "verb": right.verb, "resource": right.subject, "namespace": right.namespace,
                "state": verdict.state, "before": before,
            },
        )  # fmt: skip
        if self._listener is not None:
            try:
                self._listener.verdict_changed(verdict, before)
            except Exception as error:  # the answer that told us belongs to somebody else, who must get it
                _log.error("listener-failed", extra={"right": str(right)}, exc_info=error)
        self._wake_permitted()
        self._stretch(self._timer())

    def _stretch(self, now: float) -> None:
        """Probe less often while events tell of every change, and at once as often as ever when they do not."""
        told = self._complete and not self.attempting and self._events_live()
        if self._schedule.stretched(STRETCH if told else 1.0, now):
            self._wake.set()

    def _wake_permitted(self) -> None:
        for turn in self._changed:
            if not turn.done():
                turn.set_result(None)

    def __repr__(self) -> str:
        mode = " attempting" if self.attempting else ""
        return f"<Monitor rights={len(self._verdicts)} places={len(self._schedule)} bound={self.bound:.1f}s{mode}>"


def _right(call: Call) -> Right:
    gvr = call.resource.gvr
    return Right(call.verb, gvr.group, gvr.resource, call.namespace, call.subresource, call.name)
