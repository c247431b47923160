"""The 403s in a row that our own calls of one verb met."""

from __future__ import annotations

import pytest

from scopedcache.access.readiness import READY_WAIT_SECONDS
from scopedcache.access.refusals import REFUSALS_APART_SECONDS, REFUSALS_FORGOTTEN_SECONDS, Refusals, is_tried
from scopedcache.api.permission import Permission


def two(apart: float = REFUSALS_APART_SECONDS) -> Refusals:
    refusals = Refusals()
    refusals.met(0.0)
    refusals.met(apart)
    return refusals


def test_two_are_judged_once_they_are_far_enough_apart() -> None:
    refusals = Refusals()

    assert [refusals.met(now) for now in (0.0, REFUSALS_APART_SECONDS - 0.01, REFUSALS_APART_SECONDS)] == [
        False, False, True,
    ]  # fmt: skip


def test_they_deny_if_the_server_is_ready() -> None:
    refusals = two()

    assert (refusals.judged(True, 3.1), refusals.stand) == (True, True)


def test_those_too_close_deny_nothing_whoever_asks() -> None:
    refusals = two(apart=1.0)

    assert (refusals.judged(True, 10.0), refusals.stand) == (False, False)


def test_a_server_that_is_never_ready_is_waited_for_and_not_for_ever() -> None:
    refusals = two()

    steps = [refusals.judged(False, 4.0 + seconds) for seconds in (0.0, READY_WAIT_SECONDS - 0.1, READY_WAIT_SECONDS)]

    assert steps == [False, False, True]
    assert refusals.judged_again_at == 4.0 + READY_WAIT_SECONDS


def test_a_success_ends_them_all() -> None:
    refusals = two()
    refusals.judged(True, 3.1)
    refusals.ended()

    assert (refusals.stand, refusals.met(100.0), refusals.judged(True, 100.1)) == (False, False, False)


def test_those_that_deny_already_are_not_judged_again() -> None:
    refusals = two()
    refusals.judged(True, 3.1)

    assert not refusals.met(10.0)


def test_one_of_long_ago_says_nothing_about_one_of_today() -> None:
    refusals = Refusals()

    assert [refusals.met(now) for now in (0.0, REFUSALS_FORGOTTEN_SECONDS, REFUSALS_FORGOTTEN_SECONDS + 1)] == [
        False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("permission", "tried"),
    [
        (Permission("list", "", "pods", "a"), True),
        (Permission("watch", "", "pods", None), True),
        (Permission("get", "", "pods", "a", name="one"), True),
        (Permission("get", "", "pods", "a"), False),
        (Permission("get", "", "pods", "a", "log", "one"), False),
        (Permission("delete", "", "pods", "a", name="one"), False),
        (Permission("create", "", "pods", "a"), False),
    ],
)
def test_only_reads_that_can_be_tried_again_are_counted(permission: Permission, tried: bool) -> None:
    assert is_tried(permission) is tried
