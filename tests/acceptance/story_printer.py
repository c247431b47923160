"""How the demo speaks: who does what, what was measured, small tables; in colour where a person looks at a terminal."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import attrs

from .report import seconds

WIDTH = 100
BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


@attrs.define(eq=False)
class Voice:
    """Prints the story; every line at once."""

    out: TextIO = attrs.field(factory=lambda: sys.stdout)
    coloured: bool = attrs.field(factory=lambda: sys.stdout.isatty() and "NO_COLOR" not in os.environ)

    def step(self, number: int, title: str) -> None:
        """Begin a step."""
        self.line("\n" + self.paint(f"Step {number}: {title}", BOLD))

    def admin(self, command: str) -> None:
        """Say what the admin does."""
        self.line(f"  {self.paint('admin', CYAN)}     {command}")

    def held(self, what: str, took: float | None = None, limit: float | None = None) -> None:
        """Say what was seen to hold, and how long that took."""
        measured = (
            "" if took is None else f"  {seconds(took)}" + ("" if limit is None else f" (limit {seconds(limit)})")
        )
        self.line(f"  {self.paint('✓ seen', GREEN)}    {what}{self.paint(measured, YELLOW)}")

    def quote(self, text: str) -> None:
        """Quote the operator, or an object."""
        for line in textwrap.wrap(text, WIDTH - 12):
            self.line("            " + self.paint(line, DIM))

    def table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show rows under their headings."""
        for line in grid(rows):
            self.line("            " + line)

    def failed(self, text: str) -> None:
        """Say what did not hold."""
        self.line(f"  {self.paint('✗ failed', RED)}  {text}")

    def line(self, text: str = "") -> None:
        """Print a line as it is."""
        print(text, file=self.out, flush=True)

    def paint(self, text: str, colour: str) -> str:
        """Return a text in a colour."""
        return f"\033[{colour}m{text}\033[0m" if self.coloured and text else text


def grid(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Yield a table's lines, its columns aligned."""
    if not rows:
        return
    headings = list(rows[0])
    cells = [[str(row.get(heading, "")) for heading in headings] for row in rows]
    widths = [max(len(heading), *(len(row[n]) for row in cells)) for n, heading in enumerate(headings)]
    for row in ([heading.upper() for heading in headings], *cells):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
