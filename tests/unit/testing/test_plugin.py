"""The pytest plugin: what it costs, what its names are, and `control_plane` where there are no binaries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import scopedcache

PACKAGE_HOME = Path(scopedcache.__file__).parents[1]
CONTROL_PLANE = """
def test_something(scopedcache_control_plane):
    assert scopedcache_control_plane.url
"""
MODULES = """
import json, pathlib, sys

def pytest_sessionfinish(session):
    pathlib.Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
"""
NAMES = ("api_server", "as_user", "clock", "control_plane", "embedded_cluster", "grant", "grants", "revoke", "twice")
NOTHING = "def test_nothing(): pass"
SHORT_NAMES = "[pytest]\nscopedcache_short_names = true\n"


def run_pytest(
    folder: Path, test: str, *arguments: str, ini: str = "[pytest]\n", **extra: str
) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(test)
    (folder / "pytest.ini").write_text(ini)
    environ = {name: value for name, value in os.environ.items() if name not in ("KUBEBUILDER_ASSETS", "CI")}
    environ |= {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(PACKAGE_HOME)}
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--strict-markers", *arguments]
    return subprocess.run([*command, "test_it.py"], cwd=folder, env=environ | extra, capture_output=True, text=True)


def modules_after(folder: Path, *arguments: str, test: str = NOTHING) -> set[str]:
    folder.mkdir()
    (folder / "conftest.py").write_text(MODULES)
    run = run_pytest(folder, test, *arguments)
    assert run.returncode == 0, run.stdout
    return set(json.loads((folder / "modules.json").read_text()))


def test_who_uses_no_fixture_pays_next_to_nothing_for_the_plugin(tmp_path: Path) -> None:
    without = modules_after(tmp_path / "without", "-p", "no:scopedcache")
    brought = modules_after(tmp_path / "with") - without
    assert "scopedcache.pytest_plugin" in brought
    assert len(brought) < 10, sorted(brought)


def test_a_clock_of_the_test_is_that_of_its_cluster(tmp_path: Path) -> None:
    test = """
def test_it(scopedcache_clock, scopedcache_embedded_cluster):
    assert scopedcache_clock is scopedcache_embedded_cluster.clock
"""
    assert "1 passed" in run_pytest(tmp_path, test).stdout


def test_nobody_gets_common_words_who_did_not_ask_for_them(tmp_path: Path) -> None:
    tests = "\n".join(f"def test_{name}({name}): pass" for name in NAMES)
    run = run_pytest(tmp_path, tests)
    assert f"{len(NAMES)} errors" in run.stdout
    assert all(f"fixture '{name}' not found" in run.stdout for name in NAMES)
    (tmp_path / "marker").mkdir()
    run = run_pytest(tmp_path / "marker", "import pytest\n@pytest.mark.real\n" + NOTHING)
    assert "'real' not found in `markers`" in run.stdout


def test_who_asks_for_short_names_gets_the_same_things_under_both(tmp_path: Path) -> None:
    test = """
import pytest

NAMES = ["as_user", "clock", "embedded_cluster", "grant", "grants", "revoke", "twice", "api_server"]

@pytest.mark.parametrize("name", NAMES)
def test_it(name, request, api_server):
    assert request.getfixturevalue(name) is request.getfixturevalue(f"scopedcache_{name}")
"""
    assert "8 passed, 8 deselected" in run_pytest(tmp_path, test, "-m", "not real", ini=SHORT_NAMES).stdout


def test_a_fixture_of_the_project_goes_before_a_short_name(tmp_path: Path) -> None:
    test = """
import pytest

@pytest.fixture
def clock():
    return "mine"

def test_it(clock):
    assert clock == "mine"
"""
    assert "1 passed" in run_pytest(tmp_path, test, ini=SHORT_NAMES).stdout


def test_the_real_half_is_left_out_by_its_marker(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "def test_it(scopedcache_api_server): pass", "-m", "not scopedcache_real")
    assert "1 passed, 1 deselected" in run.stdout


def test_a_missing_control_plane_skips_with_what_to_do(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, CONTROL_PLANE)
    assert run.returncode == 0
    assert "1 skipped" in run.stdout
    assert "run `python -m scopedcache.testing build`" in run.stdout


def test_a_missing_control_plane_fails_in_ci(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, CONTROL_PLANE, CI="true")
    assert run.returncode == 1
    assert "CI is set and the real control plane cannot start: no etcd" in run.stdout
