"""What people and programs get to read: a line per row while it runs, a table at the end, the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .rows import Fact, Result

HEADINGS = ("row", "what", "measured", "limit", "verdict")


def line(result: Result) -> str:
    """Return the one line that tells how a row ended."""
    row, outcome = result.row, result.outcome
    words = f"{result.verdict:7} {row.id:10} {seconds(outcome.seconds):>8} of {seconds(row.limit):>6}  {row.title}"
    details = [f"{name}={show(value)}" for name, value in outcome.facts.items()]
    return "\n".join([words, *(f"          {text}" for text in (result.reason, ", ".join(details)) if text)])


def table(results: Iterable[Result]) -> str:
    """Return the table of all rows, its columns aligned."""
    lines = [HEADINGS, *(_cells(result) for result in results)]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(HEADINGS))]
    rule = ["-" * width for width in widths]
    return "\n".join("  ".join(_aligned(cells, widths)).rstrip() for cells in [lines[0], rule, *lines[1:]])


def summary(results: Sequence[Result], took: float) -> str:
    """Return the last line: how many rows held, failed, did not run."""
    counts = {verdict: sum(r.verdict == verdict for r in results) for verdict in ("PASS", "FAIL", "NOT RUN")}
    words = f"{counts['PASS']} rows held, {counts['FAIL']} failed, {counts['NOT RUN']} not run, in {took:.0f} s"
    failed = [result.row.id for result in results if result.verdict == "FAIL"]
    return f"{words}: {', '.join(failed)}" if failed else words


def as_json(results: Iterable[Result], **about: Fact) -> dict[str, Any]:
    """Return the same as plain data."""
    return {**about, "rows": [_row(result) for result in results]}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the data to a file, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def seconds(value: float | None) -> str:
    """Return a duration with a sensible number of digits; `-` where there is none."""
    if value is None:
        return "-"
    return (
        f"{value:.0f} s"
        if value >= 100
        else f"{value:.3g} s"
        if value >= 10 or value == int(value)
        else f"{value:.2f} s"
    )


def show(value: Fact) -> str:
    """Return a fact as it is printed."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cells(result: Result) -> tuple[str, ...]:
    row, outcome = result.row, result.outcome
    return row.id, row.title, seconds(outcome.seconds), seconds(row.limit), result.verdict


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    numbers = (2, 3)
    return [
        c.rjust(w) if column in numbers else c.ljust(w) for column, (c, w) in enumerate(zip(cells, widths, strict=True))
    ]


def _row(result: Result) -> dict[str, Any]:
    row, outcome = result.row, result.outcome
    return {
        "id": row.id,
        "title": row.title,
        "seconds": outcome.seconds,
        "limit": row.limit,
        "verdict": result.verdict,
        "reason": result.reason,
        "facts": outcome.facts,
        "took": round(result.took, 2),
    }
