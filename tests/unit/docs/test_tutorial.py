"""The operator of the tutorial, and its test; `tests/clients/test_tutorial.py` follows the whole page, with kubectl."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .blocks import DOCS, ROOT, blocks, load, write_files

HOW_TO = sorted(page.relative_to(DOCS).as_posix() for page in (DOCS / "how-to").glob("*.md"))


def test_the_test_that_it_ends_with_passes(tmp_path: Path) -> None:
    write_files("tutorial.md", tmp_path)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_greeter.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=50,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout


def test_its_operator_is_as_short_as_it_says(tmp_path: Path) -> None:
    write_files("tutorial.md", tmp_path)

    assert len([line for line in (tmp_path / "greeter.py").read_text().splitlines() if line.strip()]) <= 45


@pytest.mark.parametrize("page", HOW_TO)
def test_the_blocks_of_a_page_are_one_program(page: str) -> None:
    if any("import kopf" in block.text for block in blocks(page)):
        pytest.importorskip("kopf", reason="kopf is not installed")

    assert load(page).__dict__
