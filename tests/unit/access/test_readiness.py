"""Whether a server's "no" counts, by what it says of itself."""

from __future__ import annotations

import pytest

from scopedcache.access.readiness import READYZ_REFUSED_SECONDS, Readiness
from scopedcache.api.ready_answer import ReadyAnswer, read_ready_answer


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, "ready"),
        (None, "not ready"),
        (500, "not ready"),
        (503, "not ready"),
        (429, "not ready"),
        (401, "not ready"),
        (403, "refused"),
        (404, "refused"),
        (302, "refused"),
    ],
)
def test_what_each_status_of_readyz_means(status: int | None, answer: ReadyAnswer) -> None:
    assert read_ready_answer(status) == answer


def test_a_no_counts_if_the_server_is_ready_and_not_otherwise() -> None:
    readiness = Readiness()
    answers: tuple[ReadyAnswer, ...] = ("ready", "not ready", "refused")

    assert [readiness.answered(answer, 1.0) for answer in answers] == [True, False, False]


def test_a_server_that_comes_up_is_not_ready_whatever_it_says_before_it_is() -> None:
    """Seen on a real one: a time-out, 403, 500, 200."""
    readiness, told = Readiness(), []
    for now, status in ((1.1, None), (1.71, 403), (1.74, 500), (2.48, 200)):
        readiness.succeeded(now)
        told.append(readiness.answered(read_ready_answer(status), now))

    assert (told, readiness.ours) == ([False, False, False, True], True)


def test_a_refusal_that_lasts_while_others_succeed_means_that_it_is_not_ours_to_ask() -> None:
    readiness, told = Readiness(), []
    for now in (100.0, 105.0, 100.0 + READYZ_REFUSED_SECONDS):
        readiness.succeeded(now)
        told.append(readiness.answered("refused", now))

    assert (told, readiness.ours) == ([False, False, True], False)


def test_a_refusal_that_lasts_while_nothing_succeeds_is_that_of_a_server_that_refuses_everything() -> None:
    readiness = Readiness()
    readiness.succeeded(100.0)  # before the first refusal
    told = [readiness.answered("refused", now) for now in (100.0, 200.0)]

    assert (told, readiness.ours) == ([False, False], True)


@pytest.mark.parametrize("answer", ["ready", "not ready"])
def test_any_other_answer_makes_it_ours_again_and_begins_the_wait_anew(answer: ReadyAnswer) -> None:
    readiness = Readiness()
    for now in (100.0, 111.0):
        readiness.succeeded(now)
        readiness.answered("refused", now)
    readiness.answered(answer, 112.0)
    readiness.succeeded(121.0)

    assert readiness.ours
    assert not readiness.answered("refused", 121.0)


def test_whether_a_refusal_lasts_is_asked_until_it_is_known() -> None:
    readiness, in_question = Readiness(), []
    for now in (100.0, 105.0, 111.0):
        in_question.append(readiness.in_question)
        readiness.succeeded(now)
        readiness.answered("refused", now)

    assert (in_question, readiness.in_question) == ([False, True, True], False)
