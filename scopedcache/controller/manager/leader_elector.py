"""Takes part in the election: reads and writes the Lease as `election_rules` decides.

Whatever the API server answers ends no process: an attempt that fails is one that did not succeed, a refused one
(403) too. A leader that cannot renew stops leading at the renew deadline and competes again. A Lease that cannot be
read or written is told: in the log once for each cause, in `reason` for /readyz, and in the metrics.

The clock counts suspension: a process that wakes after its Lease has expired does not believe that it leads.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ... import metrics
from ...clock import boot_time, wall_time
from ...errors import APIError, ConflictError, ForbiddenError, NotFoundError, ScopedCacheError, ServerError
from ...event_logger import event_logger
from ...kinds import GVK
from ...objects import Object
from ..log_words import without_numbers
from .election_rules import CHALLENGER_ANNOTATION, JITTER_FRACTION, Candidate, LeaderElection, LeaseRecord
from .write_fence import WriteFence, unfenced

if TYPE_CHECKING:
    from ...api import Client

logger: Final = event_logger("scopedcache.controller")

# One attempt that fails is nothing to be unready for.
FAILURES_AT_MOST: Final = 1
# What is left of a deadline when a timer that was set to it fires: nothing can be done in it.
MOMENT_SECONDS: Final = 0.001
# Of the retry period: how soon a challenger looks again. Its leader has to meet the challenge and to stop first.
CHALLENGING_FRACTION: Final = 0.25
LEASE: Final = GVK("coordination.k8s.io", "v1", "Lease")


class LeaderElector:
    """Drives one candidate over a client; belongs to the running loop.

    Args:
        fence: opened with each renewal, closed when leading ends.
        labels: what its Lease is labelled with.
        annotations: what its Lease is to tell, with each renewal.
        check: raises where a Lease of this name is not for us to take.
    """

    def __init__(
        self,
        client: Client,
        election: LeaderElection,
        *,
        instrumentation: metrics.Instrumentation = metrics.NULL,
        chance: Callable[[], float] = random.random,
        wall: Callable[[], datetime] = wall_time,
        timer: Callable[[], float] = boot_time,
        fence: WriteFence | None = None,
        labels: Mapping[str, str] = MappingProxyType({}),
        annotations: Callable[[], Mapping[str, str]] = dict,
        check: Callable[[Object], None] = lambda lease: None,
    ) -> None:
        self._client = client
        self._election = election
        self._instrumentation = instrumentation
        self._chance = chance
        self._wall = wall
        self._now = timer
        self._labels = dict(labels)
        self._annotations = annotations
        self._check = check
        self._other_labels: dict[str, str] = {}  # that others have given the Lease
        self._fence = fence or WriteFence(timer=timer)
        self._candidate = Candidate(election.identity or default_identity(), election)
        self._error: BaseException | None = None  # of the last attempt
        self._failures = 0
        self._seen: Object | None = None  # the Lease, as looked at last
        self._logged_error: str | None = None
        self._unanswered = False  # a write that would make us the leader was sent, and perhaps done
        instrumentation.set(metrics.LEADING, 0, name=election.name)
        instrumentation.increment(metrics.LEASE_FAILURES, 0.0, name=election.name)

    @property
    def leading(self) -> bool:
        return self._candidate.leading and not self._candidate.must_step_down(self._now())

    @property
    def reason(self) -> str | None:
        """Return why nobody can lead here, in words: the Lease cannot be read or written. None where it can."""
        error = self._error
        if error is None or self.leading:
            return None
        if self._failures <= FAILURES_AT_MOST and not isinstance(error, ForbiddenError | NotFoundError):
            return None
        return f"cannot take part in the election by Lease {self._election.namespace}/{self._election.name}: {error}"

    @property
    def name(self) -> str:
        return self._election.name

    @property
    def identity(self) -> str:
        return self._candidate.identity

    async def acquire(self) -> None:
        """Compete until we lead."""
        while True:
            await self._attempt(self._now() + self._election.renew_deadline, self._patience_seconds)
            if self._candidate.leading:
                self._set_leading(True)
                logger.info("leader.elected", extra=self._fields)
                return
            await self._pause()

    async def hold(self) -> None:
        """Renew for as long as that works; return when we lead no more."""
        begun = self._now()
        while True:
            due = min(begun + self._election.retry_period, self._candidate.deadline)
            await asyncio.sleep(max(0.0, due - self._now()))
            begun = self._now()
            if self._candidate.deadline - begun > MOMENT_SECONDS:
                await self._attempt(self._candidate.deadline, self._candidate.patience_seconds)
            if self._candidate.must_step_down(self._now() + MOMENT_SECONDS):
                self._step_down()
                logger.info("leader.lost", extra=self._fields)
                return
            if self.yielding:
                logger.info("leader.yields", extra=self._fields)
                return

    @property
    def yielding(self) -> bool:
        """Tell whether somebody better is to lead: we do until `release`, which comes when our work has stopped."""
        return self._candidate.must_yield(self._now())

    async def release(self) -> None:
        """Let others take over at once, if we lead, or may have been about to. Best effort, a few seconds at most."""
        record = self._candidate.record if self._candidate.leading else None
        if record is None and not self._unanswered:
            return
        self._step_down()
        try:
            with unfenced():
                async with asyncio.timeout(self._election.retry_period):
                    if not await self._let_go(record):
                        return
        except (ScopedCacheError, TimeoutError) as error:
            logger.warning("leader.not_released", extra={**self._fields, "error": str(error)})
            return
        logger.info("leader.released", extra=self._fields)

    async def _let_go(self, record: LeaseRecord | None) -> bool:
        """Write that nobody holds the Lease, if we do; tell whether we did."""
        if record is not None:
            with suppress(ConflictError):  # a challenge came in between, unless it is not ours any more
                await self._client.update(self._lease(self._candidate.release_spec(self._wall()), record))
                return True
        await self._look()
        seen = self._candidate.record
        if seen is None or seen.holder != self.identity:
            return False
        await self._client.update(self._lease(self._candidate.release_spec(self._wall()), seen))
        return True

    def state(self) -> dict[str, Any]:
        """Return who leads, as plain data."""
        record = self._candidate.record
        return {
            "lease": f"{self._election.namespace}/{self._election.name}",
            "identity": self.identity,
            "leading": self.leading,
            "holder": (record.holder or None) if record else None,
            "error": None if self._error is None else _words(self._error),
        }

    async def _attempt(self, until: float, patience: Callable[[float], float]) -> None:
        """Try to become, or to remain, the leader; a failure is logged when it is a new one.

        A request that hangs is waited for up to `until`, and gets company after each pause that `patience` returns: it
        may be lost, and it may be slow. They write from the same version, so one of them counts at most.
        """
        began = self._now()
        tries: set[asyncio.Task[None]] = set()
        ended: set[asyncio.Task[None]] = set()
        try:
            while not ended and until - (now := self._now()) > MOMENT_SECONDS:
                with unfenced():
                    tries.add(asyncio.create_task(self._try(), name="lease"))
                pause = min(until - now, patience(now))
                ended, _ = await asyncio.wait(tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in tries:
                one.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        errors = [one.exception() for one in ended if not one.cancelled()]
        if not ended:
            self._note_failure(TimeoutError(f"no answer in {self._now() - began:g} s"))
        elif None in errors:
            self._error, self._failures, self._logged_error = None, 0, None
        else:
            self._note_failure(errors[0])

    def _patience_seconds(self, now: float) -> float:
        return max(self._election.retry_period, self._election.renew_deadline / 2)

    async def _try(self) -> None:
        # A leader knows the record it wrote: one request instead of two, and a conflict tells where that is wrong.
        if not self._candidate.leading:
            await self._look()
        had_one = self._candidate.record is not None
        try:
            await self._write()
        except (ConflictError, NotFoundError) as error:
            if isinstance(error, NotFoundError) and not had_one:
                raise  # it is not the Lease that is not there, but its namespace
            await self._look()
            if self._candidate.leading and not self._candidate.must_step_down(self._now()):
                await self._write()

    async def _look(self) -> None:
        try:
            lease = await self._client.get(LEASE, self._election.name, namespace=self._election.namespace)
        except NotFoundError:
            self._seen = None
            self._candidate.observe(None, self._now())
        else:
            self._check(lease)
            self._seen, self._other_labels = lease, dict(lease.labels)
            self._candidate.observe(LeaseRecord.of(lease), self._now())

    async def _write(self) -> None:
        sent = self._now()
        action = self._candidate.decide(sent)
        if action == "challenge":
            await self._challenge()
        if action in ("wait", "challenge"):
            return
        spec, record = self._candidate.spec(self._wall()), self._candidate.record
        self._unanswered = True
        try:
            if record is None:
                written = await self._client.create(self._lease(spec, None))
            else:
                written = await self._client.update(self._lease(spec, record))
        except APIError as error:
            self._unanswered = isinstance(error, ServerError)  # it may be done all the same
            raise
        self._unanswered = False
        self._candidate.note_written(LeaseRecord.of(written), sent, self._now())
        self._fence.open_until(self._candidate.deadline)

    async def _challenge(self) -> None:
        """Write into the Lease that we would do better, and nothing else: it stays its holder's."""
        lease = self._seen
        if lease is not None:
            challenger = self._candidate.challenge(self._wall())
            lease["metadata"] = {
                **{name: value for name, value in lease["metadata"].items() if name != "managedFields"},
                "annotations": {**lease.annotations, CHALLENGER_ANNOTATION: str(challenger)},
            }
            self._candidate.observe(LeaseRecord.of(await self._client.update(lease)), self._now())

    def _lease(self, spec: dict[str, Any], record: LeaseRecord | None) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": self._election.name, "namespace": self._election.namespace}
        if record is not None:
            metadata["resourceVersion"] = record.version
        if labels := {**(self._other_labels if record is not None else {}), **self._labels}:
            metadata["labels"] = labels
        annotations = {**self._candidate.annotations(self._now()), **self._annotations()}
        if annotations:
            metadata["annotations"] = {name: text for name, text in annotations.items() if text is not None}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}

    async def _pause(self) -> None:
        if self._candidate.challenges:  # a leader is about to let go, and nobody leads until we look
            await asyncio.sleep(self._election.retry_period * CHALLENGING_FRACTION)
            return
        # Candidates that began together do not stay together.
        await asyncio.sleep(self._election.retry_period * (1 + JITTER_FRACTION * self._chance()))

    def _step_down(self) -> None:
        self._candidate.step_down()
        self._fence.close()
        self._set_leading(False)

    def _note_failure(self, error: BaseException | None) -> None:
        assert error is not None
        self._error = error
        self._failures += 1
        self._instrumentation.increment(metrics.LEASE_FAILURES, name=self._election.name)
        words = without_numbers(_words(error))
        if words == self._logged_error:
            return
        self._logged_error = words
        if isinstance(error, ScopedCacheError | TimeoutError):
            logger.warning("leader.attempt_failed", extra={**self._fields, "error": _words(error)})
        else:
            logger.error("leader.attempt_failed", extra=self._fields, exc_info=error)

    def _set_leading(self, leading: bool) -> None:
        self._instrumentation.set(metrics.LEADING, float(leading), name=self._election.name)

    @property
    def _fields(self) -> dict[str, str]:
        return {"lease": self._election.name, "namespace": self._election.namespace, "identity": self.identity}


def default_identity() -> str:
    """Return a name for this process."""
    return f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
