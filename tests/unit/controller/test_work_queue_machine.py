"""The queue beside a naive one: by key, from when on it may run, and with which priority. Nothing else counts."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scopedcache.controller.retry_limits import FailureBackoff
from scopedcache.controller.work_queue import REFUSED_BACKOFF, REFUSED_QUIET_SECONDS, WorkQueue
from scopedcache.kinds import ObjectKey
from tests.unit.machines import BOUNDED

KEYS = st.builds(ObjectKey, st.sampled_from("ab"), st.sampled_from("xy"))
PRIORITIES = st.sampled_from(["high", "low", None])
PAUSES = st.sampled_from([0.0, 0.0, 0.05, 0.25, 1.0, 8.0])
BACKOFF = FailureBackoff(0.25, 4.0, jitter=0.0)
ALWAYS = 1000.0


class QueueMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.queue = WorkQueue[ObjectKey](timer=lambda: self.now, backoff=BACKOFF)
        self.due = {}  # from when on a key may run (again)
        self.priority = {}
        self.running = {}  # the priority it runs with
        self.failures = {}
        self.retried = {}
        self.refused = {}  # how often in a row, when last, until when it waits
        self.hurried = set()

    def ask(self, key, after, priority):
        if key in self.refused and key not in self.hurried:
            after = max(after, self.refused[key][2] - self.now)
        waits = key in self.due
        if priority is None and not waits and key not in self.running:
            priority = "high"
        known = {priority or self.running.get(key, "low"), self.priority[key] if waits else "low"}
        self.priority[key] = "high" if "high" in known else "low"
        self.due[key] = min(self.due.get(key, ALWAYS * self.now), self.now + max(after, 0.0))

    def forgotten(self, key):
        for known in (self.failures, self.retried):
            known.pop(key, None)

    @rule(key=KEYS, after=PAUSES, priority=PRIORITIES, at_once=st.booleans())
    def add(self, key, after, priority, at_once):
        self.queue.add(key, after=after, priority=priority, at_once=at_once)
        if at_once:
            self.hurried.add(key)
        self.ask(key, after, priority)

    @rule(seconds=st.sampled_from([0.05, 0.25, 1.0, 8.0, 70.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @rule()
    def pick(self):
        picked = self.queue.pick()

        ready = {key for key, due in self.due.items() if due <= self.now and key not in self.running}
        assert picked in ready if ready else picked is None
        if picked is not None:
            assert self.queue.priority(picked) == self.priority[picked]
            self.running[picked] = self.priority[picked]
            del self.due[picked]
            self.hurried.discard(picked)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["well", "failed", "failed", "dropping", "refused", "refused"]))
    def end(self, data, how):
        key = data.draw(st.sampled_from(sorted(self.running)))
        if how == "well":
            self.queue.forget(key)
            self.forgotten(key)
            self.refused.pop(key, None)
        elif how == "refused":
            self.queue.add_refused(key, after=30.0)
            self.refuse(key)
        else:
            self.fail(key, how == "dropping")
        self.queue.done(key)
        del self.running[key]

    def refuse(self, key):
        times, at, _ = self.refused.get(key, (0, self.now, 0.0))
        times = 1 if self.now - at > REFUSED_QUIET_SECONDS else times + 1
        until = self.now + REFUSED_BACKOFF.delay(times)
        self.refused[key] = (times, self.now, until)
        self.forgotten(key)
        if key in self.due and key not in self.hurried:  # what was asked for while it ran
            self.due[key] = max(self.due[key], until)
        self.ask(key, 30.0, None)

    def fail(self, key, drops):
        pause = self.queue.add_rate_limited(key, drop_again=drops)
        assert 0 < pause <= BACKOFF.cap
        if drops and key not in self.hurried and self.due.get(key, self.now + 1) <= self.now:
            del self.due[key]
        if self.retried.get(key, self.now) <= self.now:
            self.failures[key] = self.failures.get(key, 0) + 1
            self.retried[key] = self.now + BACKOFF.delay(self.failures[key])
        assert self.queue.failures(key) == self.failures[key]
        self.ask(key, self.retried[key] - self.now, None)

    @rule(key=KEYS)
    def discard(self, key):
        self.queue.discard(key)
        self.due.pop(key, None)
        self.hurried.discard(key)
        self.forgotten(key)
        self.refused.pop(key, None)

    @invariant()
    def a_key_is_there_while_it_waits_or_runs(self):
        for key in (ObjectKey(namespace, name) for namespace in "ab" for name in "xy"):
            assert (key in self.queue) == (key in self.due or key in self.running)
        assert self.queue.running == len(self.running)

    @rule()
    def count(self):
        assert self.queue.ready == sum(due <= self.now for key, due in self.due.items() if key not in self.running)
        assert self.queue.delayed == sum(due > self.now for due in self.due.values())

    def teardown(self):
        """No key is lost: whatever was asked for runs once."""
        for key in list(self.running):
            self.queue.done(key)
        self.now += ALWAYS
        left = []
        while (key := self.queue.pick()) is not None:
            left.append(key)
        assert sorted(left) == sorted(self.due)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = BOUNDED
