"""The rows of examples, as groups that share a world, and those that take a rule of `rbac.yaml` away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..clock import now
from ..rows import Group, Outcome, Row
from ..runner import run_row
from ..waiting import Failed
from ..world import World
from .example import Example, Right
from .world import ExampleWorld, example_world


def rows_of(example: Example, logs: Path | None, *, first_only: bool = False) -> list[Group]:
    """Return the rows of an example, of what it serves and of its clusters; the first one alone, if told so."""
    rows = example.rows[:1] if first_only else example.rows
    groups = [Group(example.name, partial(_world, example, logs), rows, story=True)]
    for words, more in (("over HTTPS", example.web_rows), ("across clusters", example.fleet_rows)):
        if more and not first_only:
            apart = partial(_world, example, logs, apart=True)
            groups.append(Group(f"{example.name}, {words}", apart, more, story=True))
    return groups


def rights_of(example: Example, *, by_verb: bool = False) -> Group:
    """Return a row for each rule of an example's `rbac.yaml`: without it something fails."""
    rights = example.rights(by_verb=by_verb)
    rows = (
        Row(f"{example.name}.{number}", f"needs {right.words}", None, partial(_without, example, right))
        for number, right in enumerate(rights, 1)
    )
    return Group(f"{example.name}: no right is idle", _nowhere, tuple(rows))


def _without(example: Example, right: Right, _: World) -> Outcome:
    with (
        tempfile.TemporaryDirectory(prefix="acceptance-") as folder,
        example_world(example, Path(folder), rbac=right.without(example.rbac)) as world,
    ):
        began = now()
        for row in example.rows:
            result = run_row(row, world)
            if result.verdict == "FAIL":
                return Outcome(None, {"fails": row.id, "after": now() - began})
    raise Failed("every row holds without it: take it out of rbac.yaml")


@contextmanager
def _world(example: Example, logs: Path | None, *, apart: bool = False) -> Iterator[ExampleWorld]:
    with tempfile.TemporaryDirectory(prefix="acceptance-") as folder:
        kept = (logs or Path(folder)) / f"{example.name}{'-web' if apart else ''}"
        with example_world(example, kept, apart=apart) as world:
            yield world


@contextmanager
def _nowhere() -> Iterator[World]:
    """Stand for a world: these rows make their own."""
    yield None  # type: ignore[misc]  # nobody looks at it
