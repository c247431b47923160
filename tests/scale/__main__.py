"""Replicas as processes on a real control plane, with and without sharded watches: what each costs, and who wrote what.

`python -m tests.scale [--namespaces 400] [--each 5] [--replicas 1,2,4] [--seconds 20] [--without-gate] [--harm]`
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
from tests.unit.cluster import MEMCACHED, definition

GATE: Final = {"feature-gates": "ShardedListAndWatch=true"}
SYSTEM: Final = "operator"
# To share the work: the Leases' times, and a part for each namespace that is opened, on a machine that is busy.
SETTLE_SECONDS: Final = 90.0
SETTLE_SECONDS_PER_NAMESPACE: Final = 0.5
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
        """Wait until these replicas hold everything between them; return how long it took."""
        began = time.monotonic()
        total = len(self.namespaces) * self.each

        def shared() -> bool:
            found = [self.replicas[name] for name in names]
            held = [one.held for one in found]
            even = max(held) <= 1.5 * total / len(held)
            return sum(held) == total and even and all(one.works for one in found)

        limit = SETTLE_SECONDS + SETTLE_SECONDS_PER_NAMESPACE * len(self.namespaces)
        wait(shared, limit, f"{names} to share {total}: {[self.replicas[n].state for n in names]}")
        return time.monotonic() - began

    def touch(self) -> None:
        """Change one object of each namespace."""
        self.sizes += 1
        body = {"spec": {"size": self.sizes}}

        def one(namespace: str) -> None:
            self.control_plane.patch("memcacheds.cache.example.com", f"m{self.sizes % self.each}", body, namespace)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, self.namespaces))


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
            kinds = ["memcacheds.cache.example.com", "leases.coordination.k8s.io", "configmaps", "namespaces"]
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


def measure(scale: Scale, count: int, seconds: float) -> list[dict[str, Any]]:
    """Start so many replicas, change one object of each namespace, and return what each replica costs meanwhile."""
    names = [f"r{number}" for number in range(count)]
    for name in names:
        scale.start(name)
    say(f"{count} replicas share the work after {scale.wait_shared(*names):.1f} s")
    time.sleep(5)
    before = {name: scale.replicas[name].state for name in names}
    began = time.monotonic()
    scale.touch()
    while time.monotonic() - began < seconds:
        time.sleep(0.5)
    rows = []
    for name in names:
        now, then = scale.replicas[name].state, before[name]
        took = time.monotonic() - began
        rows.append(
            {
                "replicas": count,
                "name": name,
                "objects": scale.replicas[name].held,
                "namespaces": now["namespaces"],
                "watches": now["watches"],
                "bound": round(now["bound"], 1),
                "rss": round(now["rss"], 1),
                "cpu": round(100 * (now["cpu"] - then["cpu"]) / took, 1),
                "watch_kB": round((now["watch"] + now["list"]) / 1000),
                "event_kB": round((now["watch"] - then["watch"]) / 1000),
                "requests": round((now["requests"] - then["requests"]) / took, 1),
                "filters": now["sharding"]["server_filters"],
            }
        )
    scale.stop_all()
    return rows


def harm(scale: Scale) -> None:
    """Kill, freeze, add and end replicas while everything changes all the time."""
    for name in ("r0", "r1"):
        scale.start(name)
    scale.wait_shared("r0", "r1")
    with changing(scale):
        say("a third one comes")
        scale.start("r2")
        took = scale.wait_shared("r0", "r1", "r2")
        say(f"shared after {took:.1f} s; kill -9 of the first")
        scale.replicas["r0"].send(signal.SIGKILL)
        scale.replicas["r0"].process.wait()
        took = scale.wait_shared("r1", "r2")
        say(f"taken after {took:.1f} s; SIGSTOP of the second for 30 s")
        scale.replicas["r1"].send(signal.SIGSTOP)
        took = scale.wait_shared("r2")
        say(f"taken after {took:.1f} s")
        time.sleep(max(0.0, 30 - took))
        scale.replicas["r1"].send(signal.SIGCONT)
        took = scale.wait_shared("r1", "r2")
        say(f"shared again after {took:.1f} s; the API server restarts")
        scale.control_plane.apiserver.restart(120.0)
        time.sleep(10)
        scale.wait_shared("r1", "r2")
        say("SIGTERM of the third")
        scale.replicas["r2"].send(signal.SIGTERM)
        took = scale.wait_shared("r1")
        say(f"handed over after {took:.1f} s")
    time.sleep(3)


@contextlib.contextmanager
def changing(scale: Scale) -> Iterator[None]:
    """Change objects all the time."""
    import threading

    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            with contextlib.suppress(Exception):  # the server is down now and then
                scale.touch()
            ended.wait(0.5)

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
    for request in scale.control_plane.audit.requests(verb="patch", resource="memcacheds.cache.example.com"):
        if request.user in users and request.code == 200 and request.ended is not None:
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
    asked = parser.parse_args()
    names = [f"ns-{number:03}" for number in range(asked.namespaces)]
    users = ["r0", "r1", "r2", "r3"]
    os.environ.setdefault("PYTHONPATH", str(Path.cwd()))
    with running(names, asked.each, gate=not asked.without_gate, users=users) as scale:
        say(f"{len(names)} namespaces × {asked.each} objects")
        try:
            if asked.harm:
                harm(scale)
            else:
                for count in map(int, asked.replicas.split(",")):
                    for row in measure(scale, count, asked.seconds):
                        say(json.dumps(row))
        except BaseException:
            for log in sorted(scale.folder.glob("*.log")):
                sys.stderr.write(f"{log.name}\n{log.read_text()[-3000:]}\n")
            raise
        count, handed, bad = two_writers(scale, users)
        say(f"{count} writes, {handed} changes of the writer, {len(bad)} of two writers at once {bad[:5]}")
        if bad:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
