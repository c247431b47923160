"""Drawings in the pages ask nobody for anything, say in words what they show, and fit the demo."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.acceptance import demo
from tests.acceptance.picture import FIRST_STEP, draw, steps_of

IMAGES = Path(__file__).parents[3] / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", sorted(path.name for path in IMAGES.glob("*.svg")))
def test_a_drawing_has_a_title_and_fetches_nothing(name: str) -> None:
    text = (IMAGES / name).read_text()

    assert ElementTree.fromstring(text).findtext(f"{SVG}title")
    assert re.findall(r"(?:href|src|url|@import)\b", text) == []


def test_the_picture_of_the_demo_shows_the_steps_that_the_demo_tells() -> None:
    rows = ["".join(row.itertext()) for row in ElementTree.parse(IMAGES / "demo.svg").iter(f"{SVG}text")]
    shown = [row.replace("\u00a0", " ").partition(": ")[2] for row in rows if row.startswith("Step")]

    assert shown == [title for title, _ in demo.STEPS[FIRST_STEP - 1 : FIRST_STEP + 2]]


def test_spaces_and_colours_of_a_terminal_are_kept() -> None:
    story = "\n".join(f"\033[1mStep {number}: x\033[0m\n  a  <b>" for number in range(6, 12))

    drawn = draw(steps_of(story), "a title")

    assert drawn.count("Step") == 3
    assert '">\u00a0\u00a0a\u00a0\u00a0&lt;b&gt;</text>' in drawn
    assert 'font-weight="bold">Step\u00a07:\u00a0x</tspan>' in drawn
