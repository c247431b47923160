"""docs/performance-operator.md and its plots, written from a run: nobody types a figure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.plots import bar_chart

from .contestants import NAMES, ROOT
from .measurement import PHASES, Measured, Phase
from .table import markdown, rows

_DOCS = ROOT / "docs"
_WORDS = Path(__file__).with_suffix(".md")


def write_page(measured: Mapping[str, Sequence[Measured]], about: Mapping[str, Any]) -> None:
    """Write the page and its plots; `about` is what a run says of itself."""
    folder = _DOCS / "performance"
    folder.mkdir(exist_ok=True)
    shown = []
    for name, title, unit, figure in _plots():
        bars = [(who, statistics.median(map(figure, measured[who]))) for who in NAMES if measured.get(who)]
        (folder / f"operator-{name}.svg").write_text(bar_chart(title, unit, bars))
        shown.append(f"![{title}](performance/operator-{name}.svg)")
    text = _WORDS.read_text().format(
        **about,
        runs=max(map(len, measured.values())),
        plots="\n".join(shown),
        table=markdown(rows(measured)),
    )
    (_DOCS / "performance-operator.md").write_text(text)


def _plots() -> list[tuple[str, str, str, Callable[[Measured], float]]]:
    def total(figure: Callable[[Phase], float]) -> Callable[[Measured], float]:
        return lambda result: sum(figure(result.phases[phase]) for phase in PHASES)

    return [
        ("time", "Create, change and delete, seconds", "s", total(lambda phase: phase.seconds)),
        ("cpu", "CPU of the operator in all phases", "s", total(lambda phase: phase.cpu)),
        ("memory", "Peak resident memory of the operator", "MB", lambda result: result.peak_mb),
        ("requests", "Requests in all phases, reviews included", "", total(lambda phase: phase.requests.total())),
    ]
