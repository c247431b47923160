"""The operator under test, seen through its log lines, its health and its metrics, and as a process like any other."""

from __future__ import annotations

import json
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import attrs
import urllib3

from scopedcache.testing import Process

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?P<labels>\{.*\})?\s+(?P<value>[-+0-9.eE]+|NaN|[-+]?Inf)\s*(\d+)?$")


class Health(NamedTuple):
    """An answer of the health server; status 0 where nobody answered."""

    status: int
    body: dict[str, Any]


def http_pool() -> urllib3.PoolManager:
    """Return a pool for probes. A kept connection may be closed just when it is used: another one is tried."""
    return urllib3.PoolManager(retries=urllib3.Retry(2, redirect=False), timeout=2.0)


@attrs.define(eq=False)
class JSONLog:
    """The JSON lines that a program wrote so far; lines that are no JSON object are kept apart."""

    path: Path
    other: list[str] = attrs.field(factory=list, init=False)
    _events: list[dict[str, Any]] = attrs.field(factory=list, init=False)
    _offset: int = attrs.field(default=0, init=False)

    def mark(self) -> int:
        """Return a point in the log, for `since`."""
        return len(self._read())

    def events(self, *names: str, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """Return the lines of these events (all by default) that agree in every field given."""
        return [
            line
            for line in self._read()[since:]
            if (not names or line.get("event") in names) and all(line.get(k) == v for k, v in fields.items())
        ]

    def _read(self) -> list[dict[str, Any]]:
        if self.path.exists():
            with self.path.open("rb") as log:
                log.seek(self._offset)
                content = log.read()
            complete = content[: content.rfind(b"\n") + 1]
            self._offset += len(complete)
            for raw in complete.decode(errors="replace").splitlines():
                line = parse_line(raw)
                self._events.append(line) if line is not None else self.other.append(raw)
        return self._events


class Runs(Protocol):
    """A process, or what takes its place: `pid` is another one after each start."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def running(self) -> bool: ...
    def launch(self) -> None: ...
    def stop(self, grace: float) -> None: ...
    def kill(self) -> None: ...
    def tail(self) -> str: ...


@attrs.define(eq=False)
class Program:
    """A Python program of this tree that logs JSON lines."""

    process: Runs
    log: JSONLog

    @classmethod
    def prepare(cls, name: str, arguments: Sequence[str], log: Path) -> Program:
        """Describe `python -m` with these arguments, importing from this tree first; an older log goes."""
        log.unlink(missing_ok=True)
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        process = Process(name, [sys.executable, "-m", *arguments], log, environ={**os.environ, "PYTHONPATH": path})
        return cls(process, JSONLog(log))

    def unexpected_end(self) -> str | None:
        """Tell that it ended by itself."""
        return None if self.process.running else f"{self.process.name} ended; its log:\n{self.process.tail()}"


@attrs.define(eq=False)
class Operator(Program, ABC):
    """The Memcached operator."""

    @abstractmethod
    def health(self, path: str = "/readyz") -> Health:
        """Ask the health server."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Return the metrics by name, summed over their labels; empty when nobody answers."""

    @abstractmethod
    def memory(self) -> float | None:
        """Return the resident memory in MB, None where it has no process of its own."""

    @property
    def snapshot(self) -> dict[str, Any]:
        """Return what the cache holds, by namespace, owner and kind."""
        found: dict[str, Any] = self.health("/readyz?verbose").body.get("snapshot", {})
        return found

    @property
    def effective_bound(self) -> float:
        """Return the detection bound that the operator says holds now."""
        return float(self.health().body.get("effective_bound", "nan"))


@attrs.define(eq=False)
class OperatorProcess(Operator):
    """The operator as a process: seen through its two ports."""

    health_port: int
    metrics_port: int
    _http: urllib3.PoolManager = attrs.field(factory=http_pool)

    def health(self, path: str = "/readyz") -> Health:
        try:
            answer = self._http.request("GET", f"http://127.0.0.1:{self.health_port}{path}")
        except urllib3.exceptions.HTTPError:
            return Health(0, {})
        return Health(answer.status, parse_line(answer.data.decode(errors="replace")) or {})

    def metrics(self) -> dict[str, float]:
        try:
            answer = self._http.request("GET", f"http://127.0.0.1:{self.metrics_port}/metrics")
        except urllib3.exceptions.HTTPError:
            return {}
        return parse_metrics(answer.data.decode())

    def memory(self) -> float | None:
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return None
        return float(re.findall(r"VmRSS:\s+(\d+) kB", status.read_text())[0]) / 1000


def period(operator: Operator) -> float:
    """Return the probe period that stands behind the bound the operator reports: B = 1.1 P + hold-off + 1 s."""
    return (operator.effective_bound - 2.0) / 1.1


def parse_line(text: str) -> dict[str, Any] | None:
    """Return a JSON object, None for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def parse_metrics(text: str) -> dict[str, float]:
    """Return the samples of the Prometheus text format by name, summed over their labels."""
    found: dict[str, float] = {}
    for name, value in _samples(text):
        found[name] = found.get(name, 0.0) + value
    return found


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if (sample := SAMPLE.match(line)) is not None:
            yield sample["name"], float(sample["value"])
