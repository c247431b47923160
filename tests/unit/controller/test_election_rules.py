"""Who leads, judged from the Lease."""

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.controller.manager.election_rules import (
    CHALLENGER_ANNOTATION,
    Candidate,
    Challenger,
    LeaderElection,
    LeaseRecord,
)
from scopedcache.objects import Object

ELECTION = LeaderElection("lease", namespace="system")
WALL = datetime(2026, 1, 1, tzinfo=UTC)
THEIRS = LeaseRecord("them", 15.0, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 3, "1")


@pytest.fixture
def me():
    return Candidate("me", ELECTION)


def lease(spec, version="2"):
    return Object.from_dict(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "lease", "namespace": "system", "resourceVersion": version},
            "spec": spec,
        }
    )


def won(candidate, now):
    record = LeaseRecord.of(lease(candidate.spec(WALL)))
    candidate.note_written(record, now, now)


def test_without_a_lease_it_is_created(me):
    me.observe(None, 0)

    assert me.decide(0) == "create"


def test_somebody_elses_lease_is_respected_until_it_has_not_changed_for_its_duration(me):
    me.observe(THEIRS, 100)

    assert me.decide(114.9) == "wait"
    assert me.decide(115.0) == "take"


def test_the_times_written_in_a_lease_do_not_matter_only_that_they_change(me):
    me.observe(attrs.evolve(THEIRS, renewed="1970-01-01T00:00:00Z"), 100)
    me.observe(attrs.evolve(THEIRS, renewed="2999-01-01T00:00:00Z"), 110)

    assert me.decide(124.9) == "wait"
    assert me.decide(125.0) == "take"


def test_a_deleted_lease_counts_for_its_duration_with_who_has_seen_it(me):
    me.observe(THEIRS, 100)
    me.observe(None, 103)
    me.observe(None, 110)

    assert me.decide(117.9) == "wait"
    assert me.decide(118.0) == "create"


def test_a_deleted_lease_that_may_have_been_renewed_right_before_counts_from_then(me):
    me.observe(THEIRS, 100)
    me.observe(None, 130)  # nothing was heard meanwhile: it was renewed, for all we know, at 129

    assert me.decide(130) == "wait"


@pytest.mark.parametrize("holder", ["me", ""])
def test_who_was_cut_off_cannot_know_who_had_a_deleted_lease_since(me, holder):
    me.observe(attrs.evolve(THEIRS, holder=holder, duration=1.0), 100)
    me.observe(None, 130)

    assert [me.decide(moment) for moment in (130, 144.9, 145)] == ["wait", "wait", "create"]


def test_a_deleted_lease_of_our_own_or_of_nobody_is_created_at_once(me):
    for holder in ("me", ""):
        me.observe(attrs.evolve(THEIRS, holder=holder), 100)
        me.observe(None, 101)
        assert me.decide(101) == "create"


def test_a_deleted_lease_that_is_written_anew_as_it_was_has_not_been_renewed(me):
    me.observe(THEIRS, 100)
    me.observe(None, 103)
    me.observe(THEIRS, 110)

    assert me.decide(115.0) == "take"


def test_a_renewal_that_hangs_gets_company_while_there_is_time(me):
    won(me, 100)

    assert [me.patience_seconds(moment) for moment in (102, 106, 108, 109.5)] == [4, 2, 1, 1]


def test_a_touch_of_the_lease_that_renews_nothing_does_not_prolong_it(me):
    me.observe(THEIRS, 100)
    me.observe(attrs.evolve(THEIRS, version="2"), 110)

    assert me.decide(115.0) == "take"
    assert me.record is not None
    assert me.record.version == "2"


def test_a_released_lease_is_taken_at_once(me):
    me.observe(attrs.evolve(THEIRS, holder="", duration=1.0), 100)

    assert me.decide(100) == "take"


def test_taking_over_counts_a_transition_and_renewing_does_not(me):
    me.observe(THEIRS, 0)
    taken = me.spec(WALL)
    me.note_written(LeaseRecord.of(lease(taken)), 20, 20)
    renewed = me.spec(datetime(2026, 1, 2, tzinfo=UTC))

    assert (taken["holderIdentity"], taken["leaseTransitions"], taken["leaseDurationSeconds"]) == ("me", 4, 15)
    assert (renewed["leaseTransitions"], renewed["acquireTime"]) == (4, taken["acquireTime"])
    assert renewed["renewTime"] > taken["renewTime"]


def test_a_leader_that_cannot_renew_stops_at_the_renew_deadline(me):
    won(me, now=100)

    assert not me.must_step_down(109.9)
    assert me.must_step_down(110)


def test_the_deadline_counts_from_when_the_renewal_was_sent(me):
    me.note_written(LeaseRecord.of(lease(me.spec(WALL))), sent=100, now=104)

    assert me.deadline == 110


def test_a_leader_stops_when_somebody_else_holds_the_lease(me):
    won(me, now=100)
    me.observe(THEIRS, 101)

    assert me.must_step_down(101)


