"""The table of verdicts: every state, every signal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from scopedcache.access.hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS, HOLD_OFF_SECONDS, REFUSALS_APART_SECONDS
from scopedcache.access.verdict import TABLE, Signal, Step, Verdict, VerdictState
from scopedcache.api.permission import Permission
from scopedcache.errors import ForbiddenError, UnauthorizedError

PERMISSION = Permission("watch", "", "pods", "a")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STATES: tuple[VerdictState, ...] = get_args(VerdictState)
SIGNALS: tuple[Signal, ...] = get_args(Signal)
# What becomes of a state, signal by signal, when the signal comes long after the last: "." stays as it is.
#                  yes        done       no         refused    missing   silent     expired
EXPECTED = {
    "probing":         "allowed    allowed    denied     suspect    absent    unknown    unauthenticated",
    "unknown":         "allowed    allowed    suspect    suspect    absent    .          unauthenticated",
    "allowed":         ".          .          suspect    suspect    absent    .          unauthenticated",
    "suspect":         "allowed    allowed    denied     .          .         .          unauthenticated",
    "denied":          "allowed    allowed    .          .          .         .          .",
    "absent":          ".          allowed    suspect    suspect    .         .          unauthenticated",
    "unauthenticated": "allowed    allowed    denied     .          .         .          .",
}  # fmt: skip
COLUMNS: tuple[Signal, ...] = ("yes", "done", "no", "refused", "missing", "silent", "expired")
CASES = [
    (state, signal, state if wanted == "." else wanted)
    for state, row in EXPECTED.items()
    for signal, wanted in zip(COLUMNS, row.split(), strict=True)
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
    assert set(TABLE.values()) <= {*STATES, "confirm", "confirm-refused"}


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


def test_refusals_of_our_calls_deny_nothing_while_reviews_answer() -> None:
    believed = verdict("allowed")
    for now in range(60):
        take(believed, "refused", float(now))

    assert believed.state == "suspect"


def test_in_attempt_mode_two_refusals_deny_once_they_are_far_enough_apart() -> None:
    believed = verdict("allowed")
    take(believed, "refused", 0.0, attempting=True)

    take(believed, "refused", REFUSALS_APART_SECONDS - 0.01, attempting=True)
    too_early = believed.state
    take(believed, "refused", REFUSALS_APART_SECONDS, attempting=True)

    assert (too_early, believed.state) == ("suspect", "denied")


def test_in_attempt_mode_a_success_between_two_refusals_begins_anew() -> None:
    believed = verdict("allowed")
    for signal, now in (("refused", 0.0), ("done", 2.0), ("refused", 4.0)):
        take(believed, signal, now, attempting=True)

    assert believed.state == "suspect"


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
