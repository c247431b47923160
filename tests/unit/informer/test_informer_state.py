"""The table of an informer's states: every state, every signal, without a loop."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from scopedcache.informer import informer_state
from scopedcache.informer.informer_state import (
    SIGNALS,
    STATES,
    TABLE,
    InformerSignal,
    InformerState,
    draw_table,
    is_readable,
    next_state,
)

# What becomes of a state, signal by signal: "." stays as it is, "-" cannot happen.
#            ask      pause    listed   streaming defect  close
EXPECTED = {
    "starting": "syncing  -        -        -         broken  closed",
    "syncing":  ".        .        synced   -         broken  closed",
    "synced":   ".        waiting  .        .         broken  closed",
    "waiting":  ".        .        synced   synced    broken  closed",
    "broken":   ".        .        synced   .         .       closed",
    "closed":   ".        .        .        .         .       .",
}  # fmt: skip
COLUMNS: tuple[InformerSignal, ...] = ("ask", "pause", "listed", "streaming", "defect", "close")
CASES = [
    (state, signal, state if expected == "." else expected)
    for state, row in EXPECTED.items()
    for signal, expected in zip(COLUMNS, row.split(), strict=True)
]


@pytest.mark.parametrize(("state", "signal", "expected"), CASES)
def test_each_signal_moves_each_state_as_the_table_says(
    state: InformerState, signal: InformerSignal, expected: str
) -> None:
    if expected == "-":
        with pytest.raises(ValueError, match=f"an informer that is {state} cannot take the signal '{signal}'"):
            next_state(state, signal)
    else:
        assert next_state(state, signal) == expected


def test_the_cases_above_are_all_there_are() -> None:
    assert {(state, signal) for state, signal, _ in CASES} == {(s, g) for s in STATES for g in SIGNALS}


def test_the_table_knows_no_state_and_no_signal_but_the_declared_ones() -> None:
    assert {state for state, _ in TABLE} | set(TABLE.values()) <= set(STATES)
    assert {signal for _, signal in TABLE} <= set(SIGNALS)


def test_the_picture_at_the_top_of_the_file_is_drawn_from_the_table() -> None:
    assert textwrap.indent(draw_table(), "    ") in (informer_state.__doc__ or "")


def test_the_picture_in_the_docs_is_drawn_from_the_table() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"
    assert f"```\n{draw_table()}\n```" in page.read_text(encoding="utf-8")


def test_a_misspelt_signal_fails_loudly() -> None:
    with pytest.raises(ValueError, match="nope"):
        next_state("synced", "nope")  # type: ignore[arg-type]


def test_reads_are_answered_once_listed_until_something_of_ours_fails_or_it_is_closed() -> None:
    assert {state for state in STATES if is_readable(state)} == {"synced", "waiting"}


def test_from_broken_only_a_complete_list_leads_back_to_reads() -> None:
    assert {signal for signal in SIGNALS if is_readable(next_state("broken", signal))} == {"listed"}


def test_what_is_closed_stays_closed() -> None:
    assert {next_state("closed", signal) for signal in SIGNALS} == {"closed"}
