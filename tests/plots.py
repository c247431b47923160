"""Plots for pages, as SVG; their colours follow the reader's scheme, light or dark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 660, 200, 60, 34, 28
STYLE: Final = (
    "<style>.t{font:13px sans-serif;fill:#1f2328}.o{fill:#0969da}.p{fill:#8c959f}.a{stroke:#8c959f}"
    ".l{fill:none;stroke:#0969da;stroke-width:1.5}@media(prefers-color-scheme:dark){.t{fill:#e6edf3}.o{fill:#4493f8}"
    ".p{fill:#6e7681}.a{stroke:#6e7681}.l{stroke:#4493f8}}</style>"
)

Points = Sequence[tuple[float, float]]


def plot(title: str, points: Points, *, across: str, dots: bool = False) -> str:
    """Return an SVG of values as a line or as dots; `across` is the end of what they are over, with its unit."""
    last = max((at for at, _ in points), default=1.0) or 1.0
    most = max((value for _, value in points), default=1.0) or 1.0
    right, down = WIDTH - LEFT - 16, HEIGHT - TOP - BOTTOM
    placed = [(LEFT + right * at / last, TOP + down * (1 - value / most)) for at, value in points]
    if dots:
        drawn = "".join(f'<circle class="o" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in placed)
    else:
        drawn = f'<polyline class="l" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in placed)}"/>'
    name = "-".join(re.findall(r"[a-z]+", title.lower()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}">'
        f'<title id="{name}">{escape(title)}</title>'
        f"{STYLE}"
        f'<text class="t" x="10" y="20" font-weight="bold">{escape(title)}</text>'
        f'<path class="a" fill="none" d="M{LEFT} {TOP}V{TOP + down}H{WIDTH - 16}"/>'
        f'<text class="t" x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">{most:.3g}</text>'
        f'<text class="t" x="{LEFT - 6}" y="{TOP + down}" text-anchor="end">0</text>'
        f'<text class="t" x="{WIDTH - 16}" y="{HEIGHT - 8}" text-anchor="end">{escape(across)}</text>'
        f"{drawn}</svg>\n"
    )


def bar_chart(title: str, unit: str, bars: Iterable[tuple[str, float]]) -> str:
    """Return an SVG with a bar for each."""
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
        f"{STYLE}"
        f'<text class="t" x="10" y="22" font-weight="bold">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )
