"""Candidates of one Lease whose requests and answers are late or lost, and a Lease that somebody deletes.

Two never lead at once: not while the Lease changes hands, not after it was deleted, whoever was cut off meanwhile.
"""

from datetime import UTC, datetime

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scopedcache import Object
from scopedcache.controller.manager.election_rules import Candidate, LeaderElection, LeaseRecord
from tests.unit.machines import BOUNDED

ELECTION = LeaderElection("lease", namespace="system", lease_duration=15, renew_deadline=10, retry_period=2)
WALL = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from("abc")


@attrs.frozen
class Write:
    """A write that is under way: sent when, on what version, to say what."""

    name: str
    sent: float
    version: str
    spec: dict[str, object]


class ElectionMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now, self.version = 0.0, 0
        self.stored = None  # the Lease on the server
        self.handed = 0.0  # when it changed hands last
        self.candidates = {name: Candidate(name, ELECTION) for name in "abc"}
        self.writes = {}
        for candidate in self.candidates.values():  # who has never seen a Lease cannot know that it was deleted
            candidate.observe(None, self.now)
        self.write("a")
        self.arrive("a", answered=True)
        for name in "bc":
            self.read(name)

    # -- what can happen -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 4.0, 9.0, 15.0, 60.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @rule(name=NAMES)
    def read(self, name):
        if name not in self.writes:
            self.step_down_where_due(name)
            self.candidates[name].observe(self.stored, self.now)
            self.step_down_where_due(name)

    @rule(name=NAMES)
    def try_once(self, name):
        """As it goes most often: read, write and hear of it at once."""
        if name not in self.writes:
            self.read(name)
            self.write(name)
            self.arrive(name, answered=True)

    @rule(name=NAMES)
    def write(self, name):
        """Send what was decided by what was read last."""
        candidate = self.candidates[name]
        if name not in self.writes and candidate.decide(self.now) in ("create", "renew", "take"):
            known = candidate.record.version if candidate.record is not None else ""
            self.version += 1
            spec = candidate.spec(WALL.replace(microsecond=self.version))
            self.writes[name] = Write(name, self.now, known, spec)

    @rule(name=NAMES, answered=st.booleans())
    def arrive(self, name, answered):
        """Let the server take a write, unless another came first; its answer may be lost."""
        write = self.writes.pop(name, None)
        if write is None or write.version != (self.stored.version if self.stored else ""):
            return
        self.version += 1
        if self.stored is None or self.stored.holder != name:
            self.handed = self.now
        self.stored = record(write.spec, self.version)
        if answered:
            self.candidates[name].note_written(self.stored, write.sent, self.now)

    @rule(name=NAMES)
    def lose(self, name):
        self.writes.pop(name, None)

    @precondition(lambda self: self.stored is not None and self.now >= self.handed + ELECTION.renew_deadline)
    @rule()
    def delete_the_lease(self):
        """Not right after it changed hands: who looked just before, and it was free, takes it for free."""
        self.stored = None

    @rule(name=NAMES)
    def release(self, name):
        candidate = self.candidates[name]
        if candidate.leading and self.stored is not None and self.stored == candidate.record:
            candidate.step_down()
            self.writes.pop(name, None)
            self.version += 1
            self.stored = record(candidate.release_spec(WALL), self.version)

    def step_down_where_due(self, name):
        if self.candidates[name].must_step_down(self.now):
            self.candidates[name].step_down()

    # -- what is promised ----------------------------------------------------------------------------------------

    @invariant()
    def one_leads_at_most(self):
        leading = [c.identity for c in self.candidates.values() if c.leading and not c.must_step_down(self.now)]
        assert len(leading) <= 1, leading

    def teardown(self):
        """Whoever goes on trying leads in the end."""
        self.writes.clear()
        for _ in range(20):
            self.now += ELECTION.retry_period
            self.try_once("b")
        assert any(c.leading and not c.must_step_down(self.now) for c in self.candidates.values()) or self.stored


def record(spec, version):
    metadata = {"name": "lease", "namespace": "system", "resourceVersion": str(version)}
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    return LeaseRecord.of(Object.from_dict(body))


TestElectionMachine = ElectionMachine.TestCase
TestElectionMachine.settings = BOUNDED
