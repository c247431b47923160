"""How long the answer to a review is waited for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.access.review_timeout import USUAL_TIMEOUT_SECONDS, ReviewTimeout


def test_it_is_short_at_first_and_longer_after_an_answer_that_did_not_come() -> None:
    timeout = ReviewTimeout(5.0)
    seen = [timeout.seconds]
    for _ in range(3):
        timeout.expired()
        seen.append(timeout.seconds)

    assert seen == [USUAL_TIMEOUT_SECONDS, 3.0, 4.0, 4.0]


def test_a_quick_answer_makes_it_short_again_and_a_slow_one_leaves_it_time() -> None:
    timeout = ReviewTimeout(5.0)
    timeout.expired()
    timeout.answered(1.7)
    slow = timeout.seconds
    timeout.answered(0.01)

    assert slow == pytest.approx(3.4)
    assert timeout.seconds == USUAL_TIMEOUT_SECONDS


@given(st.floats(0.5, 600.0), st.lists(st.one_of(st.none(), st.floats(0.0, 600.0)), max_size=20))
def test_it_is_always_below_the_period(period: float, answers: list[float | None]) -> None:
    timeout = ReviewTimeout(period)
    for took in answers:
        timeout.expired() if took is None else timeout.answered(took)
        assert 0.0 < timeout.seconds < period
