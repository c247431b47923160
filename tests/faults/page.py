"""docs/faults.md: the part of it that runs write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .rows import ROWS
from .stage import Outcome

PAGE: Final = Path("docs/faults.md")
MARK: Final = "<!-- table: {} -->"
END: Final = "<!-- end -->"
HEAD: Final = (
    "| fault | readers are told | /readyz | oldest read | requests/s | back after | relists |\n"
    "|---|---|---|---|---|---|---|\n"
)


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
    before, rest = page.split(MARK.format(server) + "\n", 1)
    table, after = rest.split(END, 1)
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines()[2:]} | new
    order = [row.name for row in ROWS if row.name in rows]
    body = "".join(rows[name] + "\n" for name in order)
    return f"{before}{MARK.format(server)}\n{HEAD}{body}{END}{after}"


def table_row(came: Outcome) -> str:
    """Return one line of the table."""
    cells = (
        came.name, came.reads, came.ready, f"{came.age:.0f} s", f"{came.rate:.1f}", f"{came.recovery:.1f} s",
        str(came.relists),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"
