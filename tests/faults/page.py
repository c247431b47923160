"""docs/faults.md: the part of it that runs write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from .rows import ROWS
from .stage import Outcome
from .storms import STORMS, Weather

PAGE: Final = Path("docs/faults.md")
MARK: Final = "<!-- table: {} -->"
END: Final = "<!-- end -->"
HEAD: Final = (
    "| fault | readers are told | /readyz | oldest read | requests/s | back after | relists |\n"
    "|---|---|---|---|---|---|---|\n"
)

STORMS_HEAD: Final = (
    "| storm | changes of what may be seen | denials told | right after the last change | wrong |\n"
    "|---|---|---|---|---|"
) + "\n"

CRASHES_HEAD: Final = (
    "| killed | deaths | custom resources made, edited, deleted meanwhile | looks at everything | seed |\n"
    "|---|---|---|---|---|\n"
)
CRASHES: Final = ("an operator", "one of two replicas with leader election")

MEMORY_HEAD: Final = "| time | start | 300 watches open | all of them revoked | of the start |\n|---|---|---|---|---|\n"

OVERLOAD_HEAD: Final = "| load | took | memory | longest turn | collection | lost | |\n|---|---|---|---|---|---|---|\n"


def merge(outcomes: Iterable[Outcome]) -> None:
    """Put outcomes into the page, each into the table of its server; rows that were not run stay."""
    page = PAGE.read_text(encoding="utf-8")
    for server in ("embedded", "real"):
        new = {came.name: table_row(came) for came in outcomes if came.server == server}
        if new:
            page = put(page, server, new)
    PAGE.write_text(page, encoding="utf-8")


def put(page: str, server: str, new: dict[str, str]) -> str:
    """Return the page with these rows in the table of a server, in the order of the faults."""
    return _put(page, server, HEAD, [row.name for row in ROWS], new)


def _put(page: str, table: str, head: str, names: Sequence[str], new: Mapping[str, str]) -> str:
    mark = MARK.format(table) + "\n"
    before, rest = page.split(mark, 1)
    old, after = rest.split(END, 1)
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in old.splitlines()[2:]} | dict(new)
    return before + mark + head + "".join(rows[name] + "\n" for name in names if name in rows) + END + after


def table_row(came: Outcome) -> str:
    """Return one line of the table."""
    cells = (
        came.name, came.reads, came.ready, f"{came.age:.0f} s", f"{came.rate:.1f}", f"{came.recovery:.1f} s",
        str(came.relists),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def write_storms(passed: Iterable[Weather]) -> None:
    """Put storms into the page, in the order of their table; those that did not pass stay as they are."""
    page = PAGE.read_text(encoding="utf-8")
    for server in ("embedded", "real"):
        new = {
            one.name: f"| {one.name} | {one.changes} | {one.told} | {one.slowest:.1f} s | {len(one.wrong)} |"
            for one in passed
            if one.server == server
        }
        if new:
            page = _put(page, f"storms, {server}", STORMS_HEAD, list(STORMS), new)
    PAGE.write_text(page, encoding="utf-8")


def write_overload(rows: Sequence[str]) -> None:
    """Put the figures of overload into the page."""
    page = PAGE.read_text(encoding="utf-8")
    new = {row.split(" | ")[0].removeprefix("| "): row for row in rows}
    mark = MARK.format("overload")
    old = page.split(mark + "\n", 1)[1].split(END, 1)[0].splitlines()[2:]
    names = dict.fromkeys([*(line.split(" | ")[0].removeprefix("| ") for line in old), *new])
    PAGE.write_text(_put(page, "overload", OVERLOAD_HEAD, list(names), new), encoding="utf-8")


def write_crashes(who: str, deaths: int, edits: int, looks: int, seed: int) -> None:
    """Put a run in which everything was as it was asked for into the page; `who` is one of CRASHES."""
    page = PAGE.read_text(encoding="utf-8")
    row = f"| {who} | {deaths} | {edits:,} | {looks} | {seed} |"
    PAGE.write_text(_put(page, "crashes", CRASHES_HEAD, CRASHES, {who: row}), encoding="utf-8")


def write_memory(rows: Sequence[str]) -> None:
    """Put what stays of revoked watches into the page, in the place of what stood there."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(MARK.format("memory") + "\n", 1)
    table = "".join(row + "\n" for row in rows)
    _, after = rest.split(END, 1)
    PAGE.write_text(before + MARK.format("memory") + "\n" + MEMORY_HEAD + table + END + after, encoding="utf-8")
