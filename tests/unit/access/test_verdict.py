"""The table of verdicts: every state, every signal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from scopedcache.access.hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS, HOLD_OFF_SECONDS
from scopedcache.access.readiness import READY_WAIT_SECONDS
from scopedcache.access.refusals import REFUSALS_APART_SECONDS
from scopedcache.access.verdict import TABLE, Decided, Signal, Step, Verdict, VerdictState
from scopedcache.api.permission import Permission
from scopedcache.errors import ForbiddenError, UnauthorizedError

PERMISSION = Permission("watch", "", "pods", "a")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STATES: tuple[VerdictState, ...] = get_args(VerdictState)
SIGNALS: tuple[Signal, ...] = get_args(Signal)
# What becomes of a state, signal by signal, when the signal comes long after the last: "." stays as it is.
#                  yes      done     no       unready  refused  missing  silent   expired
EXPECTED = {
    "probing":         "allowed  allowed  denied   unknown  suspect  absent   unknown  unauthenticated",
    "unknown":         "allowed  allowed  suspect  .        suspect  absent   .        unauthenticated",
    "allowed":         ".        .        suspect  .        suspect  absent   .        unauthenticated",
    "suspect":         "allowed  allowed  denied   denied   .        .        .        unauthenticated",
    "denied":          "allowed  allowed  .        .        .        .        .        .",
    "absent":          ".        allowed  suspect  .        suspect  .        .        unauthenticated",
    "unauthenticated": "allowed  allowed  denied   .        .        .        .        .",
}  # fmt: skip
COLUMNS: tuple[Signal, ...] = ("yes", "done", "no", "unready", "refused", "missing", "silent", "expired")
# These judge two refusals, which no state holds by itself.
JUDGING: tuple[Signal, ...] = ("refusals", "refusals-unready")
CASES = [
    (state, signal, state if wanted == "." else wanted)
    for state, row in EXPECTED.items()
    for signal, wanted in zip((*COLUMNS, *JUDGING), (*row.split(), *"..")[: len(COLUMNS) + 2], strict=True)
]


def verdict(state: VerdictState, since: float = 0.0) -> Verdict:
    return Verdict(PERMISSION, state, since)


def take(believed: Verdict, signal: Any, now: float, **rest: Any) -> Step:
    """Let a verdict take a signal, on a day whose seconds are those of its date."""
    return believed.take(signal, now, EPOCH + timedelta(seconds=now), **rest)


@pytest.mark.parametrize(("state", "signal", "expected"), CASES)
def test_each_signal_moves_each_state_as_the_table_says(
    state: VerdictState, signal: Signal, expected: VerdictState
) -> None:
    believed = verdict(state)

    step = take(believed, signal, 100.0)

    assert (believed.state, step.before) == (expected, state if expected != state else None)


def test_the_cases_above_are_all_there_are() -> None:
    assert {(state, signal) for state, signal, _ in CASES} == {(s, g) for s in STATES for g in SIGNALS}


def test_the_table_knows_no_state_and_no_signal_but_the_declared_ones() -> None:
    assert {state for state, _ in TABLE} <= set(STATES)
    assert {signal for _, signal in TABLE} <= set(SIGNALS)
    assert set(TABLE.values()) <= {*STATES, *get_args(Decided)}


def test_a_misspelt_signal_fails_loudly() -> None:
    with pytest.raises(ValueError, match="nope"):
        take(verdict("allowed"), "nope", 1.0)


@pytest.mark.parametrize("state", ["allowed", "unknown", "absent"])
def test_a_single_no_never_takes_anything_away(state: VerdictState) -> None:
    believed = verdict(state)

    take(believed, "no", 100.0)

    assert believed.state == "suspect"


def test_where_there_is_nothing_to_lose_the_first_answered_no_denies() -> None:
    believed = verdict("probing")

    take(believed, "no", 0.0)

    assert believed.state == "denied"


@pytest.mark.parametrize("hold_off", [HOLD_OFF_SECONDS, HOLD_OFF_AFTER_TROUBLE_SECONDS])
def test_the_second_no_counts_only_after_the_hold_off(hold_off: float) -> None:
    believed = verdict("allowed")
    take(believed, "no", 10.0, hold_off=hold_off)

    take(believed, "no", 10.0 + hold_off - 0.01, hold_off=hold_off)
    too_early = believed.state
    take(believed, "no", 10.0 + hold_off, hold_off=hold_off)

    assert (too_early, believed.state) == ("suspect", "denied")


def test_a_yes_between_two_noes_begins_anew() -> None:
    believed = verdict("allowed")
    for signal, now in (("no", 0.0), ("yes", 0.5), ("no", 1.5)):
        take(believed, signal, now)

    assert believed.state == "suspect"


# -- a server that is not ready --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["allowed", "unknown", "absent"])
def test_a_no_of_a_server_that_is_not_ready_changes_nothing_and_is_asked_for_again(state: VerdictState) -> None:
    believed = verdict(state)

    step = take(believed, "unready", 100.0)

    assert (believed.state, step) == (state, Step(None, 100.0 + READY_WAIT_SECONDS))


def test_who_knows_nothing_yet_does_not_learn_a_denial_from_a_server_that_is_not_ready() -> None:
    believed = verdict("probing")

    step = take(believed, "unready", 100.0)

    assert (believed.state, step.confirm_at) == ("unknown", 100.0 + READY_WAIT_SECONDS)


@pytest.mark.parametrize("last", ["unready", "no"])
def test_a_server_that_never_says_it_is_ready_is_believed_when_it_has_been_waited_for(last: Signal) -> None:
    believed = verdict("allowed")
    take(believed, "unready", 100.0, hold_off=HOLD_OFF_AFTER_TROUBLE_SECONDS)

    take(believed, "unready", 100.0 + READY_WAIT_SECONDS - 0.01, hold_off=HOLD_OFF_AFTER_TROUBLE_SECONDS)
    too_early = believed.state
    take(believed, last, 100.0 + READY_WAIT_SECONDS, hold_off=HOLD_OFF_AFTER_TROUBLE_SECONDS)

    assert (too_early, believed.state) == ("allowed", "denied")


@pytest.mark.parametrize("between", ["yes", "done"])
def test_what_speaks_for_us_ends_the_wait_for_the_server(between: Signal) -> None:
    believed = verdict("allowed")
    for signal, now in (("unready", 100.0), (between, 101.0), ("unready", 100.0 + READY_WAIT_SECONDS)):
        take(believed, signal, now)

    assert believed.state == "allowed"


# -- two refusals of our own calls -----------------------------------------------------------------------------------


def test_a_single_refusal_of_our_own_calls_denies_nothing_however_ready_the_server_is() -> None:
    believed = verdict("allowed")
    take(believed, "refused", 0.0)

    take(believed, "refusals", 100.0)

    assert believed.state == "suspect"


@pytest.mark.parametrize("attempting", [False, True])
def test_the_second_refusal_far_enough_from_the_first_asks_whether_the_server_is_ready_and_denies_if_it_is(
    attempting: bool,
) -> None:
    believed = verdict("allowed")
    first, too_early, second = (
        take(believed, "refused", now, attempting=attempting).ask_ready
        for now in (0.0, REFUSALS_APART_SECONDS - 0.01, REFUSALS_APART_SECONDS)
    )
    before = believed.state
    take(believed, "refusals", REFUSALS_APART_SECONDS + 0.01, attempting=attempting)

    assert (first, too_early, second) == (False, False, True)
    assert (before, believed.state) == ("suspect", "denied")


@pytest.mark.parametrize("attempting", [False, True])
def test_a_success_of_the_verb_between_two_refusals_begins_anew(attempting: bool) -> None:
    believed = verdict("allowed")
    take(believed, "refused", 0.0, attempting=attempting)
    take(believed, "done", 2.0, attempting=attempting)

    step = take(believed, "refused", 4.0, attempting=attempting)

    assert (step.ask_ready, believed.state) == (False, "suspect")


def test_the_yes_of_a_review_does_not_erase_refusals() -> None:
    believed = verdict("allowed")
    steps = [take(believed, signal, now) for signal, now in (("refused", 0.0), ("yes", 0.5), ("refused", 3.0))]
    take(believed, "refusals", 3.1)

    assert (steps[-1].ask_ready, believed.state) == (True, "denied")


def test_a_single_refusal_is_tried_again_so_that_its_end_is_known_before_the_next_one() -> None:
    believed = verdict("allowed")
    take(believed, "refused", 0.0)
    early, late = take(believed, "yes", 0.5), take(believed, "yes", REFUSALS_APART_SECONDS)
    take(believed, "done", 3.1)
    other = take(believed, "refused", 10.0)  # of another server, that comes up now

    assert (early.attempt, early.confirm_at, late.attempt) == (False, REFUSALS_APART_SECONDS, True)
    assert (other.ask_ready, believed.state) == (False, "suspect")


def test_refusals_that_deny_are_ended_by_a_success_alone_which_a_yes_asks_to_try() -> None:
    believed = refused_for_good()

    asked = take(believed, "yes", 10.0)
    still = believed.state
    take(believed, "done", 10.1)

    assert (asked.attempt, still, believed.state) == (True, "denied", "allowed")


def test_what_is_denied_by_a_review_alone_is_not_tried_when_a_review_allows_it() -> None:
    believed = verdict("denied")

    assert take(believed, "yes", 10.0) == Step("denied", None)


def test_a_success_that_comes_while_the_server_is_asked_whether_it_is_ready_wins() -> None:
    believed = verdict("allowed")
    for signal, now in (("refused", 0.0), ("refused", 3.0), ("done", 3.1), ("refusals", 3.2)):
        take(believed, signal, now)

    assert believed.state == "allowed"


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_a_write_that_is_refused_denies_by_reviews_only(verb: str) -> None:
    believed = Verdict(Permission(verb, "", "pods", "a"), "allowed")

    asked = [take(believed, "refused", now).ask_ready for now in (0.0, 5.0)]

    assert (asked, believed.state) == ([False, False], "suspect")


def refused_for_good() -> Verdict:
    believed = verdict("allowed")
    for signal, now in (("refused", 0.0), ("refused", 3.0), ("refusals", 3.1)):
        take(believed, signal, now)
    return believed


def test_reads_go_on_in_suspect_but_nothing_new_is_sent() -> None:
    believed = verdict("suspect")

    assert believed.lost
    assert not believed.open


def test_the_error_says_what_is_missing_where_and_since_when() -> None:
    believed = verdict("allowed")
    take(believed, "no", 3600.0)
    take(believed, "no", 3602.0)

    error = believed.error()

    assert isinstance(error, ForbiddenError)
    assert (error.verb, error.resource, error.namespace, error.by, error.cached) == (
        "watch", "pods", "a", "authorizer", True,
    )  # fmt: skip
    assert error.since == EPOCH + timedelta(hours=1)


def test_refused_credentials_are_another_error() -> None:
    error = verdict("unauthenticated").error()

    assert isinstance(error, UnauthorizedError)
    assert error.status == 401


@pytest.mark.parametrize(
    ("attempting", "signal", "confirm_at"),
    [
        (False, "no", 13.0),
        (False, "refused", None),
        (True, "refused", 10.0 + REFUSALS_APART_SECONDS),
        (True, "no", None),
    ],
)
def test_while_in_doubt_only_the_signal_that_can_confirm_it_asks_for_the_next_question(
    attempting: bool, signal: Signal, confirm_at: float | None
) -> None:
    believed = verdict("allowed")
    first = take(believed, signal, 10.0, hold_off=3.0, attempting=attempting)
    again = take(believed, signal, 10.5, hold_off=3.0, attempting=attempting)

    assert first == Step("allowed", 10.0 + (REFUSALS_APART_SECONDS if attempting else 3.0))
    assert again == Step(None, confirm_at)


def test_a_settled_answer_asks_for_no_other_question() -> None:
    believed = verdict("suspect")

    assert take(believed, "no", 100.0) == Step("suspect", None)
    assert take(believed, "yes", 101.0) == Step("denied", None)
