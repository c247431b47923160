"""Many changes, one run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.controller.settling import Settling


def test_a_key_runs_when_nothing_has_happened_to_it_for_a_while() -> None:
    settling = Settling[str](1.0, None)
    settling.note("a", 0.0)
    settling.note("a", 0.75)

    assert (settling.remaining("a", 1.0), settling.remaining("a", 1.75)) == (0.75, 0.0)
    assert settling.remaining("b", 1.0) == 0.0


def test_it_does_not_wait_for_longer_than_at_most() -> None:
    settling = Settling[str](1.0, 2.0)
    for tick in range(32):
        settling.note("a", tick / 16)

    assert (settling.remaining("a", 1.9375), settling.remaining("a", 2.0)) == (0.0625, 0.0)


def test_a_key_that_has_run_begins_anew() -> None:
    settling = Settling[str](1.0, 2.0)
    settling.note("a", 0.0)
    settling.clear("a")
    settling.note("a", 5.0)

    assert (settling.remaining("a", 5.0), len(settling)) == (1.0, 1)


@pytest.mark.parametrize(("quiet", "at_most"), [(-1.0, None), (2.0, 1.0)])
def test_numbers_that_make_no_sense_are_refused(quiet: float, at_most: float | None) -> None:
    with pytest.raises(ValueError, match="settle="):
        Settling[str](quiet, at_most)


@given(st.lists(st.floats(min_value=0, max_value=10), min_size=1))
def test_whatever_happens_a_key_runs_between_the_quiet_and_at_most_after_its_first_event(times: list[float]) -> None:
    settling = Settling[str](1.0, 3.0)
    for now in sorted(times):
        settling.note("a", now)
    due = max(times) + settling.remaining("a", max(times))

    assert due <= max(min(times) + 3.0, max(times))
    assert due >= min(max(times) + 1.0, min(times) + 3.0) - 1e-9
