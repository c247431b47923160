"""What a row is, what it returns, and which rows a selection means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from .world import World

Fact = str | int | float
Verdict = Literal["PASS", "FAIL", "NOT RUN"]


@attrs.frozen
class Outcome:
    """What a row measured: the time its limit is about (None where it has none), and facts worth printing."""

    seconds: float | None = None
    facts: dict[str, Fact] = attrs.field(factory=dict)


# Its argument is the World of its group; that of an example knows more.
Check = Callable[[Any], Outcome]


@attrs.frozen
class Row:
    """One promise.

    Attributes:
        id: as in the acceptance table (`7`, `9a.3`, `X2`, `S1.22`), or a bound of its own (`B.restart`).
        limit: the seconds that the measured time may not pass.
        check: does what the row says and raises `Failed`, or `NotRun`.
    """

    id: str
    title: str
    limit: float | None
    check: Check


@attrs.frozen
class Group:
    """Rows that share a world.

    Attributes:
        world: makes the world the rows run in, and ends it.
        rows: in the order in which they run.
        story: each row builds on those before it, which therefore run too when one of them is asked for.
        background: mostly waiting, so it runs beside the other groups.
    """

    name: str
    world: Callable[[], AbstractContextManager[World]]
    rows: tuple[Row, ...]
    story: bool = False
    background: bool = False


@attrs.frozen
class Result:
    """A row that was run, or could not be."""

    row: Row
    verdict: Verdict
    outcome: Outcome
    took: float
    reason: str = ""


def select(groups: Iterable[Group], wanted: Sequence[str]) -> list[Group]:
    """Return the groups with only the wanted rows, and in a story the rows before them; all where nothing is wanted.

    A name means the row of this id, and those below it: `9a` means `9a.1` to `9a.7`.

    Raises:
        ValueError: a name means no row.
    """
    groups = list(groups)
    ids = [row.id for group in groups for row in group.rows]
    for name in wanted:
        if not any(means(name, id_) for id_ in ids):
            raise ValueError(f"no row is called {name}; there are {', '.join(ids)}")
    if not wanted:
        return groups
    chosen = [attrs.evolve(group, rows=_chosen(group, wanted)) for group in groups]
    return [group for group in chosen if group.rows]


def means(name: str, row_id: str) -> bool:
    """Tell whether a name on the command line means a row."""
    name, row_id = name.lower(), row_id.lower()
    return row_id == name or row_id.startswith(name + ".")


def judged(row: Row, outcome: Outcome, took: float) -> Result:
    """Return the result of a row that raised nothing: it fails still when it measured more than its limit."""
    if row.limit is not None and outcome.seconds is not None and outcome.seconds > row.limit:
        return Result(row, "FAIL", outcome, took, f"took {outcome.seconds:.2f} s, the limit is {row.limit:g} s")
    return Result(row, "PASS", outcome, took)


def _chosen(group: Group, wanted: Sequence[str]) -> tuple[Row, ...]:
    hits = [number for number, row in enumerate(group.rows) if any(means(name, row.id) for name in wanted)]
    if group.story and hits:
        return group.rows[: hits[-1] + 1]
    return tuple(group.rows[number] for number in hits)
