"""When each place is reviewed next."""

from __future__ import annotations

from scopedcache.access.probe_schedule import ProbeSchedule
from scopedcache.api.permission import Permission


def right(place: str) -> Permission:
    return Permission("list", "", "pods", place)


def test_a_round_takes_as_long_as_the_budget_makes_it() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    for number in range(1000):
        schedule.add(right(f"n{number}"), 0.0)
    for number in range(1000):
        schedule.begin_probe(f"n{number}", 1.0)

    assert schedule.first() == ("n0", 51.0)


def test_many_new_places_do_not_put_off_one_that_is_due() -> None:
    schedule = ProbeSchedule(5.0, 20.0, lambda: 0.0)
    schedule.add(right("a"), 0.0)
    for number in range(1000):
        schedule.add(right(f"n{number}"), 4.0)

    assert schedule.first() == ("a", 5.0)


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
