"""Copies of the tree, and rows run in them, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from .judging import Run

PARTS = ("scopedcache", "examples", "tests/acceptance")
# All rows together take 15 s; a mutant that makes the operator turn without a pause never ends in virtual time.
TIMEOUT = 120.0
ENOUGH = 400


@attrs.frozen
class Tree:
    """A copy of what rows need: the library, the operator, the rows themselves."""

    root: Path

    @classmethod
    def copy(cls, source: Path, root: Path) -> Tree:
        """Copy; times of files stay, so that what was compiled stays good."""
        for part in PARTS:
            shutil.copytree(source / part, root / part)
        return cls(root)

    def read(self, file: str) -> str:
        """Return the text of a file."""
        return (self.root / file).read_text()

    def write(self, texts: Mapping[str, str]) -> None:
        """Write files, and forget what they were compiled to."""
        for file, text in texts.items():
            path = self.root / file
            path.write_text(text)
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def library(self) -> Path:
        """Return the file that `import scopedcache` finds here."""
        found = self._python("-c", "import scopedcache; print(scopedcache.__file__)")
        return Path(found.stdout.strip())

    def run(self, rows: Sequence[str], timeout: float = TIMEOUT) -> Run:
        """Run rows on the embedded cluster and return what they said."""
        answers = self.root / "rows.json"
        try:
            ended = self._python(
                "-m", "tests.acceptance", "--only", ",".join(rows), "--json", str(answers), timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return Run({}, f"no end within {timeout:g} s")
        if not answers.exists():
            return Run({}, f"exit status {ended.returncode}: {ended.stderr.strip()[-ENOUGH:]}")
        return Run({row["id"]: row for row in json.loads(answers.read_text())["rows"]})

    def _python(self, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(str(self.root))  # before anything that is installed
        environment = {**os.environ, "PYTHONPATH": path, "CLUSTER": "embedded"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment,
            timeout=timeout,
            check=False,
            capture_output=True,
            text=True,
        )
