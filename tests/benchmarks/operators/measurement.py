"""One operator on a control plane of its own: three phases, and what each took."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import psutil

from scopedcache.testing import AuditRequest, ControlPlane, Process
from tests.acceptance.observations import MEMCACHEDS, WRITES, is_review
from tests.acceptance.waiting import eventually
from tests.acceptance.world import ACCOUNT, SYSTEM, memcached, set_up

from .contestants import Contestant
from .observer import Observer, observing

PHASES = ("create", "change", "delete")
AT_ONCE = 8
START_SECONDS = 30.0
LIMIT_SECONDS = 600.0
# What follows a phase belongs to it: the last statuses bring events, and a reconcile that has nothing to do.
REST_SECONDS = 3.0


@attrs.frozen
class Phase:
    """What one phase took.

    Attributes:
        seconds: from the first request of the admin until the last custom resource was done.
        requests: of the operator, by verb; "review" for questions about its rights.
        refused: its writes that the server answered with 4xx.
    """

    seconds: float
    cpu: float
    apiserver_cpu: float
    requests: Counter[str]
    status_writes: int
    refused: Counter[int]

    @property
    def reviews(self) -> int:
        return self.requests["review"]

    @property
    def work(self) -> int:
        """Return the requests that are no reviews."""
        return self.requests.total() - self.reviews


@attrs.frozen
class Measured:
    """All phases of one run, and the process's peak."""

    phases: dict[str, Phase]
    peak_mb: float
    idle_mb: float
    watches: int
    error_lines: int


def from_plain(found: dict[str, Any]) -> Measured:
    """Return what `attrs.asdict` made plain."""
    phases = {
        name: Phase(**{**phase, "requests": Counter(phase["requests"]), "refused": Counter(phase["refused"])})
        for name, phase in found["phases"].items()
    }
    return Measured(**{**found, "phases": phases})


def measure(contestant: Contestant, crs: int, namespaces: int, folder: Path) -> Measured:
    """Run one operator through all phases on a fresh control plane."""
    places = [f"tenant-{number:03}" for number in range(namespaces)]
    owners = [(places[number % namespaces], f"memcached-{number // namespaces}") for number in range(crs)]
    folder.mkdir(parents=True, exist_ok=True)
    with ControlPlane.start(folder=folder) as plane:
        set_up(plane)
        account = plane.service_account(SYSTEM, ACCOUNT)
        _many(plane.create_namespace, places)
        contestant.allow(plane, places)
        process = contestant.process(account, folder / "operator.log")
        process.launch()
        try:
            with observing(plane) as observer:
                run = _Run(plane, process, account.username, observer, owners)
                return run.measure()
        finally:
            process.stop(grace=5.0)


@attrs.define(eq=False)
class _Run:
    plane: ControlPlane
    process: Process
    username: str
    observer: Observer
    owners: list[tuple[str, str]]

    def measure(self) -> Measured:
        eventually("the operator watches Memcached", self._unwatched, within=START_SECONDS)
        time.sleep(REST_SECONDS)
        idle = self._peak_mb()
        count = len(self.owners)
        phases = {
            "create": self._phase(self._create, lambda: self.observer.wait_all(count, 1, LIMIT_SECONDS)),
            "change": self._phase(self._change, lambda: self.observer.wait_all(count, 2, LIMIT_SECONDS)),
        }
        watches = len(self.plane.audit.open_watches(user=self.username))
        phases["delete"] = self._phase(self._delete, lambda: self.observer.wait_none(LIMIT_SECONDS))
        return Measured(phases, self._peak_mb(), idle, watches, self._error_lines())

    def _phase(self, act: Callable[[tuple[str, str]], object], wait: Callable[[], float]) -> Phase:
        mark = self.plane.audit.mark()
        operator, apiserver = psutil.Process(self.process.pid), psutil.Process(self.plane.apiserver.pid)
        cpu, apiserver_cpu, began = _cpu(operator), _cpu(apiserver), time.monotonic()
        _many(act, self.owners)
        seconds = wait() - began
        apiserver_cpu = _cpu(apiserver) - apiserver_cpu
        time.sleep(REST_SECONDS)
        cpu = _cpu(operator) - cpu
        requests = self.plane.audit.requests(mark, user=self.username)
        return Phase(
            seconds,
            cpu,
            apiserver_cpu,
            Counter("review" if is_review(one) else one.verb for one in requests),
            sum(one.subresource == "status" and one.verb in WRITES for one in requests),
            Counter(one.code for one in requests if _is_refused(one)),
        )

    def _create(self, owner: tuple[str, str]) -> None:
        self.plane.create(memcached(*owner, 1), owner[0])

    def _change(self, owner: tuple[str, str]) -> None:
        self.plane.patch(MEMCACHEDS, owner[1], {"spec": {"size": 2}}, owner[0])

    def _delete(self, owner: tuple[str, str]) -> None:
        self.plane.delete(MEMCACHEDS, owner[1], owner[0])

    def _unwatched(self) -> str | None:
        if not self.process.running:
            raise RuntimeError(f"{self.process!r} ended:\n{self.process.tail()}")
        open_now = self.plane.audit.open_watches(user=self.username, resource=MEMCACHEDS)
        return None if open_now else "no watch on memcacheds is open"

    def _peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6
        return float(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) * 1024 / 1e6

    def _error_lines(self) -> int:
        """Return how many lines of its log are errors, in the forms of the three."""
        log = self.process.log.read_text(errors="replace")
        return len(re.findall(r'(?im)^.*(\[ERROR|"level": ?"error"|level=error| ERROR ).*$', log))


def _many(act: Callable[[Any], object], things: Iterable[Any]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(act, things))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _is_refused(request: AuditRequest) -> bool:
    return request.verb in WRITES and not is_review(request) and 400 <= request.code < 500
