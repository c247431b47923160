"""The scripts for kind and for the image say in plain words what is missing, too old, or does not answer."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PIN_BASE = ROOT / "examples" / "memcached_operator" / "image" / "pin-base"
# What the scripts use of every machine.
COMMON = ("bash", "cat", "dirname", "env", "grep", "head", "mktemp", "rm", "sed", "sort")
GOOD = {
    "kind": 'case "$*" in version) echo "kind v0.31.0 go1.25.5 linux/amd64" ;; "get clusters") ;; esac',
    "kubectl": "echo 'Client Version: v1.36.2'",
    "docker": "echo 'Docker version 29.1.3, build f52814d'",
}
DIGEST = "sha256:" + "0123456789abcdef" * 4

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a script on a machine that has these programs, and nothing else to speak of."""

    def run(script: Path, programs: Mapping[str, str], *arguments: object, **environ: str) -> Ended:
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in COMMON:
            (tools / name).symlink_to(str(shutil.which(name)))
        for name, text in programs.items():
            (tools / name).write_text(f"#!{shutil.which('bash')}\n{text}\n")
            (tools / name).chmod(0o755)
        environ = {"PATH": str(tools), "HOME": os.environ.get("HOME", "/"), **environ}
        command = [str(tools / "bash"), str(script), *map(str, arguments)]
        return subprocess.run(command, env=environ, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("script", ["setup", "redeploy", "demo", "teardown"])
@pytest.mark.parametrize(
    ("programs", "words"),
    [
        ({"kind": None}, "kind is not here; install it: https://"),
        ({"kubectl": None}, "kubectl is not here; install it: https://"),
        ({"docker": None}, "neither docker nor podman is here; install one: https://"),
        ({"kind": "echo 'kind v0.11.1 go1.16.4 linux/amd64'"}, "kind 0.11.1 is too old; these scripts need kind 0.23"),
        ({"kubectl": "echo 'Client Version: v1.21.0'"}, "kubectl 1.21.0 is too old; these scripts need kubectl 1.28"),
        ({"docker": "[ $1 = info ] || echo 'Docker version 20.10.7'"}, "docker 20.10.7 is too old"),
        ({"docker": "[ $1 != info ]"}, "docker is here but its engine does not answer: start it"),
        ({"docker": None, "podman": "echo 'podman version 3.4.4'"}, "podman 3.4.4 is too old"),
    ],
)
def test_what_is_missing_or_too_old_is_said_in_one_line(
    run: Run, script: str, programs: dict[str, str | None], words: str
) -> None:
    there = {name: text for name, text in {**GOOD, **programs}.items() if text is not None}

    ended = run(ROOT / "kind" / f"{script}.sh", there)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"kind: {words}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("script", ["redeploy", "demo"])
def test_without_a_cluster_the_scripts_name_the_one_that_makes_it(run: Run, script: str) -> None:
    ended = run(ROOT / "kind" / f"{script}.sh", GOOD)

    assert (ended.returncode, ended.stderr) == (
        1,
        "kind: there is no cluster scoped-memcached; make one: kind/setup.sh\n",
    )


def test_podman_does_where_there_is_no_docker(run: Run) -> None:
    there = {**GOOD, "podman": "echo 'podman version 5.6.0'"}
    del there["docker"]

    ended = run(ROOT / "kind" / "teardown.sh", there)

    assert (ended.returncode, ended.stdout) == (0, "\nThere is no cluster scoped-memcached; nothing to do.\n")


def test_the_base_of_the_image_is_pinned_and_moved(run: Run, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("ARG BASE=python:3.13.9-slim-bookworm@sha256:old\nFROM ${BASE} AS build\n")

    ended = run(PIN_BASE, {"docker": f"echo {DIGEST}"}, dockerfile)

    assert (ended.returncode, ended.stdout) == (0, f"python:3.13.9-slim-bookworm is {DIGEST}\n")
    assert dockerfile.read_text() == f"ARG BASE=python:3.13.9-slim-bookworm@{DIGEST}\nFROM ${{BASE}} AS build\n"


@pytest.mark.parametrize(
    ("programs", "text", "words"),
    [
        ({}, "ARG BASE=python:3\n", "none of docker, skopeo and podman is here"),
        (
            {"docker": "echo nonsense"},
            "ARG BASE=python:3\n",
            "the registry's answer for python:3 is no digest: nonsense",
        ),
        ({"docker": f"echo {DIGEST}"}, "FROM python:3\n", "has no line ARG BASE=…"),
    ],
)
def test_a_base_that_cannot_be_pinned_stays_as_it_is(
    run: Run, tmp_path: Path, programs: dict[str, str], text: str, words: str
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(text)

    ended = run(PIN_BASE, programs, dockerfile)

    assert (ended.returncode, dockerfile.read_text()) == (1, text)
    assert words in ended.stderr
