"""The scripts in `kind/`, run line by line against stand-ins that hand them a real cluster with a real node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scopedcache.testing import ControlPlane
from scopedcache.testing.control_plane.binaries import find_kubectl

ROOT = Path(__file__).resolve().parent.parent.parent
SYSTEM = "scoped-memcached-operator-system"
pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(node_plane: ControlPlane, tmp_path: Path, trace: Path) -> Script:
    """Return a function that runs a script where kind, docker and kubectl are the stand-ins."""
    assert node_plane.node is not None
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("kind", "docker", "kubectl"):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.deployment.stand_in {name} "$@"\n')
        (tools / name).chmod(0o755)
    about = {
        "admin": str(node_plane.admin.kubeconfig),
        "kubectl": str(find_kubectl()),
        "ctr": str(node_plane.node.layout.parts["ctr"]),
        "socket": str(node_plane.node.layout.socket),
        "node": node_plane.node.name,
        "pod-logs": str(node_plane.node.layout.pod_logs),
    }
    environ = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "STAND_IN": json.dumps(about),
        "CONTAINER_ENGINE": "docker",
    }

    def run(name: str) -> subprocess.CompletedProcess[str]:
        with trace.open("a") as lines:
            traced = {**environ, "BASH_XTRACEFD": str(lines.fileno()), "PS4": "+@${BASH_SOURCE##*/}:${LINENO}@ "}
            command = ["bash", "-x", f"kind/{name}.sh"]
            ended = subprocess.run(
                command, cwd=ROOT, env=traced, capture_output=True, text=True, pass_fds=[lines.fileno()]
            )
        (tmp_path / f"{name}.out").write_text(ended.stdout)
        assert ended.returncode == 0, f"{name}.sh:\n{ended.stdout}\n{ended.stderr}"
        return ended

    return run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Return the file that bash writes each command to before it runs it, with its script and line."""
    return tmp_path / "trace"


def commands(script: Path) -> Iterator[int]:
    """Yield the lines on which commands begin, but for what is done when something went wrong: `|| { … }`."""
    wrong = continued = False
    for number, line in enumerate(script.read_text().splitlines(), start=1):
        text = line.strip()
        silent = not text or text.startswith("#") or text.endswith("() {") or text in ("else", "fi", "done", "}")
        if not (silent or wrong or continued):
            yield number
        wrong = (wrong or text.endswith("|| {")) and text != "}"
        continued = text.endswith("\\")


def test_from_no_cluster_to_none_by_the_scripts_of_kind(node_plane: ControlPlane, script: Script, trace: Path) -> None:
    script("setup")
    told = script("demo").stdout
    before = names(node_plane)
    redeployed = script("redeploy").stdout
    after = names(node_plane)
    script("demo")
    again = script("setup").stdout
    script("teardown")
    gone = script("teardown").stdout

    assert [f"\n{number}. " in told for number in range(1, 11)] == [True] * 10
    assert "may not" in told
    assert "restarts of the operator since it was deployed: 0" in told
    assert (before != after, f"The operator runs: {after[0]}" in redeployed) == (True, True)
    assert "Deleting the cluster scoped-memcached of an earlier run." in again
    assert "There is no cluster scoped-memcached; nothing to do." in gone
    ran = re.findall(r"^\++@(\w+\.sh:\d+)@ ", trace.read_text(), re.MULTILINE)
    scripts = [ROOT / "kind" / f"{name}.sh" for name in ("setup", "demo", "redeploy", "teardown")]
    there = [f"{path.name}:{line}" for path in scripts for line in commands(path)]
    assert sorted(set(there) - set(ran)) == []


def names(plane: ControlPlane) -> list[str]:
    return [pod["metadata"]["name"] for pod in plane.list("pods", SYSTEM)]
