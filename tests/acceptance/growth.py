"""Row B.growth: what opening and closing scopes leaves behind, cycle 20 to 100, in a test operator of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .observations import PODS, slope
from .program import Program
from .revocation import running
from .rows import Fact, Outcome, Row
from .starting import started
from .waiting import NotRun, differs, eventually, require
from .world import World

NAMESPACES = ("cycled-one", "cycled-two")
CYCLES, SETTLED = 101, 20
LIMIT = 120.0
WINDOW = 20
EMPTY = ("routes", "handlers", "informers", "watches")
# A review in flight is a task, a kept-alive connection a socket: they come and go, but the least of them stays. One or
# two idle connections more, when requests happened to meet, are the pool's business; a leak would be 80 or 8.
FLOOR = {"tasks": 0, "connections": 2}
# Bytes per cycle: 100 for each of the twenty scopes that a cycle opens. Tables of the interpreter that grow once, by 10
# or 50 KB, look like several hundred; a scope that stays is over 4 KB, that is 80 KB a cycle.
NOISE = 2000.0


@contextmanager
def plain_world(logs: Path | None) -> Iterator[World]:
    """Run a world without an operator, with some Pods in each namespace."""
    with started(logs, "growth") as world:
        for namespace in NAMESPACES:
            world.namespace(namespace)
            for number in range(5):
                world.plane.create(pod(f"pod-{number}"), namespace)
        yield world


def nothing_grows(world: World) -> Outcome:
    """Row B.growth."""
    if world.inside is not None:
        raise NotRun("it measures the memory and the sockets of a process: real only")
    account = world.plane.service_account(NAMESPACES[0], "cycler")
    for namespace in NAMESPACES:
        world.plane.bind(account, "scoped-operator-needs", namespace=namespace)
    options = [f"--kubeconfig={account.kubeconfig}", f"--cycles={CYCLES}", *(f"--namespace={n}" for n in NAMESPACES)]
    program = Program.prepare("cycles", ["tests.acceptance.cycles", *options], world.logs / "cycles.log")
    with running(program):

        def unfinished() -> str | None:
            lines = program.log.events("cycle")
            if program.log.events("done"):
                return None
            require(program.unexpected_end(), "the test program runs")
            return f"{len(lines)} cycles done"

        took = eventually("all cycles are done", unfinished, within=LIMIT, interval=0.2)
        lines = program.log.events("cycle")
        [done] = program.log.events("done")
    require(differs("Pods read per cycle", {line["read"] for line in lines}, {lines[0]["read"]}), "each cycle reads")
    require("nothing was read" if not lines[0]["read"] else None, "each cycle reads")
    late = lines[SETTLED:]
    for name in EMPTY:
        require(differs(name, {line[name] for line in lines}, {0}), "after each cycle")
    for name, tolerated in FLOOR.items():
        before, after = (min(line[name] for line in part) for part in (late[:WINDOW], late[-WINDOW:]))
        require(
            f"{name} rose from {before} to {after}" if after > before + tolerated else None,
            "what is left after a cycle",
        )
    growth = slope(comparable(late))
    require(f"{growth:.0f} bytes a cycle" if growth > NOISE else None, "growth of memory")
    left = world.plane.audit.open_watches(user=account.username)
    require(differs("open watches", len(left), 0), "after the last cycle")
    return Outcome(took, {"bytes per cycle": growth, **last(late), "sockets at the end": done["connections"]})


def comparable(lines: Sequence[dict[str, Any]]) -> list[float]:
    """Return the memory of the cycles that had the usual number of connections: each holds a 256 KB buffer of TLS."""
    usual, _ = Counter(line["connections"] for line in lines).most_common(1)[0]
    return [line["memory"] for line in lines if line["connections"] == usual]


def last(lines: Sequence[dict[str, Any]]) -> dict[str, Fact]:
    """Return the constant numbers of the last cycle."""
    return {name: lines[-1][name] for name in (*FLOOR, *EMPTY)}


def pod(name: str) -> dict[str, Any]:
    """Return the manifest of a Pod."""
    container = {"name": "main", "image": PODS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


ROWS = (Row("B.growth", "100 times open and close: memory, tasks, connections, routes stay", LIMIT, nothing_grows),)
