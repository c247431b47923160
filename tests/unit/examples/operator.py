"""The Memcached operator as a process: started with arguments, watched through its log and its health page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import urllib3

from scopedcache.testing.control_plane.processes import free_ports

ROOT = Path(__file__).resolve().parents[3]
# Far more than anything here takes; a test that waits so long has failed.
PATIENCE = 20.0


@attrs.define(eq=False)
class Operator:
    """One run of `python -m examples.memcached_operator --log-format json`."""

    process: subprocess.Popen[bytes]
    log: Path
    health_port: int

    @classmethod
    def start(cls, log: Path, *arguments: str) -> Operator:
        health, metrics = free_ports(2)
        addresses = [
            "--health-probe-bind-address",
            f"127.0.0.1:{health}",
            "--metrics-bind-address",
            f"127.0.0.1:{metrics}",
        ]
        format = [] if "--log-format" in arguments else ["--log-format", "json"]
        command = [sys.executable, "-m", "examples.memcached_operator", *addresses, *format, *arguments]
        environ = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=out, env={**environ, "PYTHONPATH": str(ROOT)}
            )
        return cls(process, log, health)

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the lines with these events; a line that is cut off for now is not one yet."""
        complete = self.log.read_text().rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, complete) if line["event"] in names]

    def await_event(self, name: str, *, count: int = 1) -> dict[str, Any]:
        """Wait until an event was logged so often; return the last."""
        self.until(lambda: len(self.events(name)) >= count, f"{count} × {name}")
        return self.events(name)[-1]

    def await_readiness(self, status: int) -> dict[str, Any]:
        """Wait until /readyz answers with a status; return its body."""
        self.until(lambda: self.readiness()[0] == status, f"/readyz {status}")
        return self.readiness()[1]

    def readiness(self) -> tuple[int, dict[str, Any]]:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{self.health_port}/readyz", retries=False, timeout=2)
        except urllib3.exceptions.HTTPError:
            return 0, {}
        return answer.status, answer.json()

    def until(self, met: Callable[[], Any], what: str) -> None:
        """Wait for something the process is to do; it may not end meanwhile."""
        end = time.monotonic() + PATIENCE
        while not met():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"never: {what}\n{self.log.read_text()}"
            time.sleep(0.02)

    @property
    def listens_for_signals(self) -> bool:
        """Tell whether it has a handler for SIGTERM by now; until then the system's default ends it."""
        state = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line.split()[1] for line in state.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def end(self) -> int:
        """Wait for it to end by itself; return its exit status."""
        return self.process.wait(PATIENCE)

    def terminate(self) -> int:
        """Send SIGTERM; return the exit status."""
        self.process.terminate()
        return self.end()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
