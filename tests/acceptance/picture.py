"""`python -m tests.acceptance.picture`: runs the demo, and draws what it said of three steps: docs/images/demo.svg.

The picture is text: it can be searched, copied and read aloud, and asks nobody for a font.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from . import demo
from .story_printer import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Voice

PATH: Final = Path(__file__).parents[2] / "docs" / "images" / "demo.svg"
# Denied, granted, revoked: what this is about.
FIRST_STEP, END_STEP = 7, 10
LINE_HEIGHT, CHARACTER_WIDTH, MARGIN = 18, 7.85, 20
NO_BREAK_SPACE: Final = "\u00a0"
STYLES: Final = {
    BOLD: 'fill="#f8fafc" font-weight="bold"',
    DIM: 'fill="#94a3b8"',
    RED: 'fill="#f87171"',
    GREEN: 'fill="#4ade80"',
    YELLOW: 'fill="#facc15"',
    CYAN: 'fill="#22d3ee"',
}
COLOURED: Final = re.compile(r"\033\[(\d+)m(.*?)\033\[0m")


def steps_of(story: str) -> list[str]:
    """Return the lines of the steps that are drawn."""
    begin, end = (story.index(f"Step {number}: ") for number in (FIRST_STEP, END_STEP))
    begin, end = story.rindex("\n", 0, begin) + 1, story.rindex("\n", 0, end)
    return story[begin:end].strip("\n").split("\n")


def draw(lines: Sequence[str], title: str) -> str:
    """Return a picture of a terminal."""
    widest = max(len(COLOURED.sub(r"\2", line)) for line in lines)
    width, height = round(widest * CHARACTER_WIDTH) + 2 * MARGIN, len(lines) * LINE_HEIGHT + 2 * MARGIN
    rows = "\n".join(
        f'  <text x="{MARGIN}" y="{MARGIN + LINE_HEIGHT * number - 4}">{"".join(spans(line))}</text>'
        for number, line in enumerate(lines, 1)
        if line
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title"
  font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13" fill="#cbd5e1">
  <title id="title">{escape(title)}</title>
  <rect width="{width}" height="{height}" rx="8" fill="#0f172a"/>
{rows}
</svg>
"""


def spans(line: str) -> Iterator[str]:
    """Yield the parts of a line, the coloured ones in their colours."""
    line, at = line.replace(" ", NO_BREAK_SPACE), 0  # what does not collapse, in every viewer
    for part in COLOURED.finditer(line):
        yield escape(line[at : part.start()])
        yield f"<tspan {STYLES[part[1]]}>{escape(part[2])}</tspan>"
        at = part.end()
    yield escape(line[at:])


def main() -> int:
    """Return the demo's status; the picture is drawn only where every step held."""
    told = io.StringIO()
    status = demo.main(Voice(out=told, coloured=True))
    if status:
        sys.stderr.write(told.getvalue())
        return status
    PATH.write_text(draw(steps_of(told.getvalue()), "The demo: a right is missing, granted, and revoked"))
    print(f"written: {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
