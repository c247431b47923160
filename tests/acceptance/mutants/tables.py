"""What people get to read: a line per mutant while they run, a table at the end, and the same as a page keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import get_args

from ..story_printer import grid
from .judging import Judgement, Verdict

BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"


def line(name: str, judgements: Iterable[Judgement], took: float) -> str:
    """Return the one line about a mutant, and a second one where rows failed that it does not name."""
    judgements = list(judgements)
    verdicts = ", ".join(f"{judgement.row} {judgement.verdict}" for judgement in judgements)
    others = judgements[0].others if judgements else ()
    return f"{took:5.1f} s  {name}: {verdicts}" + (f"\n         also red: {', '.join(others)}" if others else "")


def table(judgements: Sequence[Judgement]) -> str:
    """Return the table of all judgements, its columns aligned."""
    return "\n".join(
        grid(
            [
                {"mutant": one.mutant, "row": one.row, "verdict": one.verdict, "what the row said": one.said}
                for one in judgements
            ]
        )
    )


def summary(judgements: Sequence[Judgement], took: float) -> str:
    """Return the last line."""
    counts = Counter(judgement.verdict for judgement in judgements)
    words = [f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict]]
    return f"{len({one.mutant for one in judgements})} mutants: {', '.join(words) or 'nothing'}, in {took:.0f} s"


def page(judgements: Iterable[Judgement], order: Sequence[str]) -> str:
    """Return the same in Markdown, in the order of the rows."""
    ranked = sorted(judgements, key=lambda judgement: order.index(judgement.row))
    lines = [f"| {one.row} | {one.mutant} | {_quoted(one)} |" for one in ranked]
    return "\n".join(["| Row | Mutation | What the row said |", "|---|---|---|", *lines])


def written(text: str, made: str) -> str:
    """Return a page with this between its two marks.

    Raises:
        ValueError: the marks are not there once each, in their order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the page lacks its marks {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def _quoted(judgement: Judgement) -> str:
    words = judgement.said.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")
    return words if judgement.verdict == "killed" else f"*{judgement.verdict}*: {words}"
