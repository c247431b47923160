"""The drawing of who may import whom is the contract that import-linter holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_layers_on_the_page_are_those_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [contract, *_] = project["tool"]["importlinter"]["contracts"]

    page = (ROOT / "docs" / "architecture.md").read_text()
    [drawn] = re.findall(r"<!-- drawn from the contract .*? -->\n```\n(.*?)\n```", page, re.S)
    assert drawn.split("\n") == contract["layers"]
