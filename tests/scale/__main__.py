"""Replicas as processes on a real control plane, with and without sharded watches: what each costs, and who wrote what.

`python -m tests.scale [--namespaces 400] [--each 5] [--replicas 1,2,4] [--seconds 20]
[--without-gate] [--harm] [--page]`
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import attrs

from scopedcache.testing import ControlPlane
from scopedcache.testing.audit_request import AuditRequest
from tests.scale import page
from tests.scale.page import Cost, Step
from tests.unit.cluster import MEMCACHED, definition

GATE: Final = {"feature-gates": "ShardedListAndWatch=true"}
SYSTEM: Final = "operator"
# To share the work: the Leases' times, and a part for each namespace that is opened, on a machine that is busy.
SETTLE_SECONDS: Final = 90.0
SETTLE_SECONDS_PER_NAMESPACE: Final = 0.5
# After all is open, and again after the last change: what belongs to them is over.
CALM_SECONDS: Final = 5.0
# While replicas are harmed, objects change all the time, with this pause between two rounds of all namespaces.
ROUND_SECONDS: Final = 0.5
LEASES: Final = "leases.coordination.k8s.io"
VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete")


@attrs.define(eq=False)
class Replica:
    """One process."""

    name: str
    process: subprocess.Popen[bytes]
    report: Path
    writes: Path

    @property
    def state(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(self.report.read_text())
            return found
        return {}

    @property
    def held(self) -> int:
        return int(self.state.get("sharding", {}).get("objects") or 0)

    @property
    def works(self) -> bool:
        parts = self.state.get("sharding", {}).get("parts", [])
        return bool(parts) and all(part["state"] in ("held", "foreign") for part in parts)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@attrs.define(eq=False)
class Scale:
    """A control plane, its objects, and the replicas of one operator."""

    control_plane: ControlPlane
    folder: Path
    namespaces: list[str]
    each: int
    replicas: dict[str, Replica] = attrs.field(factory=dict)
    sizes: int = 0

    def fill(self) -> None:
        self.control_plane.create(definition(MEMCACHED))
        self.control_plane.create_namespace(SYSTEM)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._fill_one, self.namespaces))

    def _fill_one(self, namespace: str) -> None:
        self.control_plane.create_namespace(namespace)
        for number in range(self.each):
            self.control_plane.create(
                {
                    "apiVersion": "cache.example.com/v1",
                    "kind": "Memcached",
                    "metadata": {"name": f"m{number}", "namespace": namespace},
                    "spec": {"size": 0, "filling": "x" * 1000},
                }
            )

    def start(self, name: str) -> Replica:
        user = self.control_plane.user(name)
        report, writes = self.folder / f"{name}.json", self.folder / f"{name}.writes"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.scale.replica", name, user.kubeconfig, report, writes]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        self.replicas[name] = Replica(name, process, report, writes)
        return self.replicas[name]

    def stop_all(self) -> None:
        for replica in self.replicas.values():
            with contextlib.suppress(ProcessLookupError):
                replica.send(signal.SIGCONT)
                replica.send(signal.SIGTERM)
        for replica in self.replicas.values():
            try:
                replica.process.wait(40)
            except subprocess.TimeoutExpired:
                replica.process.kill()
                replica.process.wait()
        self.replicas.clear()

    def wait_shared(self, *names: str) -> float:
        """Wait until these replicas hold everything between them, none half as much again or half as little as others.

        Return how long it took.
        """
        began = time.monotonic()
        total = len(self.namespaces) * self.each

        def shared() -> bool:
            found = [self.replicas[name] for name in names]
            held = [one.held for one in found]
            mean = total / len(held)
            even = max(held) <= 1.5 * mean and min(held) >= 0.5 * mean
            return sum(held) == total and even and all(one.works for one in found)

        limit = SETTLE_SECONDS + SETTLE_SECONDS_PER_NAMESPACE * len(self.namespaces)
        wait(shared, limit, f"{names} to share {total}: {[self.replicas[n].state for n in names]}")
        return time.monotonic() - began

    def wait_open(self, *names: str) -> float:
        """Wait until these replicas watch all they hold; return how long it took."""
        began = time.monotonic()

        def opened() -> bool:
            states = [self.replicas[name].state for name in names]
            everywhere = sum(state["namespaces"] for state in states) == len(self.namespaces)
            return everywhere and all(state["watches"] > state["namespaces"] for state in states)

        limit = SETTLE_SECONDS + SETTLE_SECONDS_PER_NAMESPACE * len(self.namespaces)
        wait(opened, limit, f"{names} to open all: {[self.replicas[n].state for n in names]}")
        return time.monotonic() - began

    def touch(self, seconds: float = 0.0) -> None:
        """Change one object of each namespace, one namespace after the other within so many seconds."""
        self.sizes += 1
        body = {"spec": {"size": self.sizes}}
        began, pause = time.monotonic(), seconds / len(self.namespaces)

        def one(numbered: tuple[int, str]) -> None:
            number, namespace = numbered
            time.sleep(max(0.0, began + number * pause - time.monotonic()))
            self.control_plane.patch("memcacheds.cache.example.com", f"m{self.sizes % self.each}", body, namespace)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, enumerate(self.namespaces)))


@contextlib.contextmanager
def running(names: list[str], each: int, *, gate: bool, users: list[str]) -> Iterator[Scale]:
    flags = GATE if gate else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane.start(kubelet=False, controllers=(), users=users, apiserver_flags=flags) as control_plane,
    ):
        scale = Scale(control_plane, Path(folder), names, each)
        scale.fill()
        for user in users:
            identity = control_plane.user(user)
            kinds = ["memcacheds.cache.example.com", LEASES, "configmaps", "namespaces"]
            control_plane.grant(identity, VERBS, kinds)
        try:
            yield scale
        finally:
            scale.stop_all()


def wait(done: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds:g} s for {what}")
        time.sleep(0.2)


def measure(scale: Scale, count: int, seconds: float) -> list[Cost]:
    """Start so many replicas; return what each costs at rest, and while one object of each namespace changes."""
    names = [f"r{number}" for number in range(count)]
    for name in names:
        scale.start(name)
    say(f"{count} replicas share the work after {scale.wait_shared(*names):.1f} s")
    say(f"and have opened all after {scale.wait_open(*names):.1f} s more")
    # A round of reviews, until what belongs to opening is over.
    time.sleep(CALM_SECONDS + max(scale.replicas[name].state["bound"] for name in names))
    audit = scale.control_plane.audit
    mark, rest = audit.mark(), Window(scale, names)
    time.sleep(seconds)
    rest.end()
    asked = {name: audit.requests(mark, user=name) for name in names}
    busy = Window(scale, names)
    scale.touch(seconds)
    busy.end()
    costs = []
    for name in names:
        leases = [one for one in asked[name] if one.resource == LEASES]
        state = busy.after[name]
        costs.append(
            Cost(
                replicas=count,
                name=name,
                namespaces=state["namespaces"],
                objects=scale.replicas[name].held,
                watches=state["watches"],
                bound=state["bound"],
                bare_mib=state["bare_rss"],
                resident_mib=state["rss"],
                rest_cpu=100 * rest.each_second(name, "cpu"),
                reviews=sum("review" in one.resource for one in asked[name]) / rest.seconds,
                renewals=sum(one.verb != "list" and one.verb != "get" for one in leases) / rest.seconds,
                lease_requests=len(leases) / rest.seconds,
                changes=state["namespaces"] / busy.seconds,
                cpu=100 * busy.each_second(name, "cpu"),
                received_kb=busy.each_second(name, "watch") / 1000,
                requests=busy.each_second(name, "requests"),
                server_filters=bool(state["sharding"]["server_filters"]),
            )
        )
    scale.stop_all()
    return costs


@attrs.define(eq=False)
class Window:
    """What replicas report of a while; their reports are a second old at most, which a while of 20 s can bear."""

    scale: Scale
    names: list[str]
    before: dict[str, Any] = attrs.field(factory=dict)
    after: dict[str, Any] = attrs.field(factory=dict)
    began: float = attrs.field(factory=time.monotonic)
    seconds: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.before = {name: self.scale.replicas[name].state for name in self.names}

    def end(self) -> None:
        self.seconds = time.monotonic() - self.began
        self.after = {name: self.scale.replicas[name].state for name in self.names}

    def each_second(self, name: str, what: str) -> float:
        """Return how much of it there was in a second, by the replica's own clock."""
        before, after = self.before[name], self.after[name]
        return float((after[what] - before[what]) / (after["at"] - before["at"]))


