"""The table of docs/embedded.md: behaviour × embedded × real, from the cases and how they ended."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
SERVERS = ("embedded", "real")
MARKS = {"passed": "yes", "failed": "**no**", "skipped": "skipped"}

# By file and case: how it ended on each server. A case with parameters is one row; one red parameter makes it red.
Results = dict[tuple[str, str], dict[str, str]]


def note(results: Results, node: str, outcome: str) -> None:
    """Take down how one test ended. Tests that belong to no server are passed over."""
    file, _, rest = node.partition("::")
    name, _, parameters = rest.partition("[")
    server = next((server for server in SERVERS if server in re.split(r"[-\]]", parameters)), None)
    if server is None:
        return
    row = results.setdefault((Path(file).stem, name), {})
    if row.get(server) != "failed":
        row[server] = outcome


def render(results: Results, chapters: Mapping[str, str]) -> str:
    """Return the table, a part for each file, in the order of the run."""
    parts = []
    for file, chapter in chapters.items():
        rows = [(case, ends) for (where, case), ends in results.items() if where == file]
        if rows:
            parts.append(f"### {chapter}\n\n| behaviour | embedded | real |\n|---|---|---|\n" + "\n".join(_rows(rows)))
    green = {server: sum(ends.get(server) == "passed" for ends in results.values()) for server in SERVERS}
    told = ", ".join(f"{count} on the {server} one" for server, count in green.items())
    return f"{len(results)} cases; {told}.\n\n" + "\n\n".join(parts)


def write(page: Path, results: Results) -> None:
    """Put the table into the page, in place of the one that is there."""
    files = dict.fromkeys(file for file, _ in results)
    table = render(results, {file: _chapter(file) for file in files})
    text = page.read_text()
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}")


def _rows(rows: Iterable[tuple[str, dict[str, str]]]) -> list[str]:
    return [
        f"| {_sentence(case)} | {' | '.join(MARKS.get(ends.get(server, ''), '–') for server in SERVERS)} |"
        for case, ends in rows
    ]


def _sentence(case: str) -> str:
    return case.removeprefix("test_").replace("_", " ")


def _chapter(file: str) -> str:
    """Return the first line of a file's docstring."""
    module = importlib.import_module(f"tests.contract.{file}")
    return (module.__doc__ or file).splitlines()[0].rstrip(".")
