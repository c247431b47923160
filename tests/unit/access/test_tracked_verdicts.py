"""Verdicts live for as long as somebody tracks them."""

from __future__ import annotations

from scopedcache.access.tracked_verdicts import TrackedVerdicts
from scopedcache.api.permission import Permission

LIST, WATCH = (Permission(verb, "", "pods", "a") for verb in ("list", "watch"))


def test_a_verdict_is_made_for_the_first_and_forgotten_with_the_last_who_tracks_it() -> None:
    tracked = TrackedVerdicts()
    made = [tracked.add(LIST, now) for now in (1.0, 2.0)]
    since = tracked.view[LIST].since
    forgotten = [tracked.drop(LIST) for _ in range(2)]

    assert (made, since, forgotten) == ([True, False], 1.0, [False, True])
    assert (tracked.get(LIST), len(tracked)) == (None, 0)


def test_what_nobody_tracks_has_no_verdict() -> None:
    tracked = TrackedVerdicts()
    tracked.add(LIST, 0.0)

    assert [verdict.permission for verdict in tracked.of((WATCH, LIST))] == [LIST]
    assert WATCH not in tracked