def harm(scale: Scale) -> list[Step]:
    """Kill, freeze, add and end replicas while everything changes all the time; return what happened."""
    for name in ("r0", "r1"):
        scale.start(name)
    scale.wait_shared("r0", "r1")
    scale.wait_open("r0", "r1")
    steps: list[Step] = []

    def seen(what: str, *left: str, began: float | None = None) -> float:
        """Wait until those that are left have it all; return the seconds."""
        began = time.time() if began is None else began
        scale.wait_shared(*left)
        steps.append(Step(what, began, time.time() - began))
        say(f"{what}: {steps[-1].seconds:.1f} s")
        time.sleep(CALM_SECONDS)
        return steps[-1].seconds

    with changing(scale):
        time.sleep(CALM_SECONDS)
        scale.start("r2")
        seen("a third replica comes", "r0", "r1", "r2")
        scale.replicas["r0"].send(signal.SIGKILL)
        scale.replicas["r0"].process.wait()
        seen("`kill -9` of the first", "r1", "r2")
        scale.start("r0")
        seen("it is started again, under its name", "r0", "r1", "r2")
        scale.replicas["r1"].send(signal.SIGSTOP)
        took = seen("SIGSTOP of the second, for 40 s", "r0", "r2")
        time.sleep(max(0.0, 40 - took - CALM_SECONDS))
        scale.replicas["r1"].send(signal.SIGCONT)
        seen("it goes on", "r0", "r1", "r2")
        restarted = time.time()
        scale.control_plane.apiserver.restart(120.0)
        time.sleep(10)  # until what replicas report is of the time after it
        seen("the API server restarts, its own start included", "r0", "r1", "r2", began=restarted)
        scale.start("r3")
        seen("a fourth replica comes", "r0", "r1", "r2", "r3")
        scale.replicas["r2"].send(signal.SIGTERM)
        seen("SIGTERM of the third", "r0", "r1", "r3")
    return steps


