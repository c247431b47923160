"""How fast what failed is tried again."""

import pytest

from scopedcache.controller.retry_limits import FailureBackoff, RetryBudget


def test_a_budget_gives_a_second_of_retries_at_once_and_the_rest_one_by_one():
    budget = RetryBudget(4)

    assert [budget.reserve(100.0) for _ in range(7)] == [0, 0, 0, 0, 0.25, 0.5, 0.75]


def test_a_quiet_second_fills_a_budget_and_no_more_than_that():
    budget = RetryBudget(4)
    for _ in range(4):
        budget.reserve(100.0)

    assert [budget.reserve(200.0) for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_a_budget_below_one_in_a_second_still_lets_one_through():
    budget = RetryBudget(0.1)

    assert [budget.reserve(0.0), budget.reserve(0.0)] == [0, 10]


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.9])
def test_no_pause_is_longer_than_the_cap_nor_shorter_than_what_jitter_leaves(jitter):
    backoff = FailureBackoff(1, 60, jitter=jitter)
    pauses = [backoff.delay(failures, chance) for failures in (1, 7, 50) for chance in (0.0, 1.0)]

    assert pauses == pytest.approx([1, 1 - jitter, 60, 60 * (1 - jitter), 60, 60 * (1 - jitter)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FailureBackoff(0), "base= is above zero"),
        (lambda: FailureBackoff(10, 1), "cap= no less"),
        (lambda: FailureBackoff(jitter=1), "jitter= is a part of the pause"),
        (lambda: RetryBudget(0), "retries_per_second= is above zero"),
        (lambda: RetryBudget(float("nan")), "retries_per_second= is above zero"),
    ],
)
def test_limits_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
