"""A reconciler that wakes itself is noticed, once, and nobody else is."""

import pytest

from scopedcache.controller.self_waking import RUNS_IN_A_ROW, SelfWaking
from scopedcache.kinds import ObjectKey

KEY, OTHER = ObjectKey("a", "m"), ObjectKey("a", "n")


@pytest.fixture
def self_waking():
    return SelfWaking()


def run(self_waking, *, key=KEY, wakes=1, writes=1):
    self_waking.begin(key)
    for _ in range(wakes):
        self_waking.woken(key)
    return self_waking.end(key, writes).is_news


def test_runs_that_only_their_own_writes_wake_are_said_once(self_waking):
    said = [run(self_waking) for _ in range(3 * RUNS_IN_A_ROW)]

    assert (said.count(True), said.index(True)) == (1, RUNS_IN_A_ROW - 1)


def test_it_is_said_once_whatever_the_object(self_waking):
    said = [run(self_waking, key=key) for key in (KEY, OTHER) for _ in range(RUNS_IN_A_ROW)]

    assert said.count(True) == 1


@pytest.mark.parametrize("between", ["nothing to write", "an event of its own", "an event between the runs"])
def test_whatever_else_happens_ends_the_row(self_waking, between):
    said = []
    for _ in range(RUNS_IN_A_ROW):
        said += [run(self_waking) for _ in range(RUNS_IN_A_ROW - 1)]
        if between == "an event between the runs":
            self_waking.woken(KEY)
        else:
            said.append(run(self_waking, wakes=2 if between == "an event of its own" else 0))

    assert True not in said


def test_a_key_that_is_gone_begins_anew(self_waking):
    said = []
    for _ in range(3):
        said += [run(self_waking) for _ in range(RUNS_IN_A_ROW - 1)]
        self_waking.forget(KEY)

    assert True not in said


@pytest.mark.parametrize(("wakes", "writes", "only_own"), [(0, 1, False), (1, 1, True), (1, 2, True), (2, 1, False)])
def test_what_a_run_was_woken_by_is_told_apart(self_waking, wakes, writes, only_own):
    self_waking.begin(KEY)
    for _ in range(wakes):
        self_waking.woken(KEY)

    assert self_waking.end(KEY, writes).only_own is only_own