def unseen(scale: Scale) -> list[str]:
    """Return the objects whose last change no replica has written of, after some time for it."""
    missing: list[str] = []

    def all_seen() -> bool:
        found = scale.control_plane.list("memcacheds.cache.example.com")
        missing[:] = [
            f"{one['metadata']['namespace']}/{one['metadata']['name']}"
            for one in found
            if not one["metadata"].get("annotations", {}).get("seen", "").startswith(f"{one['spec']['size']} by ")
        ]
        return not missing

    end = time.monotonic() + SETTLE_SECONDS
    while not all_seen() and time.monotonic() < end:
        time.sleep(1)
    return missing


def with_pauses(scale: Scale, steps: list[Step], users: list[str]) -> list[Step]:
    """Return the steps with the longest time in which nobody wrote in a namespace, of those that ended in each step."""
    written: dict[str, list[float]] = {}
    for request in own_writes(scale, users):
        written.setdefault(request.namespace or "", []).append(request.received.timestamp())
    pauses = [(later - one, later) for times in written.values() for one, later in itertools.pairwise(sorted(times))]
    ends = [*(step.began for step in steps[1:]), float("inf")][: len(steps)]
    return [
        attrs.evolve(step, pause=max((long for long, at in pauses if step.began <= at < end), default=0.0))
        for step, end in zip(steps, ends, strict=True)
    ]


