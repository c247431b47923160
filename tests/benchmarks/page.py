"""docs/performance.md and its plots, written from a run: nobody types a figure."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.benchmarks.curves import Curve
from tests.benchmarks.figures import COMPRESSED, LIGHTKUBE, OURS, PEERS, SHARED, SLOW, UVLOOP, Results, rows_of
from tests.plots import bar_chart, plot

_DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_PLOTS = (
    ("events", "Watch events per second, over TLS", "events_per_s", "events/s"),
    ("sync", "First list of all Pods, objects per second", "sync_objects_per_s", "objects/s"),
    ("kept", "Memory kept for a Pod", "kept_kb_per_object", "KB"),
)
_SHOWN = (OURS, COMPRESSED, UVLOOP, *PEERS, LIGHTKUBE, SHARED, *SLOW)
_WORDS = Path(__file__).with_suffix(".md")


def write_page(results: Results, curves: Mapping[str, Curve], *, pods: int, scopes: int, runs: int) -> None:
    """Write the page and its plots."""
    folder = _DOCS / "performance"
    folder.mkdir(exist_ok=True)
    shown = []
    for name, title, key, unit in _PLOTS:
        bars = [(who, results[who][key]) for who in _SHOWN if key in results.get(who, {})]
        (folder / f"{name}.svg").write_text(bar_chart(title, unit, bars))
        shown.append(f"![{title}](performance/{name}.svg)")
    text = _WORDS.read_text().format(
        pods=pods,
        scopes=scopes,
        runs=runs,
        machine=f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}",
        load=os.getloadavg()[0],
        cores=os.cpu_count(),
        plots="\n".join(shown),
        table=_markdown(rows_of(results)),
        curves="\n\n".join(_drawn(folder, name, curve) for name, curve in curves.items()),
    )
    (_DOCS / "performance.md").write_text(text)


def _drawn(folder: Path, name: str, curve: Curve) -> str:
    """Draw one curve, and return its plot and its points."""
    over, _, what = name.rpartition(": ")
    file = "-".join(re.findall(r"[a-zA-Z]+", name)).lower()
    title = f"{what[:1].upper()}{what[1:]}" + (f", by {over}" if over else "")
    end = f"{curve[-1][0]:,.0f} {over}" if over else f"{curve[-1][0]:,.0f} % of the times"
    (folder / f"{file}.svg").write_text(plot(title, curve, across=end))
    few = curve if len(curve) < 10 else [curve[len(curve) * share // 100 - 1] for share in (50, 90, 100)]
    points = " | ".join(f"{x:,.0f}{'' if over else ' %'}" for x, _ in few), " | ".join(f"{y:,.1f}" for _, y in few)
    table = f"| {over or 'of the times'} | {points[0]} |\n|{'---|' * (len(few) + 1)}\n| {what} | {points[1]} |"
    return f"![{title}](performance/{file}.svg)\n\n{table}"


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| figure | target | value | ratio | |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(cell.strip() for cell in row) + " |" for row in rows)])
