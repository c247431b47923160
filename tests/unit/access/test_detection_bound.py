"""How soon a change of permissions is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.access.detection_bound import ReviewLoad, effective_bound, period_for


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


def test_few_places_need_no_advice() -> None:
    assert ReviewLoad(places=100, rate=20.0, period=5.0, bound=7.5, told_by_events=False).advice is None


def test_where_a_longer_bound_was_asked_for_and_holds_no_advice_is_given() -> None:
    assert ReviewLoad(places=300, rate=20.0, period=25.0, bound=29.5, told_by_events=False).advice is None


def test_where_events_tell_of_changes_no_advice_is_given() -> None:
    assert ReviewLoad(places=1000, rate=20.0, period=5.0, bound=57.0, told_by_events=True).advice is None


def test_a_thousand_places_are_told_what_the_bound_is_and_what_to_grant() -> None:
    load = ReviewLoad(places=1000, rate=20.0, period=5.0, bound=57.0, told_by_events=False)

    assert load.to_dict()["seconds_per_round"] == 50.0
    assert all(words in (load.advice or "") for words in ("within 57 s", "clusterrolebindings", "review_rate=200"))
