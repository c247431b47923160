"""When each place is reviewed next."""

from __future__ import annotations

from random import Random

import pytest

from scopedcache.access.detection_bound import PERIOD_SECONDS, SLACK_SECONDS, effective_bound
from scopedcache.access.probe_schedule import Place, ProbeSchedule
from scopedcache.access.review_budget import ReviewBudget, SharedRound
from scopedcache.api.permission import Permission

RATE = 20.0


def right(place: str) -> Permission:
    return Permission("list", "", "pods", place)


def longest_gap(places: int, opened_within: float, *, loops: int = 1, seconds: float = 1500.0) -> float:
    """Return the longest time between two reviews of one place, in plain arithmetic: one loop after another."""
    chance, budget, shared = Random(1).random, ReviewBudget(RATE), SharedRound()
    schedules = [ProbeSchedule(PERIOD_SECONDS, RATE, chance, shared) for _ in range(loops)]
    now, opened, longest = 0.0, 0, 0.0
    last: dict[Place, float] = {}
    while now < seconds:
        while opened < places and opened * opened_within / places <= now:
            place = f"n{opened}"
            schedules[opened % loops].add(right(place), now)
            last[place] = now
            opened += 1
        coming = opened * opened_within / places if opened < places else seconds
        firsts = [(found[1], found[0], one) for one in schedules if (found := one.first()) is not None]
        due, first, schedule = min(firsts, key=lambda found: found[0])
        if due > now:
            now = min(coming, due)
            continue
        schedule.begin_probe(first, now)
        now += budget.take(now)
        longest = max(longest, now - last[first])
        last[first] = now
    return longest


@pytest.mark.parametrize(
    ("places", "opened_within"), [(1, 0.0), (99, 0.0), (100, 1.0), (1000, 13.0), (5000, 1.0), (5000, 112.0)]
)
@pytest.mark.parametrize("loops", [1, 3])
def test_each_place_is_reviewed_within_its_bound_however_they_were_opened(
    places: int, opened_within: float, loops: int
) -> None:
    waits = effective_bound(PERIOD_SECONDS, places, RATE, hold_off=0.0) - SLACK_SECONDS

    assert longest_gap(places, opened_within, loops=loops) <= waits + 0.01


def test_a_few_places_that_are_opened_are_not_reviewed_again_at_once() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    for number in range(10):
        schedule.add(right(f"n{number}"), 0.0)

    assert schedule.first() == ("n0", 5.0)


def test_many_new_places_do_not_put_off_one_that_is_due() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    schedule.add(right("a"), 0.0)
    for number in range(1000):
        schedule.add(right(f"n{number}"), 4.0)
    order = []
    for _ in range(12):
        place, due = schedule.first() or ("", 0.0)
        schedule.begin_probe(place, due)
        order.append(place)

    assert "a" in order


def test_when_most_places_are_gone_the_others_are_reviewed_as_the_bound_of_a_few_says() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    for number in range(1000):
        schedule.add(right(f"n{number}"), 0.0)
    schedule.begin_probe("n0", 1.0)
    for number in range(1, 1000):
        schedule.drop(right(f"n{number}"))

    assert schedule.first() == ("n0", 6.0)


def test_what_was_brought_forward_comes_then_and_after_that_a_period_later() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    schedule.add(right("a"), 0.0)
    schedule.bring_forward("a", 2.0)
    brought = schedule.first()
    schedule.begin_probe("a", 2.0)

    assert (brought, schedule.first()) == (("a", 2.0), ("a", 7.0))


def test_a_denial_is_confirmed_once_and_a_place_that_is_forgotten_is_in_no_doubt() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    schedule.add(right("a"), 0.0)
    schedule.confirm("a", 2.0)
    confirming = schedule.begin_probe("a", 2.0)
    assert (confirming, schedule.begin_probe("a", 7.0)) == (True, False)

    schedule.confirm("a", 8.0)
    schedule.drop(right("a"))
    schedule.confirm("a", 8.0)
    schedule.add(right("a"), 9.0)

    assert not schedule.begin_probe("a", 14.0)
