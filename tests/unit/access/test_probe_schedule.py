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


def crowded(places: int = 1000) -> ProbeSchedule:
    schedule = ProbeSchedule(5.0, RATE, lambda: 0.0)
    for number in range(places):
        schedule.add(right(f"n{number}"), 0.0)
    return schedule


def reviews(schedule: ProbeSchedule, place: str, until: float) -> list[tuple[float, str]]:
    """Return when a place is reviewed, and why, if every review is sent when it is due."""
    found: list[tuple[float, str]] = []
    while (first := schedule.first()) is not None and first[1] <= until:
        reason = schedule.begin_probe(*first)
        if first[0] == place:
            found.append((round(first[1], 2), reason))
    return found


def test_of_many_places_one_in_which_something_happens_is_reviewed_as_one_of_a_few_for_a_minute() -> None:
    schedule = crowded()
    earlier = schedule.use("n500", 0.0)
    seen = reviews(schedule, "n500", 130.0)

    assert (earlier, schedule.use("n0", 130.0)) == (True, True)
    assert seen == [
        *((5.0 * number, "use") for number in range(1, 13)),
        (110.0, "round"),
    ], "it has its turn a round after it was reviewed last"


def test_what_happens_in_a_place_does_not_put_off_that_a_denial_is_confirmed_there() -> None:
    schedule = crowded()
    schedule.confirm("n500", 1.0)

    assert (schedule.use("n500", 0.5), reviews(schedule, "n500", 2.0)) == (False, [(1.0, "doubt")])


def test_places_in_use_leave_the_round_as_it_is() -> None:
    schedule, busy = crowded(), crowded()
    for number in range(100, 200):
        busy.use(f"n{number}", 0.0)

    assert reviews(busy, "n999", 300.0) == reviews(schedule, "n999", 300.0)


def test_where_most_places_are_in_use_nobody_comes_first() -> None:
    schedule = crowded()
    for number in range(1000):
        schedule.use(f"n{number}", 0.0)
    last = reviews(schedule, "n999", 60.0)

    assert last == [(50.0, "round")]


def test_of_a_few_places_none_comes_first() -> None:
    schedule = crowded(10)

    assert (schedule.use("n1", 0.0), schedule.in_use.count) == (False, 0)


def test_a_place_that_is_dropped_is_not_in_use_any_more() -> None:
    schedule = crowded()
    schedule.use("n1", 0.0)
    schedule.drop(right("n1"))

    assert schedule.in_use.count == 0


def test_a_denial_is_confirmed_once_and_a_place_that_is_forgotten_is_in_no_doubt() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    schedule.add(right("a"), 0.0)
    schedule.confirm("a", 2.0)
    confirming = schedule.begin_probe("a", 2.0)
    assert (confirming, schedule.begin_probe("a", 7.0)) == ("doubt", "round")

    schedule.confirm("a", 8.0)
    schedule.drop(right("a"))
    schedule.confirm("a", 8.0)
    schedule.add(right("a"), 9.0)

    assert schedule.begin_probe("a", 14.0) == "round"
