"""What is due after a reconcile."""

import pytest

from scopedcache.controller.outcome import FORBIDDEN_REQUEUE_SECONDS, judge_error, judge_result, judge_timeout
from scopedcache.controller.request import Request, Result
from scopedcache.errors import ConflictError, ForbiddenError, NotSyncedError, TerminalError, UnknownKindError
from scopedcache.kinds import ObjectKey

DENIED = ForbiddenError(verb="list", resource="pods", namespace="a", by="authorizer")


def due(outcome):
    return outcome.ending, outcome.after, outcome.rate_limited


@pytest.mark.parametrize("answer", [None, Result()])
def test_success_asks_for_nothing(answer):
    assert due(judge_result(answer)) == ("success", None, False)


def test_requeue_after_is_not_rate_limited():
    assert due(judge_result(Result(requeue_after=5))) == ("requeue_after", 5, False)


def test_anything_else_than_a_result_is_a_mistake_and_says_so():
    outcome = judge_result(5)

    assert due(outcome) == ("error", None, True)
    assert "returns a Result or None, not int" in str(outcome.error)


@pytest.mark.parametrize("pause", [0, -1.0])
def test_a_result_that_asks_for_no_pause_is_refused(pause):
    with pytest.raises(ValueError, match="above zero"):
        Result(requeue_after=pause)


def test_an_exception_is_retried_with_back_off():
    assert due(judge_error(ConflictError("changed"))) == ("error", None, True)


def test_a_passed_deadline_is_retried_with_back_off():
    assert due(judge_timeout(30)) == ("timeout", None, True)


def test_a_terminal_error_is_not_retried():
    assert due(judge_error(TerminalError("hopeless"))) == ("terminal", None, False)


def test_a_denial_waits_for_the_grant_with_a_wide_net_below():
    assert due(judge_error(DENIED)) == ("forbidden", FORBIDDEN_REQUEUE_SECONDS, False)


@pytest.mark.parametrize("error", [NotSyncedError, UnknownKindError])
def test_what_the_cache_tells_of_is_waited_for_with_the_same_net(error):
    assert due(judge_error(error("later", awaited=True))) == ("waiting", FORBIDDEN_REQUEUE_SECONDS, False)


def test_a_read_of_what_is_not_synced_is_tried_again_and_no_failure():
    assert due(judge_error(NotSyncedError("later"))) == ("waiting", None, True)
    assert due(judge_error(UnknownKindError("no such kind"))) == ("error", None, True)


def test_a_denial_beside_what_is_awaited_is_a_denial():
    outcome = judge_error(ExceptionGroup("both", [NotSyncedError("later", awaited=True), DENIED]))

    assert (due(outcome), outcome.error) == (("forbidden", FORBIDDEN_REQUEUE_SECONDS, False), DENIED)


@pytest.mark.parametrize("by", ["admission", "unknown"])
def test_a_403_that_is_not_the_authorisers_is_an_ordinary_failure(by):
    assert due(judge_error(ForbiddenError(by=by))) == ("error", None, True)


def test_a_group_of_denials_is_a_denial():
    outcome = judge_error(ExceptionGroup("both", [DENIED, ExceptionGroup("inner", [DENIED])]))

    assert (outcome.ending, outcome.error) == ("forbidden", DENIED)


def test_a_group_with_anything_else_in_it_is_retried():
    assert due(judge_error(ExceptionGroup("both", [DENIED, ValueError()]))) == ("error", None, True)


def test_a_request_names_its_object():
    request = Request(ObjectKey("a", "x"))

    assert (request.namespace, request.name, str(request)) == ("a", "x", "a/x")
