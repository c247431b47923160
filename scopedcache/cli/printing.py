"""Prints a report: as a table where there is room, as lines where there is not, as JSON or YAML for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TextIO

import yaml
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .report import Report, Table

# Where nobody looks there is no edge to wrap at.
UNBOUNDED_COLUMNS: Final = 1000
# What is printed besides between two columns.
GAP_COLUMNS: Final = 2
_GOOD, _BAD, _UNSURE = "green", "bold red", "yellow"
STYLES: Final = {
    **dict.fromkeys(("yes", "ok", "gained", "allowed"), _GOOD),
    **dict.fromkeys(("no", "missing", "lost", "trouble", "denied"), _BAD),
    **dict.fromkeys(("?", "idle", "waiting", "suspect"), _UNSURE),
}


class Output(StrEnum):
    """For whom to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let whoever prints decide what that means; the library would end the program as if it had failed."""
        raise BrokenPipeError


def console(stream: TextIO) -> Console:
    """Return a console: as wide as the terminal, or as COLUMNS says; without an edge where there is neither."""
    bounded = stream.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return _Console(
        file=stream, width=None if bounded else UNBOUNDED_COLUMNS, highlight=False, markup=False, emoji=False
    )


def show(report: Report, output: Output) -> None:
    """Print what was found on standard output, and the notes on the error stream."""
    if output == Output.TABLE:
        out = console(sys.stdout)
        for number, block in enumerate(report.blocks):
            if number:
                out.print()
            show_block(block, out)
    else:
        as_it_is = report.yaml if output == Output.YAML else None
        sys.stdout.write(data_text(report.data, output) if as_it_is is None else as_it_is)
    sys.stdout.flush()
    if report.notes:
        errors = console(sys.stderr)
        for note in report.notes:
            errors.print(Text(f"note: {note}"))


def data_text(data: Any, output: Output) -> str:
    """Return data as JSON or YAML."""
    if output == Output.JSON:
        return json.dumps(data, indent=2) + "\n"
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=UNBOUNDED_COLUMNS))


class _ManifestDumper(yaml.SafeDumper):
    """Writes lists of plain values in one line, as people write rules."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _list_node(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    plain = all(isinstance(value, str) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=plain)


_ManifestDumper.add_representer(list, _list_node)


def manifests_text(manifests: Sequence[Mapping[str, Any]]) -> str:
    """Return manifests as YAML documents."""
    return str(yaml.dump_all(manifests, Dumper=_ManifestDumper, sort_keys=False, width=UNBOUNDED_COLUMNS))


def show_block(block: Table | str, out: Console) -> None:
    """Print a table or some lines."""
    for renderable in renderables(block, out.width):
        out.print(renderable, soft_wrap=isinstance(block, str))


def renderables(block: Table | str, width: int) -> list[RichTable | Text]:
    """Return what to print of a table, or of some lines, on a terminal that wide."""
    if isinstance(block, str):
        return [Text(block)]
    title = [Text(block.title, style="bold")] if block.title else []
    return [*title, *([_as_columns(block)] if _width(block) <= width else _as_lines(block))]


def _as_columns(table: Table) -> RichTable:
    result = RichTable(box=None, pad_edge=False, padding=(0, GAP_COLUMNS, 0, 0), header_style="bold")
    for column in table.columns:
        result.add_column(column.upper(), no_wrap=True)
    for row in table.rows:
        result.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return result


def _as_lines(table: Table) -> list[Text]:
    """Return each row as lines: the first cell alone, the others below with their headings, alike ones together."""
    lines = []
    for row in table.rows:
        lines.append(Text(row[0], style="bold"))
        together: dict[str, list[str]] = {}
        for heading, cell in zip(table.columns[1:], row[1:], strict=True):
            if cell in ("yes", "no", "?"):
                together.setdefault(cell, []).append(heading)
            elif cell:
                lines.append(Text(f"  {heading}: {cell}"))
        for cell, headings in together.items():
            lines.append(Text(f"  {cell}: {', '.join(headings)}", style=STYLES[cell]))
    return lines


def _width(table: Table) -> int:
    lines = [table.columns, *table.rows]
    widths = [max(Text(line[column]).cell_len for line in lines) for column in range(len(table.columns))]
    return sum(widths) + GAP_COLUMNS * len(widths)
