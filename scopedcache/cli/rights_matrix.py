"""Who may do what, where, as rows: a place and a kind each, a column for each verb."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from ..api.permission import Permission
from ..errors import where
from .exit_status import ExitStatus
from .permissions import CACHE_VERBS, Subject, place_name
from .report import Report, Table

# What a review says of where a right comes from. The words are the server's, and have been these since 1.8.
_GIVEN: Final = re.compile(r'allowed by (?P<kind>\w+) "(?P<name>[^"]+)" of (?P<role_kind>\w+) "(?P<role>[^"]+)"')


@attrs.frozen
class Cell:
    """One right: True, False, or None where nobody could say."""

    permission: Permission
    allowed: bool | None
    given_by: str = ""


@attrs.frozen
class Row:
    """What may be done to a kind in a place."""

    place: str | None
    subject: Subject
    cells: Mapping[str, Cell]

    @property
    def missing(self) -> list[str]:
        return [verb for verb, cell in self.cells.items() if cell.allowed is False]

    def lacks(self, needed: Sequence[str]) -> list[str]:
        """Return what is missing of the verbs that count; none do of a subresource, unless they were named."""
        named = needed is not CACHE_VERBS or self.subject.subresource is None
        return [verb for verb in self.missing if named and verb in needed]

    @property
    def given_by(self) -> dict[str, list[str]]:
        """Return what gives rights here, and the verbs that each gives."""
        result: dict[str, list[str]] = {}
        for verb, cell in self.cells.items():
            if cell.given_by:
                result.setdefault(cell.given_by, []).append(verb)
        return result


def rows_of(subjects: Sequence[Subject], places: Sequence[str | None], verbs: Sequence[str]) -> list[Row]:
    """Return the rows to ask about: a cluster-scoped kind has one, whatever the places."""
    rows: dict[tuple[str | None, Subject], Row] = {}
    for place in places:
        for subject in subjects:
            where = place if subject.resource.namespaced else None
            cells = {verb: Cell(subject.permission(verb, where), None) for verb in verbs}
            rows.setdefault((where, subject), Row(where, subject, cells))
    return list(rows.values())


def filled(rows: Sequence[Row], answers: Mapping[Permission, bool], given: Mapping[Permission, str]) -> list[Row]:
    """Return the rows with what was answered."""
    return [
        attrs.evolve(
            row,
            cells={
                verb: Cell(cell.permission, answers.get(cell.permission), given.get(cell.permission, ""))
                for verb, cell in row.cells.items()
            },
        )
        for row in rows
    ]


def given_by(reason: str) -> str:
    """Return the binding and the role that a review names: `RoleBinding a/x of ClusterRole y`; empty where none."""
    match = _GIVEN.search(reason)
    if match is None:
        return ""
    # The server writes name/namespace; everybody else the other way round.
    name, _, namespace = match["name"].partition("/")
    binding = f"{namespace}/{name}" if namespace else name
    return f"{match['kind']} {binding} of {match['role_kind']} {match['role']}"


def report(who: str, rows: Sequence[Row], needed: Sequence[str], notes: Sequence[str] = ()) -> Report:
    """Return what to print. `needed` are the verbs whose absence is what the exit status tells."""
    verbs = list(rows[0].cells) if rows else []
    table = Table(
        ("kind", "namespace", *verbs, "given by"),
        [
            (
                str(row.subject),
                place_name(row.place),
                *(_WORDS[cell.allowed] for cell in row.cells.values()),
                _givers(row),
            )
            for row in rows
        ],
        f"What {who} may do",
    )
    lines = [_missing(row, lacking) for row in rows if (lacking := row.lacks(needed))]
    unknown = any(cell.allowed is None for row in rows for cell in row.cells.values())
    status = ExitStatus.FOUND if lines else ExitStatus.UNANSWERED if unknown else ExitStatus.DONE
    return Report(
        {"user": who, "rights": [_data(row) for row in rows]},
        [table, *(["\n".join(lines)] if lines else [])],
        notes,
        status,
    )


_WORDS: Final[dict[bool | None, str]] = {True: "yes", False: "no", None: "?"}


def _givers(row: Row) -> str:
    givers = row.given_by
    if len(givers) == 1:
        return next(iter(givers))
    return "; ".join(f"{', '.join(verbs)}: {giver}" for giver, verbs in givers.items())


def _missing(row: Row, lacking: Sequence[str]) -> str:
    return f"missing: {', '.join(lacking)} {row.subject} {where(row.place)}"


def _data(row: Row) -> dict[str, Any]:
    return {
        "kind": str(row.subject),
        "namespace": row.place,
        "verbs": {verb: cell.allowed for verb, cell in row.cells.items()},
        "missing": row.missing,
        "givenBy": {verb: cell.given_by for verb, cell in row.cells.items() if cell.given_by},
    }
