"""`python -m scopedcache.testing build`: when it builds, and what it says where it cannot."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from scopedcache.testing.control_plane import builder
from scopedcache.testing.control_plane.binaries import MissingBinariesError, find_binaries, find_kubectl
from scopedcache.testing.control_plane.build_targets import TARGETS, cache_folder, version_flags

NAMES = [target.name for target in TARGETS]


def executables(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


def no_go(tmp_path: Path, **more: str) -> dict[str, str]:
    """Return an environment without Go and with a cache folder of its own."""
    return {"PATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache"), **more}


def fake_go(folder: Path, version: str) -> dict[str, str]:
    """Return an environment with a Go that says a version, and builds what it is told to from nothing."""
    folder.mkdir()
    go = folder / "go"
    go.write_text(f'#!/bin/sh\ncase $1 in env) echo {version};; build) touch "$4"; chmod +x "$4";; esac\n')
    go.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "XDG_CACHE_HOME": str(folder / "cache")}


def last_line(out: io.StringIO) -> str:
    return out.getvalue().splitlines()[-1]


def test_what_was_built_is_found_by_the_test_kit_and_its_folder_is_the_last_line(tmp_path: Path) -> None:
    environ = fake_go(tmp_path / "go", "go1.99.0")
    out = io.StringIO()
    assert builder.main(environ, out) == 0
    assert last_line(out) == str(cache_folder(environ))
    assert find_binaries(environ).apiserver == cache_folder(environ) / "kube-apiserver"
    assert find_kubectl(environ).parent == cache_folder(environ)


def test_a_second_build_of_the_same_sources_does_nothing_wherever_it_is_called(tmp_path: Path) -> None:
    environ = fake_go(tmp_path / "go", "go1.99.0")
    assert builder.main(environ, io.StringIO()) == 0
    out = io.StringIO()
    assert builder.main(environ | {"PATH": ""}, out) == 0
    assert "there already, nothing to build" in out.getvalue()
    assert last_line(out) == str(cache_folder(environ))


def test_the_cache_folder_is_that_of_the_user(tmp_path: Path) -> None:
    below = Path("scopedcache") / "control-plane"
    assert cache_folder({"XDG_CACHE_HOME": "/caches", "HOME": "/home/one"}).parent == Path("/caches") / below
    assert cache_folder({"HOME": "/home/one"}).parent == Path("/home/one/.cache") / below
    assert cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/home/one"}).parent == Path("/home/one/.cache") / below


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache").touch()
    assert builder.main(no_go(tmp_path), io.StringIO()) == 1
    assert re.search(r"cannot write /.*/cache/scopedcache.*: .*Set XDG_CACHE_HOME", capsys.readouterr().err)


def test_a_name_that_is_no_binary_is_refused_with_those_there_are() -> None:
    command = [sys.executable, "-m", "scopedcache.testing", "build", "kube-scheduler"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert all(name in run.stderr for name in NAMES)


def test_without_go_it_says_what_to_install_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder.main(no_go(tmp_path), io.StringIO()) == 1
    message = capsys.readouterr().err
    assert re.search(r"no Go found. Either install Go 1\.\d+ or newer", message)
    assert "KUBEBUILDER_ASSETS" in message


def test_an_old_go_is_refused_by_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder.main(fake_go(tmp_path / "old", "go1.21.3"), io.StringIO()) == 1
    assert "Go 1.21.3 is too old" in capsys.readouterr().err


def test_a_go_that_does_not_start_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = fake_go(tmp_path / "broken", "")
    (tmp_path / "broken" / "go").write_bytes(b"\x7fELF")
    assert builder.main(environ, io.StringIO()) == 1
    assert re.search(r"broken/go cannot be started: .*install Go", capsys.readouterr().err)


def test_nothing_is_built_where_the_user_brings_all_binaries(tmp_path: Path) -> None:
    assets = executables(tmp_path / "assets", NAMES)
    out = io.StringIO()
    environ = no_go(tmp_path, KUBEBUILDER_ASSETS=str(assets))
    assert builder.main(environ, out) == 0
    assert "nothing to build" in out.getvalue()
    assert last_line(out) == str(assets)
    assert not (tmp_path / "cache").exists()


def test_what_the_user_does_not_bring_is_built(tmp_path: Path) -> None:
    assets = executables(tmp_path / "assets", ["etcd", "kube-apiserver", "kubectl"])
    environ = fake_go(tmp_path / "go", "go1.99.0") | {"KUBEBUILDER_ASSETS": str(assets)}
    assert builder.main(environ, io.StringIO()) == 0
    binaries = find_binaries(environ)
    assert (binaries.etcd.parent, binaries.controller_manager.parent) == (assets, cache_folder(environ))
    assert not (cache_folder(environ) / "etcd").exists()


def test_what_is_not_needed_is_not_built(tmp_path: Path) -> None:
    servers = [name for name in NAMES if name != "kubectl"]
    environ = no_go(tmp_path, KUBEBUILDER_ASSETS=str(executables(tmp_path / "assets", servers)))
    assert builder.main(environ, io.StringIO(), servers) == 0
    assert builder.main(environ, io.StringIO()) == 1  # kubectl, without Go


def test_the_binaries_name_the_pinned_version() -> None:
    flags = version_flags("require (\n\tk8s.io/kubernetes v1.36.2\n)\n")
    assert "version.gitVersion=v1.36.2" in flags
    assert "version.gitMinor=36" in flags


def test_what_go_says_is_repeated_without_the_places_of_this_machine(tmp_path: Path) -> None:
    output = builder.without_places(f'reading "https://proxy.example/x": in {tmp_path}/go.mod', tmp_path)
    assert output == 'reading "<address>": in ./go.mod'


def test_kubectl_is_taken_from_beside_the_servers_not_from_anywhere(tmp_path: Path) -> None:
    program = executables(tmp_path / "assets", ["kubectl"]) / "kubectl"
    assert find_kubectl(no_go(tmp_path, KUBEBUILDER_ASSETS=str(program.parent))) == program
    with pytest.raises(MissingBinariesError, match=r"no kubectl in /.*/cache/scopedcache/control-plane/\w+: run"):
        find_kubectl(no_go(tmp_path, PATH=str(program.parent)))
