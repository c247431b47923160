"""One module asks what time it is; dates and pauses follow the loop."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import scopedcache
from scopedcache import ForbiddenError
from scopedcache.clock import loop_time, machine_time, wall_time
from scopedcache.testing import virtual_time

PACKAGE = Path(scopedcache.__file__).parent
# What tells the time. `perf_counter` is for those who measure how long their own work holds the loop.
CLOCKS = {
    "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today", "datetime.datetime.utcnow",
    "time.clock_gettime", "time.clock_gettime_ns", "time.ctime", "time.gmtime", "time.localtime",
    "time.monotonic", "time.monotonic_ns", "time.strftime", "time.time", "time.time_ns",
}  # fmt: skip
MEASURING = {"time.perf_counter", "time.perf_counter_ns", "time.process_time", "time.thread_time"}
MEASURE_THEIR_OWN_SLICES = {"api/watch/pace.py", "informer/event_handlers.py"}


def full_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every dotted name in a module, whatever it was imported as."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts, value = [node.attr], node.value
            while isinstance(value, ast.Attribute):
                parts, value = [value.attr, *parts], value.value
            if isinstance(value, ast.Name) and value.id in names:
                yield node.lineno, ".".join([names[value.id], *parts])


def clocks_read(text: str, clocks: set[str]) -> list[str]:
    return [f"line {line}: {name}" for line, name in full_names(ast.parse(text)) if name in clocks]


def modules() -> list[str]:
    paths = (path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")))
    return [path.as_posix() for path in paths if path.parts[0] != "testing" and path.as_posix() != "clock.py"]


@pytest.mark.parametrize("path", modules())
def test_nobody_but_the_clock_asks_what_time_it_is(path: str) -> None:
    clocks = CLOCKS if path in MEASURE_THEIR_OWN_SLICES else CLOCKS | MEASURING

    assert clocks_read((PACKAGE / path).read_text(), clocks) == []


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import UTC, datetime\nborn = datetime.now(UTC)",
        "import datetime as dt\nborn = dt.datetime.utcnow()",
        "import datetime\nborn = datetime.date.today()",
        "import time as clock\nborn = clock.monotonic()",
        "import time\ndef born(timer=time.time): ...",
        "from time import monotonic as now",
    ],
)
def test_a_clock_is_seen_however_it_is_spelled(text: str) -> None:
    assert len(clocks_read(text, CLOCKS)) == 1


def test_what_is_no_clock_is_let_alone() -> None:
    text = "import time\nfrom datetime import datetime\ntime.sleep(1)\ndatetime.max\nself.time()\nloop.time()"

    assert clocks_read(text, CLOCKS | MEASURING) == []


def test_an_error_made_an_hour_later_in_virtual_time_is_an_hour_younger() -> None:
    async def main() -> tuple[ForbiddenError, ForbiddenError]:
        first = ForbiddenError()
        await asyncio.sleep(3600)
        return first, ForbiddenError()

    first, second = virtual_time.run(main())

    assert second.since - first.since == timedelta(hours=1)


def test_without_a_loop_every_clock_is_the_machines() -> None:
    assert abs(wall_time() - datetime.now(UTC)) < timedelta(seconds=60)
    assert abs(loop_time() - machine_time()) < 60


def test_a_thread_that_blocks_has_the_time_of_the_machine_whatever_loop_it_runs() -> None:
    async def main() -> tuple[float, float]:
        before = machine_time()
        await asyncio.sleep(3600)
        return machine_time() - before, loop_time()

    real, virtual = virtual_time.run(main())

    assert real < 60 < virtual
