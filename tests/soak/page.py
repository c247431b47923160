"""docs/soak.md and its plots, written from a run: nobody types a figure."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.plots import plot

from .rounds import Result, as_points
from .series import quantile, rates

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
WORDS: Final = Path(__file__).with_suffix(".md")


def write_page(result: Result, docs: Path = DOCS) -> None:
    """Write the page and its plots."""
    folder = docs / "soak"
    folder.mkdir(exist_ok=True)
    drawn = {
        "memory": ("Resident memory, MB", as_points(result.samples, "memory"), False),
        "tasks": ("Tasks of the cache", as_points(result.samples, "tasks"), False),
        "connections": ("Open sockets", as_points(result.samples, "connections"), False),
        "requests": ("Requests per second", rates(result.samples), False),
        "loss": ("Seconds until a loss is followed", _seconds(result, "loss"), True),
        "gain": ("Seconds until a gain is followed", _seconds(result, "gain"), True),
    }
    plots = []
    for name, (title, points, dots) in drawn.items():
        (folder / f"{name}.svg").write_text(
            plot(title, points, dots=dots, across=f"{max((at for at, _ in points), default=0.0) / 60:.0f} min")
        )
        plots.append(f"![{title}](soak/{name}.svg)")
    rests = [sample for sample in result.samples if sample.rest]
    rows = [
        row(name, values[0], quantile(values, 0.5), values[-1])
        for name in ("memory", "tasks", "connections", "descriptors", "watches", "objects")
        if (values := [getattr(sample, name) for sample in rests])
    ]
    times = [
        row(kind, len(values), *(round(v, 1) for v in (quantile(values, 0.5), quantile(values, 0.99), max(values))))
        for kind in ("loss", "gain")
        if (values := [one.seconds for one in result.detections if one.kind == kind])
    ]
    found = "\n".join(f"- {one}" for one in result.findings) or verdict([sample.memory for sample in rests])
    text = WORDS.read_text().format(
        minutes=result.seconds / 60,
        rounds=result.rounds,
        seed=result.seed,
        machine=f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
        load=result.load,
        done="\n".join(f"| {what} | {count} |" for what, count in sorted(result.done.items())),
        rests="\n".join(rows),
        times="\n".join(times),
        found=found,
        plots="\n".join(plots),
    )
    (docs / "soak.md").write_text(text)


def verdict(memory: Sequence[float]) -> str:
    """Return in words what memory did over the rests of a run in which nothing was found."""
    if not memory:
        return "No round was finished."
    late = memory[-max(1, len(memory) // 3) :]
    return (
        "Every round held, and nothing grew by more than is tolerated. "
        f"Memory at rest was {memory[0]:.1f} MB after the "
        f"first round, {late[0]:.1f} MB at the beginning of the last third and {late[-1]:.1f} MB at the end. "
        "What grows by less than the tolerance in so many rounds is not found by such a run."
    )


def row(name: str, *values: float) -> str:
    """Return a row of a table."""
    return f"| {name} | {' | '.join(f'{value:g}' for value in values)} |"


def _seconds(result: Result, kind: str) -> list[tuple[float, float]]:
    return [(one.at, one.seconds) for one in result.detections if one.kind == kind]
