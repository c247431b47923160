"""How loud it is said what a reconcile came to."""

import logging

import pytest

from scopedcache.controller.outcome import Outcome, judge_error, judge_result
from scopedcache.controller.outcome_log import DENIALS_IN_A_ROW, LASTING_FAILURES, RACES_AT_MOST, OutcomeLog
from scopedcache.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    NotLeaderError,
    ScopeClosedError,
    ServerError,
    TerminalError,
    TransportError,
)
from scopedcache.kinds import ObjectKey

KEY, OTHER = ObjectKey("a", "m"), ObjectKey("a", "n")
DENIED = ForbiddenError(verb="create", resource="pods", namespace="a", by="authorizer")
SUCCESS: Outcome = judge_result(None)


@pytest.fixture
def log():
    return OutcomeLog()


def levels(log, errors, *, key=KEY):
    """Return how loud each failure of a row is said."""
    return [log.level(key, judge_error(error), number) for number, error in enumerate(errors, 1)]


@pytest.mark.parametrize("race", [ConflictError("409"), NotFoundError("404"), ScopeClosedError(), NotLeaderError()])
def test_a_lost_race_is_no_news(log, race):
    assert levels(log, [race] * RACES_AT_MOST) == [logging.DEBUG] * RACES_AT_MOST


def test_a_race_that_does_not_end_is_said_and_said_louder_once_when_it_lasts(log):
    said = levels(log, [ConflictError("409")] * 3 * LASTING_FAILURES)

    assert [level for level in said if level > logging.DEBUG] == [logging.INFO, logging.WARNING]


@pytest.mark.parametrize("error", [ServerError("500"), TransportError("nobody there")])
def test_trouble_outside_is_information_until_it_lasts(log, error):
    said = levels(log, [error] * 3 * LASTING_FAILURES)

    assert said[0] == logging.INFO
    assert said[LASTING_FAILURES - 1] == logging.WARNING
    assert said.count(logging.DEBUG) == len(said) - 2


@pytest.mark.parametrize("error", [KeyError("replicas"), InvalidError("422"), TerminalError("hopeless")])
def test_what_a_person_must_look_at_is_an_error_once(log, error):
    assert levels(log, [error] * 3) == [logging.ERROR, logging.DEBUG, logging.DEBUG]


def test_a_mistake_beside_trouble_outside_is_a_mistake(log):
    assert levels(log, [ExceptionGroup("both", [ServerError("500"), KeyError("x")])]) == [logging.ERROR]


def test_other_words_are_said_and_other_numbers_are_not(log):
    errors = [ValueError("try 1 of deadbeef01"), ValueError("try 2 of deadbeef02"), ValueError("no more")]

    assert levels(log, errors) == [logging.ERROR, logging.DEBUG, logging.ERROR]


def test_a_key_that_says_something_else_each_time_is_not_listened_to_for_ever(log):
    said = levels(log, [ValueError("x" * length) for length in range(1, 50)])

    assert said.count(logging.ERROR) < 10


def test_a_denial_is_a_warning_and_many_in_a_row_are_the_same_one(log):
    said = levels(log, [DENIED] * 10)

    assert said == [logging.WARNING] * DENIALS_IN_A_ROW + [logging.DEBUG] * (10 - DENIALS_IN_A_ROW)
    assert levels(log, [DENIED]) == [logging.WARNING]


def test_the_end_of_a_denial_is_news(log):
    levels(log, [DENIED])

    assert log.level(KEY, SUCCESS, 1) == logging.INFO


def test_what_admission_refuses_is_a_warning_once(log):
    assert levels(log, [ForbiddenError("quota", by="admission")] * 2) == [logging.WARNING, logging.DEBUG]


def test_a_success_is_news_after_trouble_that_was_told_and_ends_it(log):
    assert log.level(KEY, SUCCESS, 1) == logging.DEBUG
    levels(log, [KeyError("x")])
    assert log.level(KEY, SUCCESS, 1) == logging.INFO
    assert log.level(KEY, SUCCESS, 1) == logging.DEBUG
    assert levels(log, [KeyError("x")]) == [logging.ERROR]


def test_a_success_after_a_lost_race_is_no_news(log):
    levels(log, [ConflictError("409")])

    assert log.level(KEY, SUCCESS, 1) == logging.DEBUG


def test_each_key_is_told_of_and_nothing_is_kept_of_one_that_is_gone(log):
    assert levels(log, [KeyError("x")]) == levels(log, [KeyError("x")], key=OTHER)
    log.forget(KEY)
    log.forget(OTHER)
    assert len(log) == 0