@contextlib.contextmanager
def changing(scale: Scale) -> Iterator[None]:
    """Change objects all the time."""
    import threading

    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            with contextlib.suppress(Exception):  # the server is down now and then
                scale.touch()
            ended.wait(ROUND_SECONDS)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def two_writers(scale: Scale, users: list[str]) -> tuple[int, int, list[Any]]:
    """Return how many writes there were, hand-overs seen in them, and those of one replica in another's run.

    The audit log has who wrote when; the replicas' own notes have when the run began that wrote.
    """
    runs: dict[str, list[dict[str, Any]]] = {}
    for path in scale.folder.glob("*.writes"):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):  # half a line of a killed one
                write = json.loads(line)
                runs.setdefault(write["key"], []).append(write)
    audited: dict[str, list[tuple[float, float, str]]] = {}
    for request in own_writes(scale, users):
        if request.ended is not None:
            key = f"{request.namespace}/{request.name}"
            audited.setdefault(key, []).append((request.received.timestamp(), request.ended.timestamp(), request.user))
    bad: list[Any] = []
    handed = count = 0
    for key, writes in audited.items():
        writes.sort()
        count += len(writes)
        for (_, ended, user), (received, _, other) in itertools.pairwise(writes):
            handed += user != other
            if user != other and received < ended:
                bad.append((key, "overlap", user, other, received))
        for run in runs.get(key, []):
            bad += [
                (key, "inside", run["replica"], user, received)
                for received, ended, user in writes
                if user != run["replica"] and run["begun"] < ended <= run["done"]
            ]
    return count, handed, bad


def own_writes(scale: Scale, users: list[str]) -> list[AuditRequest]:
    """Return what replicas wrote, by the audit log: what the server took."""
    patches = scale.control_plane.audit.requests(verb="patch", resource="memcacheds.cache.example.com", code=200)
    return [request for request in patches if request.user in users]


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.scale")
    parser.add_argument("--namespaces", type=int, default=400)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--replicas", default="1,2,4")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--without-gate", action="store_true")
    parser.add_argument("--harm", action="store_true")
    parser.add_argument("--page", action="store_true", help="write tables and plots into docs/scale.md")
    asked = parser.parse_args()
    names = [f"ns-{number:03}" for number in range(asked.namespaces)]
    users = ["r0", "r1", "r2", "r3"]
    os.environ.setdefault("PYTHONPATH", str(Path.cwd()))
    began = os.getloadavg()[0]
    with running(names, asked.each, gate=not asked.without_gate, users=users) as scale:
        say(f"{len(names)} namespaces × {asked.each} objects")
        costs: list[Cost] = []
        steps: list[Step] = []
        try:
            if asked.harm:
                steps = harm(scale)
            else:
                for count in map(int, asked.replicas.split(",")):
                    costs += measure(scale, count, asked.seconds)
                    say(page.cost_tables([cost for cost in costs if cost.replicas == count]))
        except BaseException:
            for log in sorted(scale.folder.glob("*.log")):
                sys.stderr.write(f"{log.name}\n{log.read_text()[-3000:]}\n")
            raise
        lost = unseen(scale) if asked.harm else []
        steps = with_pauses(scale, steps, users)
        count, handed, bad = two_writers(scale, users)
    verdict = f"{count:,} writes, {handed:,} changes of the writer, {len(bad)} of two writers at once"
    if asked.harm:
        verdict += f"; {len(lost)} objects whose last change nobody has worked on"
    say(f"{verdict} {bad[:5]} {lost[:5]}")
    if asked.harm:
        say(page.table([step.row() for step in steps]))
    if asked.page:
        write_page(asked, costs, steps, verdict, began)
    if bad or lost:
        raise SystemExit(1)


def write_page(asked: argparse.Namespace, costs: list[Cost], steps: list[Step], verdict: str, began: float) -> None:
    suffix = "-unfiltered" if asked.without_gate else ""
    what = f"{asked.namespaces:,} namespaces × {asked.each} objects of 1 kB. By audit log and objects: {verdict}."
    said = f"{what}\n{page.machine(began)}"
    if asked.harm:
        rows = page.table([step.row() for step in steps])
        page.write({f"harm{suffix}": f"{rows}\n\n{said}"})
    else:
        rows = page.cost_tables(costs)
        title = f"The dearest of so many replicas, in % of one alone{', without the filter' if suffix else ''}"
        page.write({f"replicas{suffix}": f"{rows}\n\n{said}"}, {f"replicas{suffix}": page.cost_plot(costs, title)})


if __name__ == "__main__":
    main()
