"""The tutorial, as somebody follows it: every file and every command, with kubectl, and what they see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopedcache.testing.control_plane.binaries import find_kubectl
from tests.unit.docs.blocks import ROOT, Command, add, blocks, commands

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]  # kubectl is one of the binaries
DEADLINE = 30.0


class Terminal:
    """A shell in a folder, and programs in terminals of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [str(Path(sys.executable).parent), str(find_kubectl().parent), os.environ["PATH"]]
        self.environ = {
            **{name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
            "PATH": os.pathsep.join(paths),
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
        }
        self.started: list[subprocess.Popen[str]] = []

    def type(self, command: Command) -> None:
        done = subprocess.run(
            ["bash", "-c", command.line],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=DEADLINE,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"$ {command.line}\n{output}"
        assert command.shows(output), f"$ {command.line}\n{output}\nis not what the page shows:\n{command.printed}"

    def start(self, command: Command) -> None:
        """Begin what goes on, and wait until it has printed what the page shows."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command.line}"],
            cwd=self.folder, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.started.append(process)
        assert process.stdout is not None
        ended = threading.Timer(DEADLINE, process.kill)
        ended.start()
        seen = ""
        for line in process.stdout:
            seen += line
            if line.strip().startswith("export KUBECONFIG="):
                self.environ["KUBECONFIG"] = line.strip().removeprefix("export KUBECONFIG=")
            if command.shows(seen):
                break
        else:
            pytest.fail(f"$ {command.line}\n{seen}\nis not what the page shows:\n{command.printed}")
        ended.cancel()
        threading.Thread(target=process.stdout.read, daemon=True).start()

    def close(self) -> None:
        for process in reversed(self.started):
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_the_tutorial_can_be_followed(terminal: Terminal) -> None:
    for block in blocks("tutorial.md"):
        if block.file:
            add(block, terminal.folder)
        elif block.language == "console" and not block.note.startswith("not run"):
            for command in commands(block):
                (terminal.start if block.note == "goes on" else terminal.type)(command)

    assert [process.poll() for process in terminal.started] == [None, None]
