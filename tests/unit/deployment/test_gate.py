"""The gate, on machines that can run a node with containers, and on such that cannot: what was not run is said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMMON = ("bash", "cat", "dirname", "env", "mkdir", "tail", "true")
# Every part of a node, and root, as far as scripts can tell; `make` says what it is asked for.
ABLE: Mapping[str, str] = {
    **dict.fromkeys(("buildah", "containerd", "debootstrap", "ip", "runc", "newuidmap"), ""),
    "uname": "echo Linux",
    "id": "echo 0",
    "unshare": "",
    "apt-get": "echo apt-get $*",
    "date": "echo 00:00:00",
    "timeout": 'shift; exec "$@"',
    "make": 'echo "make $*, WITHOUT_NODE=$WITHOUT_NODE"',
}

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a script of `.ci` on a machine that is able but for these programs."""

    def run(script: str, programs: Mapping[str, str], *arguments: str, **environ: str) -> Ended:
        for name in COMMON:
            (tmp_path / name).symlink_to(str(shutil.which(name)))
        for name, text in {**ABLE, **programs}.items():
            (tmp_path / name).write_text(f"#!{shutil.which('bash')}\n{text}\n")
            (tmp_path / name).chmod(0o755)
        command = [str(tmp_path / "bash"), str(ROOT / ".ci" / script), *arguments]
        environ = {"PATH": str(tmp_path), "HOME": os.environ.get("HOME", "/"), **environ}
        return subprocess.run(command, env=environ, capture_output=True, text=True)

    return run


def test_where_a_node_can_run_the_gate_ends_with_the_operator_in_a_Pod(run: Run) -> None:
    ended = run("run", {})
    assert (ended.returncode, "== done" in ended.stdout) == (0, True)
    assert "make acceptance CLUSTER=node ONLY=2.pod, WITHOUT_NODE=\n" in ended.stdout


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"id": "echo 1000"}, "it needs root's rights"),
        ({"uname": "echo Darwin"}, "it needs Linux, and this is Darwin"),
        ({"unshare": "exit 1"}, "root may make no mounts and networks here"),
    ],
)
def test_where_no_node_can_run_all_else_is_run_and_the_gate_does_not_pass(
    run: Run, machine: Mapping[str, str], words: str
) -> None:
    ended = run("run", machine)
    assert (ended.returncode, words in ended.stderr) == (3, True)
    assert "make test-real, WITHOUT_NODE=1\n" in ended.stdout
    assert "CLUSTER=node" not in ended.stdout
    assert "== NOT RUN, for want of a node: the operator in a Pod" in ended.stdout.splitlines()[-1]


def test_who_leaves_the_node_out_passes_and_is_told_so(run: Run) -> None:
    ended = run("run", {}, WITHOUT_NODE="1")
    assert (ended.returncode, "node-parts" in ended.stdout) == (0, False)
    assert "== NOT RUN, for want of a node" in ended.stdout.splitlines()[-1]


def test_a_check_installs_nothing(run: Run) -> None:
    ended = run("node-parts", {}, "--check")
    assert (ended.returncode, ended.stdout) == (0, "")
