"""The fixture `control_plane` where there are no binaries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import scopedcache

PACKAGE_HOME = Path(scopedcache.__file__).parents[1]
TEST = "def test_something(control_plane):\n    assert control_plane.url\n"


def run_pytest(folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TEST)
    environ = {name: value for name, value in os.environ.items() if name not in ("KUBEBUILDER_ASSETS", "CI")}
    environ |= {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(PACKAGE_HOME)}
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "test_it.py"]
    return subprocess.run(command, cwd=folder, env=environ | extra, capture_output=True, text=True)


def test_a_missing_control_plane_skips_with_what_to_do(tmp_path: Path) -> None:
    run = run_pytest(tmp_path)
    assert run.returncode == 0
    assert "1 skipped" in run.stdout
    assert "run `python -m scopedcache.testing build`" in run.stdout


def test_a_missing_control_plane_fails_in_ci(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, CI="true")
    assert run.returncode == 1
    assert "CI is set and the real control plane cannot start: no etcd" in run.stdout
