"""Who leads by the record in a Lease, and when to renew, take over or stop: decisions; `LeaderElector` acts on them.

Plain and synchronous: the clock and the record come in.

The rules are client-go's (tools/leaderelection): a record counts as expired when it has not been seen to change for its
own duration, by the local clock, so that the clocks of two machines are never compared. A leader that could not renew
for the renew deadline stops leading by itself, well before anybody else may begin.

Two things differ. A renewal that hangs gets company while there is time for another one. And a Lease that somebody
deletes still counts for its duration with whoever has seen it, from when it was seen to be gone, for it may have been
renewed right before: its leader writes it anew meanwhile. One that was nobody's, or our own, is free at once with
whoever has looked lately; who was cut off cannot know who had it since. A candidate that has never seen it cannot know
either, and leads together with the leader until the next renewal of that, the retry period.

With priorities a better candidate than the leader writes itself into an annotation of the Lease. The leader meets that
at its next renewal, stops its work, and lets the Lease go; whoever is worse than a standing challenger takes nothing. A
challenger that is not heard of for the duration of a Lease stands no longer.
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
# Of the lease duration: how old a challenge may be before it is made again.
RENEW_CHALLENGE_FRACTION: Final = 1 / 3

Action = Literal["create", "renew", "take", "challenge", "wait"]

# The priority of who holds the Lease; and who would do better: priority, a time that tells it from the last, identity.
PRIORITY_ANNOTATION: Final = "leader.scopedcache.dev/priority"
CHALLENGER_ANNOTATION: Final = "leader.scopedcache.dev/challenger"


@attrs.frozen
class LeaderElection:
    """How to elect a leader.

    Attributes:
        name, namespace: the Lease.
        identity: who we are: unique to this process; host and process id, unless told otherwise.
        lease_duration: seconds after which others may take over a Lease that does not change.
        renew_deadline: seconds without a successful renewal after which a leader stops leading.
        retry_period: seconds between two attempts.
        priority: the lowest number leads: who arrives with a better one than the leader's is let to lead, once the
            leader has stopped its work. None: who leads stays. All candidates of a Lease have one, or none has.
    """

    name: str
    namespace: str = attrs.field(kw_only=True)
    identity: str | None = attrs.field(default=None, kw_only=True)
    lease_duration: float = attrs.field(default=LEASE_DURATION_SECONDS, kw_only=True)
    renew_deadline: float = attrs.field(default=RENEW_DEADLINE_SECONDS, kw_only=True)
    retry_period: float = attrs.field(default=RETRY_PERIOD_SECONDS, kw_only=True)
    priority: int | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.lease_duration > self.renew_deadline > JITTER_FRACTION * self.retry_period > 0:
            raise ValueError(
                "a leader must stop before others begin, and try more than once before it stops: "
                f"lease_duration ({self.lease_duration:g}) > renew_deadline ({self.renew_deadline:g}) "
                f"> {JITTER_FRACTION} × retry_period ({self.retry_period:g}) > 0"
            )


@attrs.frozen
class Challenger:
    """Who would do better than the holder, and said so at some time."""

    priority: int
    stamp: str
    identity: str

    @classmethod
    def read(cls, text: str) -> Challenger | None:
        """Read an annotation; None where it makes no sense."""
        priority, _, rest = text.partition(" ")
        stamp, _, identity = rest.partition(" ")
        number = _integer(priority)
        return None if number is None or not identity else cls(number, stamp, identity)

    def __str__(self) -> str:
        return f"{self.priority} {self.stamp} {self.identity}"


@attrs.frozen
class LeaseRecord:
    """What a Lease says. The times are kept as they were written.

    `version` is its resourceVersion; it does not count in comparisons, as a touch of the Lease is no renewal. Nor does
    a challenger.
    """

    holder: str
    duration: float
    acquired: str | None
    renewed: str | None
    transitions: int
    version: str = attrs.field(eq=False)
    priority: int | None = attrs.field(default=None, eq=False)
    challenger: Challenger | None = attrs.field(default=None, eq=False)

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
            priority=_integer(lease.annotations.get(PRIORITY_ANNOTATION, "")),
            challenger=Challenger.read(lease.annotations.get(CHALLENGER_ANNOTATION, "")),
        )


class Candidate:
    """One process that wants to lead."""

    def __init__(self, identity: str, election: LeaderElection) -> None:
        self.identity = identity
        self._election = election
        self._record: LeaseRecord | None = None
        self._deleted: LeaseRecord | None = None  # the record of a Lease that is gone, as last seen
        self._seen = self._gone = float("-inf")  # when the Lease was there last, and when it was first seen to be gone
        self._changed = float("-inf")
        self._renewed = float("-inf")
        self._challenged = float("-inf")  # when a challenger was heard of last
        self.leading = False

    @property
    def record(self) -> LeaseRecord | None:
        """Return the Lease as last seen."""
        return self._record

    def observe(self, record: LeaseRecord | None, now: float) -> None:
        """Take note of the Lease as it is; None where there is none."""
        if record is not None:
            self._changed = now if record != (self._record or self._deleted) else self._changed
            self._seen = now
        elif self._record is not None:
            self._deleted, self._gone = self._record, now
        if record is not None and record.challenger != (self._record.challenger if self._record else None):
            self._challenged = now
        self._record = record

    def decide(self, now: float) -> Action:
        """Say what to do with the Lease as last observed."""
        record = self._record
        if record is None:
            return "wait" if self._counts_still(now) else "create"
        if not self.leading and self._better_challenger(now) is not None:
            return "wait"
        if record.holder == self.identity:
            return "renew"
        if not record.holder or now >= self._changed + record.duration:
            return "take"
        if not self._is_better_than(record.priority) or self._has_challenged(now):
            return "wait"
        return "challenge"

    def must_yield(self, now: float) -> bool:
        """Tell whether a leader is to stop its work and let the Lease go: somebody better is there."""
        return self.leading and self._better_challenger(now) is not None

    def _better_challenger(self, now: float) -> Challenger | None:
        challenger, priority = self._standing_challenger(now), self._election.priority
        if challenger is None or priority is None or challenger.priority >= priority:
            return None
        return challenger

    @property
    def challenges(self) -> bool:
        """Tell whether the Lease says that we would do better than its holder."""
        challenger = self._record.challenger if self._record is not None else None
        return not self.leading and challenger is not None and challenger.identity == self.identity

    def _has_challenged(self, now: float) -> bool:
        """Tell whether the challenge in the Lease is ours and not so old that it has to be made again."""
        return self.challenges and now < self._challenged + self._election.lease_duration * RENEW_CHALLENGE_FRACTION

    def _standing_challenger(self, now: float) -> Challenger | None:
        """Return who challenges the holder now, if that is somebody else."""
        challenger = self._record.challenger if self._record is not None else None
        if challenger is None or challenger.identity == self.identity:
            return None
        return challenger if now < self._challenged + self._election.lease_duration else None

    def _is_better_than(self, priority: int | None) -> bool:
        return self._election.priority is not None and priority is not None and self._election.priority < priority

    def challenge(self, wall: datetime) -> Challenger:
        """Return what says that we would do better."""
        return Challenger(self._election.priority or 0, micro_time(wall), self.identity)

    def annotations(self, now: float) -> dict[str, str | None]:
        """Return the annotations of a Lease that we write as its holder; None for one to be taken out."""
        if self._election.priority is None:
            return {}
        challenger = self._standing_challenger(now)
        return {
            PRIORITY_ANNOTATION: str(self._election.priority),
            CHALLENGER_ANNOTATION: str(challenger) if challenger is not None else None,
        }

    def _counts_still(self, now: float) -> bool:
        """Tell whether a Lease that was deleted is somebody's, who may lead and not know yet."""
        deleted = self._deleted
        if deleted is None or self.leading:
            return False
        looked_lately = self._gone - self._seen < self._election.renew_deadline
        if deleted.holder in ("", self.identity) and looked_lately:
            return False
        return now < self._gone + max(deleted.duration, self._election.lease_duration)

    def patience_seconds(self, now: float) -> float:
        """Return how long to wait for a renewal before another one is sent beside it.

        Half of what is left: a slow server gets as much as it can, and one that hung has time for the last of them.
        """
        return max(self._election.retry_period, self.deadline - now) / 2

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


def _integer(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() else None


def micro_time(moment: datetime) -> str:
    """Return a moment as a MicroTime of the API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
