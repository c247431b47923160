"""Rows: which ones a selection means, how one is judged, how all are told; waits that say what they saw."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import Any

import pytest

from scopedcache.errors import TransportError
from tests.acceptance import report
from tests.acceptance.catalogue import groups
from tests.acceptance.rows import Group, Outcome, Result, Row, judged, select
from tests.acceptance.runner import Runner, run_row
from tests.acceptance.story_printer import grid
from tests.acceptance.waiting import Failed, NotRun, eventually, first, never
from tests.acceptance.world import Memory

WORLD: Any = None  # no row here looks at its world


def row(id_: str, check=lambda world: Outcome(), limit: float | None = None) -> Row:
    return Row(id_, f"row {id_}", limit, check)


def group(name: str, *ids: str, **options) -> Group:
    return Group(name, lambda: nullcontext(WORLD), tuple(row(id_) for id_ in ids), **options)


def ids(chosen: list[Group]) -> list[str]:
    return [row.id for group in chosen for row in group.rows]


def test_a_row_that_needs_what_a_failed_one_would_have_left_fails_in_words():
    def later(world):
        return Outcome(1.0, {"idle": world["idle"]})

    result = run_row(row("10", later), Memory(pid=1))  # type: ignore[arg-type]  # all that this row looks at
    assert (result.verdict, result.reason) == (
        "FAIL",
        "an earlier row that failed, or was not run, would have left: idle",
    )


def test_without_a_selection_all_rows_run():
    assert ids(select([group("a", "1", "2"), group("b", "3")], [])) == ["1", "2", "3"]


def test_in_a_story_the_rows_before_run_too():
    assert ids(select([group("a", "1", "2", "3", story=True), group("b", "4", "5")], ["2", "5"])) == ["1", "2", "5"]


def test_a_name_means_the_rows_below_it_too():
    assert ids(select([group("a", "9a.1", "9a.2", "9b")], ["9A"])) == ["9a.1", "9a.2"]


def test_a_name_of_no_row_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no row is called X9; there are 1, 2"):
        select([group("a", "1", "2")], ["X9"])


def test_every_row_of_the_table_is_there_once():
    steps = [str(number) for number in range(1, 11) if number != 9]
    revocation = [f"9a.{number}" for number in range(1, 8)] + ["9b", "9c"]
    extra = ["X1", "X2", "X3", "X4", "X7", "X8", *(f"S1.{number}" for number in range(20, 26))]
    bounds = ["B.restart", "B.ha", "B.idle", "B.denied", "B.growth"]
    known = ids(groups(None))
    assert len(known) == len(set(known))
    assert set(steps + revocation + extra + bounds) <= set(known)


def test_a_row_that_measured_more_than_its_limit_fails():
    assert judged(row("1", limit=2.0), Outcome(1.9), 3.0).verdict == "PASS"
    assert judged(row("1", limit=2.0), Outcome(2.1), 3.0).verdict == "FAIL"
    assert judged(row("1"), Outcome(99.0), 3.0).verdict == "PASS"


def test_what_a_row_raises_is_its_result():
    def fails(world):
        raise Failed("the Deployment is there")

    def breaks(world):
        raise KeyError("pid")

    def cannot(world):
        raise NotRun("no cluster")

    results = [run_row(row("1", check), WORLD) for check in (fails, breaks, cannot)]
    assert [result.verdict for result in results] == ["FAIL", "FAIL", "NOT RUN"]
    assert results[0].reason == "the Deployment is there"
    assert "KeyError: 'pid'" in results[1].reason


def test_a_world_that_does_not_start_fails_its_rows_alone():
    def broken():
        raise TransportError("no etcd")

    lines: list[str] = []
    good, bad = group("good", "1", background=True), Group("bad", broken, (row("2"), row("3")))
    results = Runner(tell=lines.append).run([bad, good])
    assert [(result.row.id, result.verdict) for result in results] == [("2", "FAIL"), ("3", "FAIL"), ("1", "PASS")]
    assert "no etcd" in results[0].reason


def test_the_table_shows_measure_limit_and_verdict():
    results = [
        Result(row("9a.1", limit=10.0), "PASS", Outcome(8.412), 9.0),
        Result(row("2"), "NOT RUN", Outcome(), 0.0, "no cluster"),
    ]
    assert report.table(results).splitlines() == [
        "row   what      measured  limit  verdict",
        "----  --------  --------  -----  -------",
        "9a.1  row 9a.1    8.41 s   10 s  PASS",
        "2     row 2            -      -  NOT RUN",
    ]
    assert report.summary(results, 61.4) == "1 rows held, 0 failed, 1 not run, in 61 s"


def test_the_json_carries_what_the_table_shows():
    content = report.as_json([Result(row("1", limit=5.0), "FAIL", Outcome(6.0, {"a": 1}), 7.0, "late")], seconds=9.0)
    [found] = content["rows"]
    assert content["seconds"] == 9.0
    assert (found["id"], found["seconds"], found["limit"], found["verdict"]) == ("1", 6.0, 5.0, "FAIL")
    assert (found["reason"], found["facts"], found["took"]) == ("late", {"a": 1}, 7.0)


def test_a_wait_that_fails_says_what_was_wrong_last():
    counter = itertools.count()
    with pytest.raises(Failed, match=r"two more: not within 0 s; there are 0"):
        eventually("two more", lambda: f"there are {next(counter)}", within=0.0, interval=0.0)


def test_a_wait_goes_on_while_the_server_does_not_answer():
    answers = iter([TransportError("no answer"), None])

    def ask() -> str | None:
        answer = next(answers)
        if answer is not None:
            raise answer
        return None

    assert eventually("an answer", ask, within=5.0, interval=0.0) >= 0.0


def test_what_must_never_happen_is_looked_for_until_the_end():
    answers = iter(["", "", "it did"])
    with pytest.raises(Failed, match="it did"):
        never("it happens", lambda: next(answers), during=10.0, interval=0.0)
    never("it happens", lambda: None, during=0.0)


def test_the_first_problem_is_told():
    assert first(None, "", "b", "c") == "b"
    assert first(None, None) is None


def test_a_grid_aligns_its_columns():
    assert list(grid([{"name": "a", "size": 2}, {"name": "longer", "size": 10}])) == [
        "NAME    SIZE",
        "a       2",
        "longer  10",
    ]
    assert list(grid([])) == []
