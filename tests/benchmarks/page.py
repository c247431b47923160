"""docs/performance.md and its plots, written from a run: nobody types a figure."""

import os
import platform
from collections.abc import Iterable
from html import escape
from pathlib import Path

from tests.benchmarks.figures import LIGHTKUBE, OURS, SHARED, UVLOOP, Results, rows_of

_DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_PLOTS = (
    ("events", "Watch events per second, over TLS", "events_per_s", "events/s"),
    ("sync", "First list of all Pods, objects per second", "sync_objects_per_s", "objects/s"),
    ("kept", "Memory kept for a Pod", "kept_kb_per_object", "KB"),
)
_WORDS = Path(__file__).with_suffix(".md")


def write_page(results: Results, *, pods: int, scopes: int, runs: int) -> None:
    """Write the page and its plots."""
    folder = _DOCS / "performance"
    folder.mkdir(exist_ok=True)
    shown = []
    for name, title, key, unit in _PLOTS:
        bars = [(who, results[who][key]) for who in (OURS, UVLOOP, LIGHTKUBE, SHARED) if key in results.get(who, {})]
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
    )
    (_DOCS / "performance.md").write_text(text)


def bar_chart(title: str, unit: str, bars: Iterable[tuple[str, float]]) -> str:
    """Return an SVG with a bar for each; its colours follow the reader's scheme."""
    bars = list(bars)
    most = max((value for _, value in bars), default=1.0) or 1.0
    height = 44 + 30 * len(bars)
    rows = []
    for number, (name, value) in enumerate(bars):
        top, width = 40 + 30 * number, max(1.0, 360 * value / most)
        rows.append(
            f'<text class="t" x="150" y="{top + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{"o" if number == 0 else "p"}" x="160" y="{top}" width="{width:.1f}" height="20" rx="3"/>'
            f'<text class="t" x="{166 + width:.1f}" y="{top + 15}">{value:,.{0 if value >= 100 else 1}f} {unit}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 {height}" role="img" aria-label="{escape(title)}">'
        "<style>.t{font:13px sans-serif;fill:#1f2328}.o{fill:#0969da}.p{fill:#8c959f}"
        "@media(prefers-color-scheme:dark){.t{fill:#e6edf3}.o{fill:#4493f8}.p{fill:#6e7681}}</style>"
        f'<text class="t" x="10" y="22" font-weight="bold">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| figure | target | value | ratio | |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(cell.strip() for cell in row) + " |" for row in rows)])
