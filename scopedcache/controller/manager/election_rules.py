"""Who leads by the record in a Lease, and when to renew, take over or stop: decisions; `LeaderElector` acts on them.

Plain and synchronous: the clock and the record come in.

The rules are client-go's (tools/leaderelection): a record counts as expired when it has not been seen to change for its
own duration, by the local clock, so that the clocks of two machines are never compared. A leader that could not renew
for the renew deadline stops leading by itself, well before anybody else may begin.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import attrs

from ...objects import Object

# client-go's defaults; the 5 s between the first two are what a stopping leader has to stop in. A candidate waits for
# the retry period and up to `JITTER_FRACTION` times as much again.
LEASE_DURATION_SECONDS: Final = 15.0
RENEW_DEADLINE_SECONDS: Final = 10.0
RETRY_PERIOD_SECONDS: Final = 2.0
JITTER_FRACTION: Final = 1.2

Action = Literal["create", "renew", "take", "wait"]


@attrs.frozen
class LeaderElection:
    """How to elect a leader.

    Attributes:
        name, namespace: the Lease.
        identity: who we are: unique to this process; host and process id, unless told otherwise.
        lease_duration: seconds after which others may take over a Lease that does not change.
        renew_deadline: seconds without a successful renewal after which a leader stops leading.
        retry_period: seconds between two attempts.
    """

    name: str
    namespace: str = attrs.field(kw_only=True)
    identity: str | None = attrs.field(default=None, kw_only=True)
    lease_duration: float = attrs.field(default=LEASE_DURATION_SECONDS, kw_only=True)
    renew_deadline: float = attrs.field(default=RENEW_DEADLINE_SECONDS, kw_only=True)
    retry_period: float = attrs.field(default=RETRY_PERIOD_SECONDS, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.lease_duration > self.renew_deadline > JITTER_FRACTION * self.retry_period > 0:
            raise ValueError(
                "a leader must stop before others begin, and try more than once before it stops: "
                f"lease_duration ({self.lease_duration:g}) > renew_deadline ({self.renew_deadline:g}) "
                f"> {JITTER_FRACTION} × retry_period ({self.retry_period:g}) > 0"
            )


@attrs.frozen
class LeaseRecord:
    """What a Lease says. The times are kept as they were written.

    `version` is its resourceVersion; it does not count in comparisons, as a touch of the Lease is no renewal.
    """

    holder: str
    duration: float
    acquired: str | None
    renewed: str | None
    transitions: int
    version: str = attrs.field(eq=False)

    @classmethod
    def of(cls, lease: Object) -> LeaseRecord:
        """Read a Lease; what it lacks counts as empty."""
        spec = lease.at("spec", default={})
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=float(spec.get("leaseDurationSeconds") or 0),
            acquired=spec.get("acquireTime"),
            renewed=spec.get("renewTime"),
            transitions=int(spec.get("leaseTransitions") or 0),
            version=lease.resource_version,
        )


class Candidate:
    """One process that wants to lead."""

    def __init__(self, identity: str, election: LeaderElection) -> None:
        self.identity = identity
        self._election = election
        self._record: LeaseRecord | None = None
        self._changed = float("-inf")
        self._renewed = float("-inf")
        self.leading = False

    @property
    def record(self) -> LeaseRecord | None:
        """Return the Lease as last seen."""
        return self._record

    def observe(self, record: LeaseRecord | None, now: float) -> None:
        """Take note of the Lease as it is; None where there is none."""
        if record != self._record:
            self._changed = now
        self._record = record

    def decide(self, now: float) -> Action:
        """Say what to do with the Lease as last observed."""
        record = self._record
        if record is None:
            return "create"
        if record.holder == self.identity:
            return "renew"
        if not record.holder or now >= self._changed + record.duration:
            return "take"
        return "wait"

    def spec(self, wall: datetime) -> dict[str, Any]:
        """Return the spec that makes us the holder, or keeps us it."""
        record, stamp = self._record, micro_time(wall)
        is_ours = record is not None and record.holder == self.identity
        transitions = record.transitions if record is not None else 0
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._election.lease_duration)),
            "acquireTime": (record.acquired if is_ours and record is not None else None) or stamp,
            "renewTime": stamp,
            "leaseTransitions": transitions if is_ours or record is None else transitions + 1,
        }

    def release_spec(self, wall: datetime) -> dict[str, Any]:
        """Return the spec that lets anybody take over at once."""
        stamp = micro_time(wall)
        return {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": self._record.transitions if self._record else 0,
        }

    def note_written(self, record: LeaseRecord, sent: float, now: float) -> None:
        """Say that the write of our spec went through, and when it was sent."""
        self.observe(record, now)
        # From when it was sent: the server may have written it then, and others count from there.
        self._renewed = sent
        self.leading = True

    def must_step_down(self, now: float) -> bool:
        """Tell whether a leader has to stop: its time is over, or somebody else holds the Lease."""
        if not self.leading:
            return False
        if self._record is not None and self._record.holder != self.identity:
            return True
        return now >= self.deadline

    @property
    def deadline(self) -> float:
        """Return when leading ends unless it is renewed before."""
        return self._renewed + self._election.renew_deadline

    def step_down(self) -> None:
        self.leading = False

    def __repr__(self) -> str:
        holder = self._record.holder if self._record else None
        return f"<Candidate {self.identity} {'leading' if self.leading else 'waiting'} holder={holder or '-'}>"


def micro_time(moment: datetime) -> str:
    """Return a moment as a MicroTime of the API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
