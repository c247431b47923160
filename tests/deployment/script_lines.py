"""Which lines of shell scripts have run: what bash traces, beside the lines that are commands."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# A line that bash traces, and nothing else: `:file:line:`.
MARK: Final = re.compile(r"^:+(?P<file>[^:\n]+):(?P<line>\d+):", re.M)
# Read by every bash that runs a script: tells each command's file and line, before it runs.
PRELUDE: Final = "exec {{BASH_XTRACEFD}}>>{trace}\nPS4=':${{BASH_SOURCE}}:${{LINENO}}:'\nset -x\n"
# Words that hold commands together and are none: a function's head, the pattern of a case, the end of a block.
NO_COMMAND: Final = re.compile(r"\s*(#.*|\w+\(\) \{|[\w*]+\)|else|fi|done|esac|;;|\}.*)?\s*")


def commands(text: str) -> dict[int, str]:
    """Return the commands of a script by their first line; one that goes on on the next line is one."""
    found: dict[int, str] = {}
    first: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if first is not None:
            found[first] += f"\n{line}"
        elif not NO_COMMAND.fullmatch(line):
            first, found[number] = number, line
        if not line.endswith("\\"):
            first = None
    return found


def lines_run(trace: str) -> Mapping[str, set[int]]:
    """Return the lines that a trace tells of, by the file's name."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for mark in MARK.finditer(trace):
        found[Path(mark["file"]).name].add(int(mark["line"]))
    return found


def never_run(scripts: Iterable[Path], trace: str) -> list[str]:
    """Return the commands that the trace does not tell of, as `file:line: text`."""
    ran = lines_run(trace)
    return [
        f"{script.name}:{number}: {command.strip()}"
        for script in scripts
        for number, command in commands(script.read_text()).items()
        if ran[script.name].isdisjoint(range(number, number + command.count("\n") + 1))
    ]
