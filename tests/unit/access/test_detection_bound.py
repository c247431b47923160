"""How soon a change of permissions is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.access.detection_bound import effective_bound, period_for


def test_the_default_bound_is_under_ten_seconds_up_to_a_hundred_places() -> None:
    assert effective_bound(5.0, 1) == pytest.approx(7.5)
    assert effective_bound(5.0, 100) == pytest.approx(7.5)
    assert effective_bound(5.0, 300) == pytest.approx(18.5)


@given(st.floats(2.6, 600))
def test_the_period_for_a_bound_keeps_it(bound: float) -> None:
    assert effective_bound(period_for(bound), 1) == pytest.approx(bound)


@pytest.mark.parametrize("bound", [2.5, 1.0, 0.0, -1.0])
def test_a_bound_that_leaves_no_time_to_probe_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="too short"):
        period_for(bound)


def test_the_bound_contains_the_hold_off_it_is_told() -> None:
    assert effective_bound(5.0, 1, hold_off=3.0) == pytest.approx(effective_bound(5.0, 1) + 2.0)


def test_the_shortest_bound_that_is_named_is_accepted() -> None:
    with pytest.raises(ValueError, match=r"2\.55 s is the least"):
        period_for(2.54)

    assert period_for(2.56) >= 0.5
