"""Mutants: applied exactly or not at all; judged by what rows said; each row that can has one."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.acceptance.catalogue import groups
from tests.acceptance.mutants import tables
from tests.acceptance.mutants.catalogue import MUTANTS
from tests.acceptance.mutants.code_edits import Constant
from tests.acceptance.mutants.edit import Edit, NotApplied
from tests.acceptance.mutants.judging import LENGTH, Run, judged, said
from tests.acceptance.mutants.mutant import Mutant, mutated, rows_of, selected
from tests.acceptance.mutants.tree import PARTS
from tests.acceptance.program import ROOT

REAL_ONLY = {"2", "2.pod", "B.growth"}
FILES = {"a.py": "ONE = 1\nTWO = 2\n", "b.py": "THREE = 3\n"}


def mutant(*edits: Edit, name: str = "the bug", rows: tuple[str, ...] = ("1",)) -> Mutant:
    return Mutant(name, rows, edits)


def row(verdict: str, reason: str = "") -> dict[str, str]:
    return {"verdict": verdict, "reason": reason}


def used_names(tree: ast.Module) -> Iterator[str]:
    """Return the names that code refers to: variables, attributes, arguments of calls."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Return the names that code brings about."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield from (name.partition(".")[0], other or name)


@cache
def names_of_the_tree() -> frozenset[str]:
    """Return all names in the code that mutants are made of."""
    trees = [ast.parse(file.read_text()) for part in PARTS for file in (ROOT / part).rglob("*.py")]
    return frozenset(name for tree in trees for names in (used_names, bound_names) for name in names(tree))


@cache
def names_of_the_language() -> frozenset[str]:
    """Return the built-in names, and those of what built-in types have."""
    types = [one for one in vars(builtins).values() if isinstance(one, type)]
    return frozenset([*dir(builtins), *(name for one in types for name in dir(one))])


def verdicts(run: Run) -> list[tuple[str, str]]:
    return [(one.verdict, one.said) for one in judged(mutant(), run)]


# -- applying ----------------------------------------------------------------------------------------------------------


def test_a_mutant_changes_what_it_names_and_leaves_the_rest():
    made = mutated(mutant(Constant("a:ONE", "10"), Constant("b:THREE", "30")), FILES.__getitem__)
    assert made == {"a.py": "ONE = 10\nTWO = 2\n", "b.py": "THREE = 30\n"}


def test_edits_of_one_file_follow_each_other():
    made = mutated(mutant(Constant("a:ONE", "zero()"), Constant("a:TWO", "20")), FILES.__getitem__)
    assert made == {"a.py": "ONE = zero()\nTWO = 20\n"}


def test_an_edit_that_does_not_fit_is_an_error_that_names_the_mutant():
    with pytest.raises(NotApplied, match=r"^the bug: a:FOUR: FOUR is there 0 times, not once$"):
        mutated(mutant(Constant("a:FOUR", "4")), FILES.__getitem__)


def test_a_file_that_is_gone_is_an_error_that_names_the_mutant(tmp_path: Path):
    with pytest.raises(NotApplied, match=r"^the bug: there is no gone/away\.py$"):
        mutated(mutant(Constant("gone.away:ONE", "1")), lambda file: (tmp_path / file).read_text())


def test_mutants_are_chosen_by_a_part_of_their_names():
    mutants = [mutant(name="the first bug"), mutant(name="the second bug")]
    assert selected(mutants, ["FIRST"]) == mutants[:1]
    assert selected(mutants, []) == mutants


def test_a_part_of_no_name_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no mutant has 'third' in its name; there are\nthe bug"):
        selected([mutant()], ["third"])


# -- judging -----------------------------------------------------------------------------------------------------------


def test_a_row_that_fails_by_what_it_saw_kills():
    assert verdicts(Run({"1": row("FAIL", "replicas is 4,\n expected 2")})) == [("killed", "replicas is 4, expected 2")]


@pytest.mark.parametrize("verdict", ["PASS", "NOT RUN"])
def test_a_row_that_does_not_fail_lets_the_mutant_survive(verdict: str):
    assert verdicts(Run({"1": row(verdict)})) == [("SURVIVED", verdict)]


@pytest.mark.parametrize(
    "reason", ["its world failed: the operator is ready: not within 15 s", 'File "x.py", line 3, in f\nKeyError: 1']
)
def test_a_row_that_could_not_be_carried_out_proves_nothing(reason: str):
    assert verdicts(Run({"1": row("FAIL", reason)})) == [("NO PROOF", " ".join(reason.split()))]


def test_a_run_without_a_word_about_the_row_proves_nothing():
    assert verdicts(Run({}, "no end within 120 s")) == [("NO PROOF", "no end within 120 s")]


def test_rows_that_failed_beside_the_named_ones_are_told():
    [one] = judged(mutant(), Run({"0": row("FAIL"), "1": row("FAIL", "late"), "2": row("PASS")}))
    assert one.others == ("0",)


def test_what_a_row_said_is_cut_and_keeps_nothing_that_changes_from_run_to_run():
    words = "owner 123e4567-e89b-12d3-a456-426614174000 of memcached-xlgmlqfnn7-dvrw5 at 1795280185.518"
    assert said(row("FAIL", words)) == "owner … of memcached-… at …"
    assert len(said(row("FAIL", "long " * 100))) <= LENGTH


def test_rows_that_do_not_hold_without_a_mutant_are_named_with_what_they_said():
    run = Run({"1": row("PASS"), "2": row("FAIL", "late")})
    assert run.misses(["1"]) is None
    assert run.misses(["1", "2"]) == "2: late"


# -- telling -----------------------------------------------------------------------------------------------------------


def test_the_page_keeps_what_is_around_the_table_and_orders_it_by_rows():
    found = [
        *judged(mutant(rows=("2",)), Run({"2": row("FAIL", "a|b")})),
        *judged(mutant(rows=("1",)), Run({"1": row("FAIL", "c")})),
    ]
    text = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter"
    lines = tables.written(text, tables.page(found, ["1", "2"])).splitlines()
    assert lines[0] == "before"
    assert lines[4:6] == ["| 1 | the bug | c |", "| 2 | the bug | a\\|b |"]
    assert lines[-1] == "after"


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="lacks its marks"):
        tables.written("nothing", "")


# -- the mutants there are ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", MUTANTS, ids=lambda known: known.name)
def test_every_mutant_fits_the_code_as_it_is(known: Mutant):
    """After a rename a mutant would break on the old name, and rows that fail over that prove nothing."""
    made = mutated(known, lambda file: (ROOT / file).read_text())
    trees = [ast.parse(text) for file, text in made.items() if file.endswith(".py")]
    for tree in trees:
        compile(tree, known.name, "exec")
    used, bound = ({name for tree in trees for name in names(tree)} for names in (used_names, bound_names))
    assert sorted(used - bound - names_of_the_tree() - names_of_the_language()) == []


def test_every_row_that_runs_on_the_embedded_cluster_has_a_mutant_that_must_kill_it():
    rows = {row.id for group in groups(None) for row in group.rows}
    assert set(rows_of(MUTANTS)) >= rows - REAL_ONLY
    assert set(rows_of(MUTANTS)) <= rows


def test_every_mutant_has_a_name_of_its_own_and_is_in_the_table_on_the_page():
    page = (ROOT / "tests" / "acceptance" / "mutations.md").read_text()
    table = page[page.index(tables.BEGIN) : page.index(tables.END)]
    assert len({one.name for one in MUTANTS}) == len(MUTANTS)
    assert [one.name for one in MUTANTS for row in one.rows if f"| {row} | {one.name} | " not in table] == []
