"""Takes part in the election: reads and writes the Lease as `election_rules` decides.

Whatever the API server answers ends no process: an attempt that fails is one that did not succeed, a refused one
(403) too. A leader that cannot renew stops leading at the renew deadline and competes again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ... import metrics
from ...clock import wall_time
from ...errors import ConflictError, NotFoundError, ScopedCacheError
from ...kinds import GVK
from .election_rules import JITTER_FRACTION, Candidate, LeaderElection, LeaseRecord

if TYPE_CHECKING:
    from ...api import Client

logger = logging.getLogger("scopedcache.controller")

LEASE: Final = GVK("coordination.k8s.io", "v1", "Lease")


class LeaderElector:
    """Drives one candidate over a client; belongs to the running loop."""

    def __init__(
        self,
        client: Client,
        election: LeaderElection,
        *,
        instrumentation: metrics.Instrumentation = metrics.NULL,
        chance: Callable[[], float] = random.random,
        wall: Callable[[], datetime] = wall_time,
    ) -> None:
        self._client = client
        self._election = election
        self._instrumentation = instrumentation
        self._chance = chance
        self._wall = wall
        self._now = asyncio.get_running_loop().time
        self._candidate = Candidate(election.identity or _default_identity(), election)
        self._logged_error: str | None = None
        instrumentation.set(metrics.LEADING, 0, name=election.name)

    @property
    def leading(self) -> bool:
        return self._candidate.leading

    @property
    def identity(self) -> str:
        return self._candidate.identity

    async def acquire(self) -> None:
        """Compete until we lead."""
        while True:
            await self._attempt(self._now() + self._election.renew_deadline)
            if self._candidate.leading:
                self._set_leading(True)
                logger.info("leader.elected", extra=self._fields)
                return
            await self._pause()

    async def hold(self) -> None:
        """Renew for as long as that works; return when we lead no more."""
        while True:
            await asyncio.sleep(min(self._election.retry_period, max(0.0, self._candidate.deadline - self._now())))
            await self._attempt(self._candidate.deadline)
            if self._candidate.must_step_down(self._now()):
                self._candidate.step_down()
                self._set_leading(False)
                logger.info("leader.lost", extra=self._fields)
                return

    async def release(self) -> None:
        """Let others take over at once, if we lead. Best effort, a few seconds at most."""
        record = self._candidate.record
        if not self._candidate.leading or record is None:
            return
        self._candidate.step_down()
        try:
            async with asyncio.timeout(self._election.retry_period):
                await self._client.update(self._lease(self._candidate.release_spec(self._wall()), record.version))
        except (ScopedCacheError, TimeoutError) as error:
            logger.warning("leader.not_released", extra={"lease": self._election.name, "error": str(error)})
        self._set_leading(False)
        logger.info("leader.released", extra=self._fields)

    def state(self) -> dict[str, Any]:
        """Return who leads, as plain data."""
        record = self._candidate.record
        return {
            "lease": f"{self._election.namespace}/{self._election.name}",
            "identity": self.identity,
            "leading": self.leading,
            "holder": (record.holder or None) if record else None,
        }

    async def _attempt(self, until: float) -> None:
        """Try once to become, or to remain, the leader; a failure is logged when it is a new one."""
        try:
            async with asyncio.timeout_at(until):
                await self._try()
            self._logged_error = None
        except (ScopedCacheError, TimeoutError) as error:
            self._log_once(error)
        except Exception as error:
            logger.error("leader.attempt_failed", extra={"lease": self._election.name}, exc_info=error)

    async def _try(self) -> None:
        # A leader knows the record it wrote: one request instead of two, and a conflict tells where that is wrong.
        if not self._candidate.leading:
            await self._look()
        try:
            await self._write()
        except (ConflictError, NotFoundError):
            await self._look()
            if self._candidate.leading and not self._candidate.must_step_down(self._now()):
                await self._write()

    async def _look(self) -> None:
        try:
            lease = await self._client.get(LEASE, self._election.name, namespace=self._election.namespace)
        except NotFoundError:
            self._candidate.observe(None, self._now())
        else:
            self._candidate.observe(LeaseRecord.of(lease), self._now())

    async def _write(self) -> None:
        sent = self._now()
        action = self._candidate.decide(sent)
        if action == "wait":
            return
        spec, record = self._candidate.spec(self._wall()), self._candidate.record
        if record is None:
            written = await self._client.create(self._lease(spec, None))
        else:
            written = await self._client.update(self._lease(spec, record.version))
        self._candidate.note_written(LeaseRecord.of(written), sent, self._now())

    def _lease(self, spec: dict[str, Any], version: str | None) -> dict[str, Any]:
        metadata = {"name": self._election.name, "namespace": self._election.namespace}
        if version:
            metadata["resourceVersion"] = version
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}

    async def _pause(self) -> None:
        # Candidates that began together do not stay together.
        await asyncio.sleep(self._election.retry_period * (1 + JITTER_FRACTION * self._chance()))

    def _log_once(self, error: BaseException) -> None:
        words = f"{type(error).__name__}: {error}"
        if words != self._logged_error:
            self._logged_error = words
            logger.warning("leader.attempt_failed", extra={"lease": self._election.name, "error": words})

    def _set_leading(self, leading: bool) -> None:
        self._instrumentation.set(metrics.LEADING, float(leading), name=self._election.name)

    @property
    def _fields(self) -> dict[str, str]:
        return {"lease": self._election.name, "identity": self.identity}


def _default_identity() -> str:
    return f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
