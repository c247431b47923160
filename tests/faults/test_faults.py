"""The faults that take no second each; `make faults` runs them all."""

from __future__ import annotations

import pytest

from .page import HEAD, MARK, put
from .rows import ROWS, Row
from .run import complaints, run_embedded, run_real

QUICK = (
    "clean end of all watches, five times",
    "410: history gone, changes and deletions in the gap",
    "cut in the middle of a line, 20 s",
    "lines of rubbish between events, 20 s",
    "every event twice, and the first one again after each",
    "200 with HTML, 20 s",
    "byte by byte, 20 s",
    "half-open: nothing passes for 10 s",
    "503 to everything, 60 s",
    "429, Retry-After: 2",
    "server gone for 60 s",
    "no file descriptor for watches, 60 s",
    "401 for 60 s: credentials expired",
    "our machine is suspended for an hour",
    "HA: a member that lags by 2 s",
    "HA: a member that flaps",
)

QUICK_REAL = (
    "API server frozen for 3 s (SIGSTOP)",
    "server certificate and CA replaced",
    "token expired for 3 s",
)


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in QUICK], ids=lambda row: row.name)
def test_the_cache_is_the_server_after(row: Row) -> None:
    assert complaints(row, run_embedded(row)) == []


@pytest.mark.real
@pytest.mark.parametrize("row", [row for row in ROWS if row.name in QUICK_REAL], ids=lambda row: row.name)
def test_the_cache_is_a_real_server_after(row: Row) -> None:
    assert complaints(row, run_real(row)) == []


def test_every_quick_fault_is_in_the_table() -> None:
    assert {*QUICK, *QUICK_REAL} <= {row.name for row in ROWS}


def test_names_say_which_fault_it_is() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))


def test_a_run_of_some_faults_leaves_the_rest_of_the_page() -> None:
    first, second = ROWS[0].name, ROWS[1].name
    page = f"before\n{MARK.format('real')}\n{HEAD}| {second} | old |\n<!-- end -->\nafter\n"

    written = put(page, "real", {first: f"| {first} | new |"})

    assert (
        written == f"before\n{MARK.format('real')}\n{HEAD}| {first} | new |\n| {second} | old |\n<!-- end -->\nafter\n"
    )
