"""The scripts in `kind/`, run line by line against stand-ins that hand them a real cluster with a real node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest

from scopedcache.testing import ControlPlane
from scopedcache.testing.control_plane.binaries import find_kubectl
from scopedcache.testing.control_plane.node import MissingPartsError
from tests.deployment.script_lines import PRELUDE, never_run

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = sorted((ROOT / "kind").glob("*.sh"))
SYSTEM = "scoped-memcached-operator-system"
STAND_INS = ("kind", "docker", "podman", "kubectl")
pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

Ended = subprocess.CompletedProcess[str]


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    try:
        with ControlPlane.start(node=True) as running:
            yield running
    except MissingPartsError as error:
        if os.environ.get("PROGRAMS") == "required":
            pytest.fail(str(error))
        pytest.skip(str(error))


@attrs.frozen
class Shell:
    """Runs the scripts where kind, the engines and kubectl are the stand-ins, and keeps what bash traces.

    With SCOPEDCACHE_KIND_OUTPUT=FOLDER what they print is kept there.
    """

    tools: Path
    trace: Path
    environ: Mapping[str, str]

    def run(self, name: str, **environ: str) -> Ended:
        """Run a script to its end."""
        command = ["bash", f"kind/{name}.sh"]
        ended = subprocess.run(command, cwd=ROOT, env={**self.environ, **environ}, capture_output=True, text=True)
        if folder := os.environ.get("SCOPEDCACHE_KIND_OUTPUT"):
            count = len(list(Path(folder).glob("*.txt"))) + 1
            (Path(folder) / f"{count:02}-{name}.txt").write_text(ended.stdout + ended.stderr)
        return ended

    def succeed(self, name: str, **environ: str) -> str:
        """Run a script that must succeed; return what it printed."""
        ended = self.run(name, **environ)
        assert ended.returncode == 0, f"{name}.sh:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def fail(self, name: str, **environ: str) -> str:
        """Run a script that must fail; return the last line of its errors."""
        ended = self.run(name, **environ)
        assert ended.returncode == 1, f"{name}.sh:\n{ended.stdout}\n{ended.stderr}"
        return ended.stderr.splitlines()[-1]

    def program(self, name: str, text: str) -> str:
        """Write one more program; return its path."""
        (self.tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.tools / name).chmod(0o755)
        return str(self.tools / name)


@pytest.fixture
def shell(plane: ControlPlane, tmp_path: Path) -> Shell:
    """Return what runs the scripts."""
    assert plane.node is not None
    tools, trace, prelude = tmp_path / "bin", tmp_path / "trace", tmp_path / "prelude"
    tools.mkdir()
    prelude.write_text(PRELUDE.format(trace=trace))
    about = {
        "admin": str(plane.admin.kubeconfig),
        "kubectl": str(find_kubectl()),
        "ctr": str(plane.node.layout.parts["ctr"]),
        "socket": str(plane.node.layout.socket),
        "node": plane.node.name,
        "pod-logs": str(plane.node.layout.pod_logs),
    }
    environ = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "STAND_IN": json.dumps(about),
        "BASH_ENV": str(prelude),
    }
    made = Shell(tools, trace, environ)
    for name in STAND_INS:
        made.program(name, f'exec {sys.executable} -m tests.deployment.stand_in {name} "$@"')
    return made


def test_from_no_cluster_to_none_by_the_scripts_of_kind(plane: ControlPlane, shell: Shell) -> None:
    missing = [
        shell.fail("demo"),
        shell.fail("setup", CONTAINER_ENGINE="nerdctl"),
        shell.fail("setup", CONTAINER_ENGINE=shell.program("asleep", "exit 1")),
        shell.fail("setup", CONTAINER_ENGINE=shell.program("aged", "echo Docker version 20.10.7")),
        shell.fail("setup", PATH=without("docker", "podman", shell=shell)),
    ]
    shell.succeed("setup")
    told = shell.succeed("demo")
    before = names(plane)
    redeployed = shell.succeed("redeploy")
    after = names(plane)
    shell.succeed("demo")
    wrong = [
        shell.fail("redeploy", FAILS="rollout status"),
        shell.fail("demo", FAILS="rollout status"),
        shell.fail("demo", FAILS="delete memcacheds"),
        shell.fail("demo", FAILS="wait memcached/memcached-sample-allowed-two"),
    ]
    again = shell.succeed("setup", CONTAINER_ENGINE="podman")
    shell.succeed("teardown")
    gone = shell.succeed("teardown")

    assert missing == [
        "kind: there is no cluster scoped-memcached; make one: kind/setup.sh",
        "kind: CONTAINER_ENGINE names nerdctl, which is not here",
        f"kind: {shell.tools}/asleep is here but its engine does not answer: start it (`systemctl start"
        f" {shell.tools}/asleep`, or its desktop), and see that you may use it (`{shell.tools}/asleep info`)",
        "kind: docker 20.10.7 is too old; these scripts need docker 23.0 or newer",
        "kind: neither docker nor podman is here; install one: https://docs.docker.com/get-docker or https://podman.io",
    ]
    assert [f"\n{number}. " in told for number in range(1, 11)] == [True] * 10
    assert "may not" in told
    assert "restarts of the operator since it was deployed: 0" in told
    assert (before != after, f"The operator runs: {after[0]}" in redeployed) == (True, True)
    assert [line.partition(";")[0] for line in wrong] == [
        "kind: the operator did not become ready in two minutes",
        "kind: the operator does not run in scoped-memcached",
        "kind: custom resources of an earlier run do not go away",
        "kind: memcached runs in allowed-two: not within 180 s",
    ]
    assert "Deleting the cluster scoped-memcached of an earlier run." in again
    assert "$ podman build" in again
    assert "There is no cluster scoped-memcached; nothing to do." in gone
    assert never_run(SCRIPTS, shell.trace.read_text()) == []


def names(plane: ControlPlane) -> list[str]:
    return [pod["metadata"]["name"] for pod in plane.list("pods", SYSTEM)]


def without(*left_out: str, shell: Shell) -> str:
    """Return a PATH with what the scripts need, and without these programs."""
    folder = shell.tools.parent / "without"
    folder.mkdir()
    for where in ("/usr/bin", "/bin", str(shell.tools)):
        for path in Path(where).iterdir():
            if path.name not in left_out and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    return str(folder)
