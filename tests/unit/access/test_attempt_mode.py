"""When refused reviews begin attempt mode, what ends it, and what is tried in it."""

from __future__ import annotations

from scopedcache.access.attempt_mode import (
    EVERYTHING_REFUSED_SECONDS,
    REVIEWS_REFUSED_SECONDS,
    AttemptMode,
    permissions_to_try,
    seconds_until_attempt,
)
from scopedcache.access.refusals import REFUSALS_APART_SECONDS
from scopedcache.access.verdict import Verdict, VerdictState
from scopedcache.api.permission import Permission
from scopedcache.errors import TransportError

LIST, WATCH, CREATE = (Permission(verb, "", "pods", "a") for verb in ("list", "watch", "create"))


def answered_once() -> AttemptMode:
    mode = AttemptMode()
    mode.review_answered()
    return mode


def test_where_no_review_was_ever_answered_the_first_refusal_begins_it() -> None:
    mode = AttemptMode()

    assert (mode.review_refused(5.0), mode.active) == (True, True)


def test_where_one_was_answered_refusals_must_last_while_something_else_succeeds() -> None:
    mode = answered_once()

    steps = []
    for seconds in (0.0, 5.0, REVIEWS_REFUSED_SECONDS):
        steps.append(mode.review_refused(100.0 + seconds))
        mode.observe(None, 100.0 + seconds + 1.0)

    assert steps == [False, False, True]
    assert mode.active


def test_a_success_before_the_first_refusal_says_nothing() -> None:
    mode = answered_once()
    mode.observe(None, 99.0)
    mode.review_refused(100.0)

    assert not mode.review_refused(100.0 + REVIEWS_REFUSED_SECONDS)
    assert mode.wants_success(100.0 + REVIEWS_REFUSED_SECONDS)


def test_where_nothing_succeeds_a_success_is_looked_for_when_it_would_decide_and_not_after_there_is_one() -> None:
    mode = answered_once()
    mode.review_refused(100.0)
    before, due = (mode.wants_success(100.0 + seconds) for seconds in (9.0, 10.0))
    mode.observe(None, 110.0)

    assert (before, due, mode.wants_success(111.0)) == (False, True, False)


def test_where_everything_is_refused_it_begins_later() -> None:
    mode = answered_once()

    steps = [mode.review_refused(100.0 + seconds) for seconds in (0.0, 10.0, EVERYTHING_REFUSED_SECONDS)]

    assert steps == [False, False, True]


def test_it_begins_once_however_many_refusals_follow() -> None:
    mode = AttemptMode()

    assert [mode.review_refused(float(second)) for second in range(3)] == [True, False, False]


def test_an_answer_ends_it_and_what_was_refused_before_does_not_count_any_more() -> None:
    mode = AttemptMode()
    mode.review_refused(0.0)

    ends = [mode.review_answered(), mode.review_answered()]
    begins = mode.review_refused(REVIEWS_REFUSED_SECONDS + 1.0)

    assert (ends, begins) == ([True, False], False)


def test_lost_connections_do_not_keep_it_out_while_something_succeeds() -> None:
    mode = answered_once()
    for seconds in range(0, 10, 2):
        mode.review_refused(100.0 + seconds)
        mode.observe(None, 100.5 + seconds)
        mode.observe(TransportError("connection reset"), 101.0 + seconds)

    assert mode.review_refused(100.0 + REVIEWS_REFUSED_SECONDS)


def test_where_nothing_succeeds_a_lost_connection_begins_the_longer_wait_anew() -> None:
    mode = answered_once()
    mode.review_refused(100.0)
    mode.observe(TransportError("connection reset"), 105.0)

    steps = [mode.review_refused(105.0 + seconds) for seconds in (EVERYTHING_REFUSED_SECONDS - 1, 15.0)]

    assert steps == [False, True]


def test_it_says_when_the_next_refusal_decides_for_as_long_as_that_is_to_come() -> None:
    mode = answered_once()
    before = mode.decided_at(99.0)
    mode.review_refused(100.0)
    meanwhile, after = mode.decided_at(103.0), mode.decided_at(100.0 + REVIEWS_REFUSED_SECONDS)

    assert (before, meanwhile, after) == (None, 100.0 + REVIEWS_REFUSED_SECONDS, None)


def test_every_list_is_tried_and_every_watch_that_was_refused_and_no_write() -> None:
    states: dict[Permission, VerdictState] = {LIST: "allowed", WATCH: "allowed", CREATE: "denied"}
    allowed = [Verdict(permission, state) for permission, state in states.items()]
    denied = [Verdict(permission, "denied") for permission in states]

    assert permissions_to_try(allowed) == [LIST]
    assert permissions_to_try(denied) == [LIST, WATCH]


def test_the_next_attempt_is_due_when_its_refusal_would_count() -> None:
    suspects = [Verdict(LIST, "suspect", since=10.0), Verdict(WATCH, "suspect", since=11.0)]

    assert seconds_until_attempt(suspects, 12.0) == 11.0 + REFUSALS_APART_SECONDS - 12.0


def test_an_attempt_that_is_overdue_still_leaves_a_pause() -> None:
    pause = seconds_until_attempt([Verdict(LIST, "suspect", since=0.0)], 100.0)

    assert pause is not None
    assert pause > 0


def test_a_settled_denial_is_not_attempted_by_who_waits() -> None:
    assert seconds_until_attempt([Verdict(LIST, "suspect"), Verdict(WATCH, "denied")], 1.0) is None
    assert seconds_until_attempt([Verdict(LIST, "allowed")], 1.0) is None
