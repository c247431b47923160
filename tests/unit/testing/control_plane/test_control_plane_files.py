"""Binaries, tokens and command lines: everything before the first process."""

from __future__ import annotations

from pathlib import Path

import pytest

from scopedcache.testing.control_plane.binaries import NAMES, Binaries, MissingBinariesError, find_binaries
from scopedcache.testing.control_plane.build_targets import cache_folder
from scopedcache.testing.control_plane.flags import Layout, Login, apiserver_command, tokens_csv
from scopedcache.testing.resources import load_manifests


def executables(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


def layout(folder: Path) -> Layout:
    return Layout(folder, Binaries(Path("etcd"), Path("apiserver"), Path("manager")), 1, 2, (3, 4), 5)


def test_binaries_come_from_the_folder_that_the_user_names(tmp_path: Path) -> None:
    assets = executables(tmp_path / "assets", *NAMES)
    assert find_binaries({"KUBEBUILDER_ASSETS": str(assets)}).etcd == assets / "etcd"


def test_what_the_named_folder_lacks_comes_from_the_cache_folder(tmp_path: Path) -> None:
    assets = executables(tmp_path / "assets", "etcd", "kube-apiserver")
    environ = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    built = executables(cache_folder(environ), *NAMES)
    binaries = find_binaries(environ)
    assert (binaries.apiserver.parent, binaries.controller_manager.parent) == (assets, built)


def test_missing_binaries_are_named_with_what_to_do(tmp_path: Path) -> None:
    words = r"no etcd, .* in /.*: run `python -m scopedcache.testing build` .*, or set KUBEBUILDER_ASSETS"
    with pytest.raises(MissingBinariesError, match=words):
        find_binaries({"XDG_CACHE_HOME": str(tmp_path)})


def test_groups_of_a_user_are_one_quoted_field() -> None:
    logins = [Login("alice", "secret", ("dev", "ops")), Login("bob", "other")]
    assert tokens_csv(logins) == 'secret,alice,alice,"dev,ops"\nother,bob,bob,\n'


def test_extra_flags_replace_and_remove_ours(tmp_path: Path) -> None:
    extra = {"secure-port": "99", "allow-privileged": None, "goaway-chance": "0.02"}
    words = apiserver_command(layout(tmp_path), 1, extra)
    assert "--secure-port=99" in words
    assert "--secure-port=4" not in words
    assert "--goaway-chance=0.02" in words
    assert not [word for word in words if word.startswith("--allow-privileged")]


def test_the_two_servers_of_a_pair_have_their_own_audit_logs(tmp_path: Path) -> None:
    assert layout(tmp_path).audit_log(0) != layout(tmp_path).audit_log(1)


def test_manifests_come_from_dicts_files_and_folders_in_order(tmp_path: Path) -> None:
    (tmp_path / "2.yaml").write_text("kind: C\n---\n---\nkind: D\n")
    (tmp_path / "1.yaml").write_text("kind: B\n")
    assert [m["kind"] for m in load_manifests([{"kind": "A"}, tmp_path])] == ["A", "B", "C", "D"]
