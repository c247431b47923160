"""How many reviews may be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.access.review_budget import ReviewBudget


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.sampled_from([1.0, 5.0, 20.0, 100.0]))
def test_no_window_of_time_holds_more_than_its_rate_and_one_second_more(pauses: list[float], rate: float) -> None:
    budget, now, used = ReviewBudget(rate), 0.0, []
    for pause in pauses:
        now += pause
        used.append(now + budget.take(now))

    for first in range(len(used)):
        for last in range(first, len(used)):
            within = last - first + 1
            assert within <= rate * (used[last] - used[first]) + rate + 1e-6


def test_a_budget_that_rested_pays_one_second_at_once_and_then_its_rate() -> None:
    budget = ReviewBudget(20.0)

    waits = [budget.take(1000.0) for _ in range(40)]

    assert waits[:20] == [0.0] * 20
    assert waits[39] == pytest.approx(1.0)


def test_rest_does_not_add_up() -> None:
    budget = ReviewBudget(5.0)
    budget.take(0.0)

    waits = [budget.take(3600.0) for _ in range(6)]

    assert waits == [0.0] * 5 + [pytest.approx(0.2)]
