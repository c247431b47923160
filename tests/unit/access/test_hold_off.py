"""How long a doubt must last, and what makes it longer."""

from __future__ import annotations

import pytest

from scopedcache.access.hold_off import (
    DOUBTS_TOGETHER_SECONDS,
    HOLD_OFF_AFTER_TROUBLE_SECONDS,
    HOLD_OFF_SECONDS,
    TROUBLE_MATTERS_SECONDS,
    HoldOff,
)
from scopedcache.errors import ForbiddenError, NotFoundError, ScopedCacheError, TransportError


def test_without_trouble_the_hold_off_is_the_short_one() -> None:
    assert HoldOff().seconds(0.0) == HOLD_OFF_SECONDS


def test_after_a_lost_connection_it_is_the_long_one_for_a_while() -> None:
    hold_off = HoldOff()
    hold_off.observe(TransportError("connection reset"), 100.0)

    soon, later = (hold_off.seconds(100.0 + TROUBLE_MATTERS_SECONDS + seconds) for seconds in (-0.01, 0.0))

    assert (soon, later) == (HOLD_OFF_AFTER_TROUBLE_SECONDS, HOLD_OFF_SECONDS)


@pytest.mark.parametrize("error", [None, ForbiddenError(), NotFoundError(status=404)])
def test_an_answer_is_no_trouble_and_ends_none(error: ScopedCacheError | None) -> None:
    untroubled, troubled = HoldOff(), HoldOff()
    troubled.observe(TransportError("connection reset"), 100.0)
    for hold_off in (untroubled, troubled):
        hold_off.observe(error, 101.0)

    assert (untroubled.seconds(102.0), troubled.seconds(102.0)) == (HOLD_OFF_SECONDS, HOLD_OFF_AFTER_TROUBLE_SECONDS)


def test_a_server_that_is_not_ready_is_trouble_too() -> None:
    hold_off = HoldOff()
    hold_off.not_ready_seen(100.0)

    assert hold_off.seconds(101.0) == HOLD_OFF_AFTER_TROUBLE_SECONDS


def test_an_answer_that_does_not_come_in_time_says_nothing_of_a_restart() -> None:
    late = TransportError("no answer in time")
    late.__cause__ = TimeoutError()
    hold_off = HoldOff()
    hold_off.observe(late, 100.0)

    assert hold_off.seconds(101.0) == HOLD_OFF_SECONDS


@pytest.mark.parametrize(
    ("doubts", "expected"),
    [
        ([("a", 100.0), ("a", 101.0)], HOLD_OFF_SECONDS),
        ([("a", 100.0), ("b", 101.0)], HOLD_OFF_AFTER_TROUBLE_SECONDS),
        ([("a", 100.0), (None, 100.0)], HOLD_OFF_AFTER_TROUBLE_SECONDS),
        ([("a", 100.0), ("b", 100.0 + DOUBTS_TOGETHER_SECONDS)], HOLD_OFF_SECONDS),
    ],
)
def test_doubts_in_two_places_at_once_are_trouble(doubts: list[tuple[str | None, float]], expected: float) -> None:
    hold_off = HoldOff()
    for place, now in doubts:
        hold_off.doubt(place, now)

    assert hold_off.seconds(106.0) == expected
