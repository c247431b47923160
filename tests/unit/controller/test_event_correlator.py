"""Which Events become requests."""

import pytest

from scopedcache.controller.reporting.event_correlator import (
    ALIKE_LIMIT_NOTES,
    BURST_EVENTS,
    COMBINED_PREFIX,
    REFILL_SECONDS,
    WINDOW_SECONDS,
    EventCorrelator,
    Subject,
)

SUBJECT = Subject("v1", "Pod", "a", "pod", "uid-1")


@pytest.fixture
def correlator():
    return EventCorrelator()


def happen(correlator, note="no", now=0.0, subject=SUBJECT, reason="Forbidden"):
    return correlator.decide(subject, type="Warning", reason=reason, action="Reconcile", note=note, now=now)


def test_the_first_of_its_kind_is_created_and_repeats_raise_its_count(correlator):
    posts = [happen(correlator, now=n) for n in range(3)]

    assert [post.count for post in posts] == [1, 2, 3]
    assert len({post.name for post in posts}) == 1


def test_what_happens_again_much_later_is_a_new_event(correlator):
    first, later = happen(correlator), happen(correlator, now=WINDOW_SECONDS + 1)

    assert (later.count, later.name == first.name) == (1, False)


def test_other_words_or_another_object_are_another_event(correlator):
    other = Subject("v1", "Pod", "a", "other", "uid-2")
    posts = [happen(correlator), happen(correlator, note="yes"), happen(correlator, subject=other)]

    assert [post.count for post in posts] == [1, 1, 1]
    assert len({post.name for post in posts}) == 3


def test_many_that_differ_in_words_alone_are_combined(correlator):
    posts = [happen(correlator, note=f"try {n}") for n in range(ALIKE_LIMIT_NOTES + 3)]

    assert [post.count for post in posts[ALIKE_LIMIT_NOTES:]] == [1, 2, 3]
    assert posts[-1].note == f"{COMBINED_PREFIX}try {ALIKE_LIMIT_NOTES + 2}"


def test_an_object_that_causes_a_flood_is_cut_and_let_in_again_slowly(correlator):
    posts = [happen(correlator) for _ in range(BURST_EVENTS + 5)]

    assert [post is None for post in posts] == [False] * BURST_EVENTS + [True] * 5
    assert happen(correlator, now=REFILL_SECONDS - 1) is None
    assert happen(correlator, now=REFILL_SECONDS + 1) is not None


def test_a_flood_of_one_object_does_not_cut_another(correlator):
    for _ in range(BURST_EVENTS + 5):
        happen(correlator)

    assert happen(correlator, subject=Subject("v1", "Pod", "a", "other", "uid-2")) is not None


def test_after_a_post_that_failed_the_next_one_starts_anew(correlator):
    correlator.forget(happen(correlator))

    assert happen(correlator).count == 1


def test_notes_fit_into_an_event_and_are_cut_between_characters(correlator):
    note = happen(correlator, note="é" * 2000).note

    assert (len(note.encode()), set(note)) == (1024, {"é"})


def test_events_of_cluster_scoped_objects_live_in_default():
    node = Subject("v1", "Node", "", "node", "uid-3")

    assert node.event_namespace == "default"
    assert node.reference() == {"apiVersion": "v1", "kind": "Node", "name": "node", "uid": "uid-3"}
