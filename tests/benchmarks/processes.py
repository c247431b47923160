"""Starts what is measured: a fresh load server for each driver, each in a process of its own, ended when done."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

_ROOT = Path(__file__).resolve().parent.parent.parent
_DRIVER_TIMEOUT = 300.0


class DriverError(Exception):
    """A driver failed, or its cache was not what the server had."""


@attrs.frozen
class Address:
    """Where a load server is."""

    url: str
    ca: str


@contextmanager
def load_server(pods: int, *arguments: str) -> Iterator[Address]:
    """Run a load server for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="scopedcache-bench-") as directory:
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.server",
            "--directory",
            directory,
            "--pods",
            str(pods),
            *arguments,
        ]
        process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise DriverError("the load server did not start")
            yield Address(**json.loads(line))
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def run_driver(name: str, pods: int, *arguments: str) -> dict[str, float]:
    """Run one driver against a fresh server and return its figures.

    Raises:
        DriverError: it failed; the message ends with the last lines it wrote.
    """
    with load_server(pods) as server:
        return run_module(f"tests.benchmarks.drivers.{name}", "--url", server.url, "--ca", server.ca, *arguments)


def run_peer(program: Path, pods: int, *arguments: str) -> dict[str, float]:
    """Run a program of another language against a fresh server and return its figures. Raise DriverError as above."""
    with load_server(pods) as server:
        return _run([str(program), "--url", server.url, "--ca", server.ca, *arguments], program.name)


def run_module(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module that prints one line of JSON, and return that."""
    return _run([sys.executable, "-m", module, *arguments], module)


def _run(command: list[str], module: str) -> dict[str, Any]:
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_DRIVER_TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise DriverError(f"{module} was not done after {_DRIVER_TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        raise DriverError(f"{module} failed:\n" + "\n".join(done.stderr.strip().splitlines()[-5:]))
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures
