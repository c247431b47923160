"""A verdict beside the plain list of what was heard: it is denied for a reason that stands in the list, and only then.

Nothing is taken away by one "no", nor by two that are close together or have a success between; whoever keeps saying
"no" takes it away; a success always gives it back.
"""

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scopedcache.access.hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS, HOLD_OFF_SECONDS
from scopedcache.access.readiness import READY_WAIT_SECONDS
from scopedcache.access.refusals import REFUSALS_APART_SECONDS
from scopedcache.access.verdict import DENYING, Step, Verdict
from scopedcache.api.permission import Permission
from tests.unit.machines import BOUNDED

WATCH_PODS = Permission("watch", "", "pods", "a")
WALL = datetime(2026, 1, 1, tzinfo=UTC)
HOLD_OFFS = st.sampled_from([HOLD_OFF_SECONDS, HOLD_OFF_AFTER_TROUBLE_SECONDS])
HARMLESS = ("yes", "done", "silent", "missing", "refused")


class VerdictMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.verdict = Verdict(WATCH_PODS)
        self.heard = []  # (when, what), since anything spoke for it
        self.refused = []  # when, since a call succeeded
        self.step = Step(None, None)
        self.hold_off = HOLD_OFF_SECONDS

    def take(self, signal):
        before = self.verdict.state
        self.step = self.verdict.take(signal, self.now, WALL, hold_off=self.hold_off)
        if signal in ("yes", "done"):
            self.heard.clear()
        if signal == "done":
            self.refused.clear()
        self.heard.append((self.now, signal))
        if signal == "refused":
            self.refused.append(self.now)
        if self.verdict.state in DENYING and before not in DENYING:
            assert self.reason(before, signal), (before, signal)
        if signal in HARMLESS:
            assert self.verdict.state not in DENYING or before in DENYING
        if signal == "done":
            assert self.verdict.granted

    def reason(self, before, signal):
        """Return whether what was heard is enough to take it away."""
        if signal == "expired":
            return True
        if signal in ("no", "unready"):
            nos = [when for when, what in self.heard if what in ("no", "unready", "refused")]
            apart = self.hold_off if signal == "no" else READY_WAIT_SECONDS
            return before == "probing" or self.now - nos[0] >= apart
        return self.refused and self.refused[-1] - self.refused[0] >= REFUSALS_APART_SECONDS

    # -- what can happen -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0, 10.0, 25.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @rule(signal=st.sampled_from(["yes", "no", "unready", "done", "missing", "silent"]), hold_off=HOLD_OFFS)
    def hear(self, signal, hold_off):
        self.hold_off = hold_off
        self.take(signal)

    @rule(ready=st.booleans())
    def meet_a_refusal(self, ready):
        """As the monitor does: where it is asked to, it asks whether the server is ready."""
        self.take("refused")
        if self.step.ask_ready:
            self.take("refusals" if ready else "refusals-unready")

    @rule()
    def expire(self):
        self.take("expired")
        assert self.verdict.denying

    @precondition(lambda self: self.verdict.state == "suspect")
    @rule()
    def go_on_saying_no(self):
        """Who is asked again when that was wished for, and says "no" again, takes it away."""
        for _ in range(2):
            if self.verdict.denying:
                break
            self.take("no")
            self.now = max(self.now, self.step.confirm_at or self.now)
        self.take("no")
        assert self.verdict.state == "denied"

    @precondition(lambda self: self.verdict.state == "denied" and self.verdict.refusals.stand)
    @rule()
    def a_review_is_not_believed_where_calls_are_refused(self):
        self.take("yes")
        assert self.verdict.state == "denied"
        tried_at = self.verdict.refusals.tried_at
        assert tried_at is not None
        assert self.step.attempt == (self.now >= tried_at)

    @invariant()
    def who_lost_it_knows_since_when(self):
        assert not self.verdict.lost or self.verdict.refused_at == WALL
        assert not (self.verdict.denying and self.verdict.granted)
        assert self.verdict.evidence <= self.now


TestVerdictMachine = VerdictMachine.TestCase
TestVerdictMachine.settings = BOUNDED
