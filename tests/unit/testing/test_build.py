"""`make control-plane`: when it builds, and what it says where it cannot."""

from __future__ import annotations

import importlib.util
import io
import os
import re
from pathlib import Path
from types import ModuleType

import pytest

from scopedcache.testing.binaries import MissingBinariesError, find_kubectl

SCRIPT = Path(__file__).parents[3] / "control-plane" / "build.py"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script, which is no part of the package, with an empty folder for its binaries."""
    spec = importlib.util.spec_from_file_location("build_control_plane", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BIN", tmp_path / "bin")
    return module


def fake_go(folder: Path, version: str) -> dict[str, str]:
    folder.mkdir()
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho {version}\n")
    go.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_without_go_it_says_what_to_install_and_fails(
    build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main({"PATH": str(tmp_path)}, io.StringIO()) == 1
    said = capsys.readouterr().err
    assert re.search(r"no Go found. Either install Go 1\.\d+ or newer", said)
    assert "KUBEBUILDER_ASSETS" in said


def test_an_old_go_is_refused_by_version(build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(fake_go(tmp_path / "old", "go1.21.3"), io.StringIO()) == 1
    assert "Go 1.21.3 is too old" in capsys.readouterr().err


def test_nothing_is_built_where_the_user_brings_all_binaries(build: ModuleType, tmp_path: Path) -> None:
    for target in build.TARGETS:
        (tmp_path / target.name).touch(mode=0o755)
    out = io.StringIO()
    assert build.main({"KUBEBUILDER_ASSETS": str(tmp_path)}, out) == 0
    assert "nothing to build" in out.getvalue()
    assert not build.BIN.exists()


def test_what_is_not_needed_is_not_built(build: ModuleType, tmp_path: Path) -> None:
    servers = [target.name for target in build.TARGETS if target.name != "kubectl"]
    for name in servers:
        (tmp_path / name).touch(mode=0o755)
    out = io.StringIO()
    assert build.main({"KUBEBUILDER_ASSETS": str(tmp_path), "PATH": ""}, out, servers) == 0
    assert build.main({"KUBEBUILDER_ASSETS": str(tmp_path), "PATH": ""}, out) == 1  # kubectl, without Go


def test_binaries_of_the_same_sources_and_flags_are_not_built_again(build: ModuleType, tmp_path: Path) -> None:
    build.BIN.mkdir()
    for target in build.TARGETS:
        (build.BIN / target.name).touch(mode=0o755)
        (build.BIN / f".{target.name}.stamp").write_text(build.fingerprint(target))
    out = io.StringIO()
    assert build.main({"PATH": ""}, out) == 0
    assert "up to date" in out.getvalue()


def test_the_binaries_name_the_pinned_version(build: ModuleType) -> None:
    flags = build.version_stamp("require (\n\tk8s.io/kubernetes v1.36.2\n)\n")
    assert "version.gitVersion=v1.36.2" in flags
    assert "version.gitMinor=36" in flags


def test_what_go_says_is_repeated_without_the_places_of_this_machine(build: ModuleType, tmp_path: Path) -> None:
    said = build.without_places(f'reading "https://proxy.example/x": in {tmp_path}/go.mod', tmp_path)
    assert said == 'reading "<address>": in ./go.mod'


def test_kubectl_is_taken_from_beside_the_servers_not_from_anywhere(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.touch(mode=0o755)
    assert find_kubectl({"KUBEBUILDER_ASSETS": str(tmp_path)}, tmp_path) == program
    with pytest.raises(MissingBinariesError, match="no kubectl in KUBEBUILDER_ASSETS or control-plane/bin"):
        find_kubectl({"PATH": str(tmp_path)}, tmp_path)
