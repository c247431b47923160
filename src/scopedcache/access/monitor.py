"""May I do this here? One table of verdicts, kept true by the cheapest signals there are.

The calls we make anyway, one rules review per place in use and period, hints from RBAC events, and a second review to
confirm. All reviews of a place are shared, and all places share one budget. The rules are in verdict.py; this file
asks, waits and tells.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import attrs

from ..api.call import Call, is_impersonation
from ..api.client import Client
from ..api.reviews import Right
from ..errors import (
    ForbiddenError,
    NotFoundError,
    ScopedCacheError,
    TransportError,
    UnauthorizedError,
)
from ..instrumentation import ACCESS_REVIEWS, FORBIDDEN, NULL, Instrumentation
from ..tasks import Supervisor
from .budget import BURST_RATE, JITTER, PERIOD, RATE, Budget, effective_bound
from .reviewer import Answers, Reviewer
from .verdict import ATTEMPTS_APART, HOLD_OFF, HOLD_OFF_AFTER_LOSS, Signal, State, Verdict

_log = logging.getLogger("scopedcache.access")

# A connection lost this recently makes a refusal doubtful: the API server may have restarted.
LOSS_MATTERS = 30.0
# Reviews refused for this long, while other requests succeed, are refused for good: attempt mode.
REVIEWS_REFUSED = 10.0
# When an RBAC object changed: once for servers that know already, again for those that learn a moment later.
HINT_DELAYS = (0.0, 0.3, 1.0)

# None: the whole cluster.
Place = str | None


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
        timer: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.period = period
        self.rate = rate
        self.attempting = False
        self._client = client
        self._reviewer = Reviewer(client)
        self._instrumentation = instrumentation
        self._timer = timer
        self._chance = chance
        self._listener: Listener | None = None
        self._verdicts: dict[Right, Verdict] = {}
        self._leases: dict[Right, int] = {}
        self._places: dict[Place, dict[Right, None]] = {}  # in the order they were leased
        self._due: dict[Place, float] = {}
        self._budget = Budget(rate)
        self._burst = Budget(BURST_RATE)
        self._flights: dict[Place, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._supervisor: Supervisor | None = None
        self._lost_at = float("-inf")
        self._reviewed_at = float("-inf")
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
                self._places.setdefault(right.namespace, {})[right] = None
                if right.namespace not in self._due:
                    self._due[right.namespace] = self._timer() + self._spread()
                    self._wake.set()

    def release(self, rights: Iterable[Right]) -> None:
        """End one lease of each; a right nobody leases is forgotten, a place without rights is not probed."""
        for right in rights:
            self._leases[right] -= 1
            if not self._leases[right]:
                del self._leases[right], self._verdicts[right]
                place = self._places[right.namespace]
                place.pop(right, None)
                if not place:
                    del self._places[right.namespace], self._due[right.namespace]

    def verdict(self, right: Right) -> Verdict | None:
        """Return what is believed about a leased right."""
        return self._verdicts.get(right)

    async def check(self, rights: Iterable[Right]) -> list[Verdict]:
        """Return verdicts about leased rights; waits for one review per place that has no answer yet."""
        wanted = list(rights)
        places = {right.namespace for right in wanted if not self._verdicts[right].settled}
        if places:
            await asyncio.gather(*(self._review(place) for place in places))
        return [self._verdicts[right] for right in wanted if right in self._verdicts]

    async def permitted(self, rights: Iterable[Right]) -> None:
        """Wait until none of these rights is known to be lost. In attempt mode: until the next attempt is due."""
        wanted = list(rights)
        while any(verdict.lost for right in wanted if (verdict := self._verdicts.get(right))):
            if self.attempting and (pause := self._until_attempt(wanted)) is not None:
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
        places = list(self._places) if place is None else [place] if place in self._places else []
        for concerned in places:
            for delay in HINT_DELAYS:
                self._supervisor.start(f"review/{concerned}", self._review_after(concerned, delay))

    @property
    def bound(self) -> float:
        """Return the seconds within which a change of rights is noticed now."""
        if self.attempting:
            return self.renewal + ATTEMPTS_APART + 1.0
        return effective_bound(self.period, len(self._places), self.rate)

    @property
    def renewal(self) -> float:
        """Return how long a watch may live in attempt mode: half of the bound there would be with reviews."""
        return effective_bound(self.period, len(self._places), self.rate) / 2

    def since_evidence(self, verdict: Verdict) -> float:
        """Return the seconds since the right was last confirmed, infinite where it never was."""
        return self._timer() - verdict.evidence

    @property
    def verdicts(self) -> Mapping[Right, Verdict]:
        return self._verdicts

    @property
    def places(self) -> int:
        return len(self._places)

    @property
    def unauthenticated(self) -> bool:
        """Tell whether the last answers were 401."""
        return self._expired_since is not None

    # -- what our own calls tell ---------------------------------------------------------------------------------

    def observed(self, call: Call, error: ScopedCacheError | None) -> None:
        """Take in how one of our own requests ended."""
        now = self._timer()
        match error:
            case None:
                self._expired_since = None
                self._take(_right(call), "done", now)
            case ForbiddenError() if not is_impersonation(error):
                self._instrumentation.increment(FORBIDDEN, verb=call.verb, resource=call.subject)
                self._refused(call, error, now)
            case UnauthorizedError():
                self._expired(now)
            case NotFoundError() if call.verb in ("list", "watch"):
                self._take(_right(call), "missing", now)
            case TransportError():
                self._lost_at = now

    def _refused(self, call: Call, error: ForbiddenError, now: float) -> None:
        if call.resource.gvr.group == "authorization.k8s.io":
            return  # a review: its asker knows what that means
        right = _right(call)
        if error.by == "authorizer" and right in self._verdicts:
            self._take(right, "refused", now)
        else:
            self._soon(call.namespace)  # a write, or a right nobody leases: a review tells what else went with it

    def _expired(self, now: float) -> None:
        if self._expired_since is None:
            self._expired_since = now
            _log.warning("credentials-refused")
        elif now - self._expired_since >= self.bound:
            for right in list(self._verdicts):
                self._take(right, "expired", now)

    # -- probing -------------------------------------------------------------------------------------------------

    async def _probe_for_ever(self) -> None:
        """Review the place that is due first, inside the budget."""
        while True:
            self._wake.clear()
            now = self._timer()
            place = min(self._due, key=lambda name: self._due[name], default=_NOTHING)
            if place is _NOTHING:
                await self._wake.wait()
                continue
            pause = self._due[place] - now
            if pause > 0:
                await self._sleep(pause)
                continue
            self._due[place] = now + self._spread()
            await asyncio.sleep(self._budget.take(now))
            if place in self._due and self._supervisor is not None:
                self._supervisor.start(f"review/{place}", self._review(place))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _spread(self) -> float:
        return max(self.period, len(self._places) / self.rate) * (1 + JITTER * self._chance())

    def _soon(self, place: Place, delay: float = 0.0) -> None:
        """Bring the next probe of a place forward."""
        wanted = self._timer() + delay
        if self._due.get(place, wanted) > wanted:
            self._due[place] = wanted
            self._wake.set()

    async def _review_after(self, place: Place, delay: float) -> None:
        await asyncio.sleep(delay + self._burst.take(self._timer()))
        await self._review(place)

    async def _review(self, place: Place) -> None:
        """Review one place; everybody who asks at the same time shares the answer."""
        flight = self._flights.get(place)
        if flight is None:
            flight = self._flights[place] = asyncio.ensure_future(self._review_now(place))
            flight.add_done_callback(lambda _: self._flights.pop(place, None))
        await asyncio.shield(flight)

    async def _review_now(self, place: Place) -> None:
        rights = tuple(self._places.get(place, ()))
        if not rights:
            return
        try:
            answers = await self._reviewer.review(place, rights)
        except ForbiddenError:
            self._review_refused(rights)
        except ScopedCacheError:
            self._no_answer(rights)
        else:
            self._answered(answers)

    def _answered(self, answers: Answers) -> None:
        now = self._timer()
        self.reviews += answers.requests
        self._instrumentation.increment(ACCESS_REVIEWS, answers.requests, result="answered")
        self._reviewed_at, self._refused_since = now, None
        self._attempt(False)
        for right, allowed in answers.allowed.items():
            self._take(right, "yes" if allowed else "no", now)

    def _no_answer(self, rights: Iterable[Right]) -> None:
        self._instrumentation.increment(ACCESS_REVIEWS, result="unanswered")
        now = self._timer()
        for right in rights:
            self._take(right, "silent", now)

    def _review_refused(self, rights: Sequence[Right]) -> None:
        """The review itself met a 403: nothing is known, and from the start, or for long, attempts must tell."""
        self.reviews += 1
        self._instrumentation.increment(ACCESS_REVIEWS, result="refused")
        now = self._timer()
        if self._refused_since is None:
            self._refused_since = now
        never = self._reviewed_at == float("-inf")
        for right in rights:
            self._take(right, "silent", now)
        if never or now - self._refused_since >= REVIEWS_REFUSED:
            self._attempt(True)
        lost = [right for right in rights if (verdict := self._verdicts.get(right)) and verdict.state == "denied"]
        if self.attempting and lost and self._supervisor is not None:
            self._supervisor.start("attempt", self._try(lost))

    # -- attempt mode --------------------------------------------------------------------------------------------

    def _attempt(self, attempting: bool) -> None:
        if attempting == self.attempting:
            return
        self.attempting = attempting
        _log.warning("attempt-mode", extra={"attempting": attempting, "bound": round(self.bound, 1)})
        if self._listener is not None:
            self._listener.attempt_mode_changed(attempting)

    async def _try(self, rights: list[Right]) -> None:
        """Ask for what was refused, in the cheapest way; the answers come back through `observed`."""
        for right in rights:
            if right.verb == "list":
                await self._reviewer.attempt(right)
        # A list that is allowed again says nothing about the watch, but opening it will.
        for right in rights:
            verdict = self._verdicts.get(right)
            listed = self._verdicts.get(attrs.evolve(right, verb="list"))
            if verdict is not None and verdict.lost and right.verb == "watch" and listed and listed.state == "allowed":
                self._take(right, "yes", self._timer())

    def _until_attempt(self, rights: list[Right]) -> float | None:
        """Return how long until a second attempt counts; None where a denial is settled."""
        suspects = [v for r in rights if (v := self._verdicts.get(r)) and v.state == "suspect"]
        if not suspects or any(v.state == "denied" for r in rights if (v := self._verdicts.get(r))):
            return None
        return max(0.05, max(v.since for v in suspects) + ATTEMPTS_APART - self._timer())

    # -- the table -----------------------------------------------------------------------------------------------

    def _take(self, right: Right, signal: Signal, now: float) -> None:
        verdict = self._verdicts.get(right)
        if verdict is None:
            return
        hold_off = HOLD_OFF_AFTER_LOSS if now - self._lost_at < LOSS_MATTERS else HOLD_OFF
        before = verdict.state
        changed = verdict.take(signal, now, hold_off=hold_off, attempting=self.attempting)
        if verdict.state == "suspect" and not self.attempting and (changed or signal == "no"):
            # The confirming review comes a little after the hold-off, so that its "no" counts.
            self._soon(right.namespace, max(0.0, verdict.since + hold_off - now) + 0.02)
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
            self._listener.verdict_changed(verdict, before)
        for turn in self._changed:
            if not turn.done():
                turn.set_result(None)

    def __repr__(self) -> str:
        mode = " attempting" if self.attempting else ""
        return f"<Monitor rights={len(self._verdicts)} places={len(self._places)} bound={self.bound:.1f}s{mode}>"


_NOTHING: Place = "\0nothing"


def _right(call: Call) -> Right:
    gvr = call.resource.gvr
    return Right(call.verb, gvr.group, gvr.resource, call.namespace, call.subresource, call.name)
