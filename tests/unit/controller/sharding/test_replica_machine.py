"""Replicas that share one partition, some of them cut off, and answers that are lost: no point has two writers.

The server is a version and a text. Who was not heard of for the duration of a Lease is not alive for the others, and
has lapsed by itself before.
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scopedcache.controller.sharding.partition import Partition
from scopedcache.controller.sharding.replica import Replica, Round
from scopedcache.hash_ranges import RING_END
from tests.unit.machines import BOUNDED

NAMES = st.sampled_from("abc")
LEASE_SECONDS = 15.0
DEADLINE_SECONDS = 10.0
POINTS = [number * (RING_END // 16) for number in range(16)]
WEIGHTS = dict.fromkeys(POINTS, 1)


class FleetMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.version, self.text = 0, str(Partition())
        self.replicas = {name: Replica(name, patience=LEASE_SECONDS) for name in "abc"}
        self.renewed = dict.fromkeys("abc", float("-inf"))
        self.pending = {}  # by name: the version it goes by, and what it wants to write
        self.busy = dict.fromkeys("abc", False)

    def alive(self):
        return {name for name in "abc" if self.now < self.renewed[name] + LEASE_SECONDS}

    @rule(seconds=st.sampled_from([0.5, 2.0, 2.0, 6.0, 16.0]))
    def pass_time(self, seconds):
        self.now += seconds
        for name, replica in self.replicas.items():
            if self.now >= self.renewed[name] + DEADLINE_SECONDS:
                replica.lapse()

    @rule(name=NAMES, synced=st.booleans(), leaving=st.sampled_from([False, False, False, True]))
    def look(self, name, synced, leaving):
        """Renew its own Lease, read the partition, and find what is to be written."""
        replica = self.replicas[name]
        self.renewed[name] = self.now
        self.pending.pop(name, None)
        replica.observe(Partition.parse(self.text), self.now)
        round_ = Round(
            now=self.now, alive=self.alive(), there=self.alive(), synced=synced, leaving=leaving,
            is_idle=lambda _: not self.busy[name],
        )  # fmt: skip
        weights = WEIGHTS if replica.must_count(round_, {}) else None
        found = replica.next(round_, weights)
        if found is not None:
            self.pending[name] = (self.version, found)

    @rule(name=NAMES, answered=st.sampled_from([True, True, True, False]))
    def write(self, name, answered):
        """Write it, unless another one came first; the answer may be lost."""
        version, partition = self.pending.pop(name, (None, None))
        if partition is None or version != self.version or self.now >= self.renewed[name] + DEADLINE_SECONDS:
            return
        self.version, self.text = self.version + 1, str(partition)
        if answered:
            self.replicas[name].written(partition, self.now)

    @rule(name=NAMES)
    def a_whole_round(self, name):
        self.look(name, True, False)
        self.write(name, True)

    @rule(name=NAMES)
    def begin_or_end_a_run(self, name):
        self.busy[name] = not self.busy[name]

    @rule(name=NAMES)
    def die_and_start_anew(self, name):
        self.replicas[name] = Replica(name, patience=LEASE_SECONDS)
        self.pending.pop(name, None)
        self.busy[name] = False

    @invariant()
    def nobody_writes_where_another_one_does(self):
        for point in POINTS:
            writers = [name for name, replica in self.replicas.items() if point in replica.writable]
            assert len(writers) <= 1, writers

    @invariant()
    def who_works_may_write_and_sees(self):
        for replica in self.replicas.values():
            for point in POINTS:
                assert point not in replica.worked_on or (point in replica.writable and point in replica.shown)

    def teardown(self):
        """When all has come to rest every point is worked on by one."""
        self.busy = dict.fromkeys("abc", False)
        for _ in range(40):
            self.pass_time(2.0)
            for name in "abc":
                self.a_whole_round(name)
        for point in POINTS:
            assert sum(point in replica.worked_on for replica in self.replicas.values()) == 1


TestFleetMachine = FleetMachine.TestCase
TestFleetMachine.settings = BOUNDED