def test_a_leader_whose_lease_was_deleted_writes_it_again(me):
    won(me, now=100)
    me.observe(None, 101)

    assert not me.must_step_down(101)
    assert me.decide(101) == "create"


def test_a_candidate_that_never_led_has_nothing_to_stop(me):
    assert not me.must_step_down(1e9)


def test_a_released_lease_names_nobody(me):
    won(me, now=100)
    spec = me.release_spec(WALL)

    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)


@pytest.mark.parametrize(
    "times",
    [
        {"lease_duration": 10.0, "renew_deadline": 10.0},
        {"renew_deadline": 2.0},
        {"retry_period": 0.0},
    ],
)
def test_times_that_would_allow_two_leaders_or_one_try_are_refused(times):
    with pytest.raises(ValueError, match="a leader must stop before others begin"):
        LeaderElection("lease", namespace="system", **times)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 30), st.booleans()), max_size=60))
def test_two_candidates_never_lead_at_the_same_time(steps):
    """Each step: time passes, then one candidate tries, with a network that may be broken."""
    candidates = {name: Candidate(name, ELECTION) for name in "abc"}
    stored: LeaseRecord | None = None
    now, version = 0.0, 0
    for name, pause, reachable in steps:
        now += pause
        for candidate in candidates.values():
            if candidate.must_step_down(now):
                candidate.step_down()
        candidate = candidates[name]
        if reachable:
            candidate.observe(stored, now)
            if candidate.must_step_down(now):
                candidate.step_down()
            if candidate.decide(now) != "wait":
                version += 1
                stored = LeaseRecord.of(lease(candidate.spec(WALL.replace(microsecond=version)), str(version)))
                candidate.note_written(stored, now, now)
        assert sum(c.leading and not c.must_step_down(now) for c in candidates.values()) <= 1


# -- priorities ------------------------------------------------------------------------------------------------------


def prior(identity, priority):
    return Candidate(identity, attrs.evolve(ELECTION, priority=priority))


def held(holder, priority, challenger=None):
    return attrs.evolve(THEIRS, holder=holder, priority=priority, challenger=challenger)


@pytest.mark.parametrize(
    ("mine", "theirs", "action"),
    [(0, 1, "challenge"), (-1, 0, "challenge"), (1, 1, "wait"), (2, 1, "wait"), (None, 1, "wait"), (0, None, "wait")],
)
def test_a_better_candidate_challenges_a_leader_and_nobody_else_does(mine, theirs, action):
    me = prior("me", mine)
    me.observe(held("them", theirs), 0)

    assert me.decide(1) == action


def test_a_leader_yields_to_who_is_better_and_keeps_what_they_wrote():
    leader, better = prior("leader", 1), prior("better", 0)
    won(leader, 0)
    challenger = better.challenge(WALL)
    leader.observe(attrs.evolve(leader.record, challenger=challenger), 2)

    assert leader.must_yield(2)
    assert leader.decide(2) == "renew"  # it holds the Lease while its work stops
    assert Challenger.read(leader.annotations(2)[CHALLENGER_ANNOTATION]) == challenger


def test_a_leader_does_not_yield_to_who_is_no_better_or_is_gone():
    leader = prior("leader", 1)
    won(leader, 0)
    leader.observe(attrs.evolve(leader.record, challenger=Challenger(1, "now", "equal")), 2)
    equal = leader.must_yield(2)
    leader.observe(attrs.evolve(leader.record, challenger=Challenger(0, "now", "better")), 3)

    assert (equal, leader.must_yield(17.9), leader.must_yield(18)) == (False, True, False)


def test_an_empty_lease_is_left_to_a_standing_challenger():
    challenger = prior("better", 0).challenge(WALL)
    worse, better = prior("worse", 2), prior("better", 0)
    for candidate in (worse, better):
        candidate.observe(held("", 1, challenger), 0)

    assert (worse.decide(1), better.decide(1), worse.decide(15)) == ("wait", "take", "take")


def test_who_has_let_go_does_not_take_its_own_lease_back_at_once():
    leader = prior("leader", 1)
    won(leader, 0)
    leader.observe(attrs.evolve(leader.record, challenger=Challenger(0, "now", "better")), 2)
    leader.step_down()

    assert leader.decide(3) == "wait"


def test_a_challenge_is_no_renewal():
    me = prior("me", 2)
    me.observe(held("them", 1), 0)
    me.observe(held("them", 1, Challenger(0, "now", "better")), 10)

    assert (me.decide(14.9), me.decide(26)) == ("wait", "take")


@pytest.mark.parametrize("text", ["", "x now me", "1", "1 now", "1 now ", "1.5 now me"])
def test_an_annotation_that_makes_no_sense_challenges_nobody(text):
    assert Challenger.read(text) is None


def test_without_priorities_a_lease_carries_no_annotation(me):
    assert me.annotations(0) == {}
