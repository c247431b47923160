"""Plots for pages, as SVG; their colours follow the reader's scheme, light or dark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 660, 200, 60, 34, 28
STYLE: Final = (
    "<style>.t{font:13px sans-serif;fill:#1f2328}.o{fill:#0969da}.p{fill:#8c959f}.a{stroke:#8c959f}"
    ".l{fill:none;stroke:#0969da;stroke-width:1.5}@media(prefers-color-scheme:dark){.t{fill:#e6edf3}.o{fill:#4493f8}"
    ".p{fill:#6e7681}.a{stroke:#6e7681}.l{stroke:#4493f8}}</style>"
)
# How lines beside each other are told apart, on light and on dark: middle tones, and dashes for who sees no colours.
TONES: Final = (("#0969da", ""), ("#cf5a00", "7 3"), ("#1a8f4c", "2 3"), ("#a44bd1", "9 3 2 3"), ("#c23a5c", "1 4"))

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
    text = f'<text class="t" x="{WIDTH - 16}" y="{HEIGHT - 8}" text-anchor="end">{escape(across)}</text>'
    return _framed(title, most, right, HEIGHT, text + drawn)


def lines(title: str, places: Sequence[str], series: Mapping[str, Sequence[float]], *, across: str) -> str:
    """Return an SVG of several lines over the same places, which stand at even distances; `across` says what they are.

    Each line has its last value and its name beside it, one below the other.
    """
    most = max((value for values in series.values() for value in values), default=1.0) or 1.0
    right, height = WIDTH - LEFT - 190, 260
    down = height - TOP - BOTTOM
    steps = max(1, len(places) - 1)
    drawn = []
    for number, (name, values) in enumerate(series.items()):
        tone, dashes = TONES[number % len(TONES)]
        placed = [(LEFT + right * at / steps, TOP + down * (1 - value / most)) for at, value in enumerate(values)]
        stroke = f'stroke="{tone}" stroke-width="2" stroke-dasharray="{dashes}"'
        beside = TOP + 16 + 24 * number
        drawn.append(
            f'<polyline fill="none" {stroke} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in placed)}"/>'
            f'<path fill="none" {stroke} d="M{LEFT + right + 16} {beside - 4}h26"/>'
            f'<text class="t" x="{LEFT + right + 48}" y="{beside}">{escape(name)}: {values[-1]:.3g}</text>'
        )
    marks = "".join(
        f'<text class="t" x="{LEFT + right * at / steps:.1f}" y="{height - 8}" text-anchor="middle">'
        f"{escape(what)}</text>"
        for at, what in enumerate(places)
    )
    text = f'<text class="t" x="{LEFT + right + 20}" y="{height - 8}">{escape(across)}</text>'
    return _framed(title, most, right, height, marks + text + "".join(drawn))


def _framed(title: str, most: float, right: float, height: float, inside: str) -> str:
    """Return an SVG with a title and two axes, `right` long and from 0 to `most`, and what is drawn in it."""
    down = height - TOP - BOTTOM
    name = "-".join(re.findall(r"[a-z]+", title.lower()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{name}">'
        f'<title id="{name}">{escape(title)}</title>'
        f"{STYLE}"
        f'<text class="t" x="10" y="20" font-weight="bold">{escape(title)}</text>'
        f'<path class="a" fill="none" d="M{LEFT} {TOP}V{TOP + down}H{LEFT + right}"/>'
        f'<text class="t" x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">{most:.3g}</text>'
        f'<text class="t" x="{LEFT - 6}" y="{TOP + down}" text-anchor="end">0</text>'
        f"{inside}</svg>\n"
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
