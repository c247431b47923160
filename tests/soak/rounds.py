"""The rounds of a soak: what is done to the operator, and what must be seen after it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs

from scopedcache.errors import NotFoundError, ScopedCacheError
from scopedcache.testing import ControlPlane
from tests.acceptance.clock import now, pause
from tests.acceptance.observations import DEPLOYMENTS, MEMCACHEDS
from tests.acceptance.waiting import Failed, eventually, require
from tests.acceptance.world import World

from .series import Detection, Sample, drift, quantile

NAMESPACES: Final = tuple(f"soak-{number}" for number in range(6))
NAMES: Final = tuple(f"m{number}" for number in range(5))
TROUBLE_SECONDS: Final = 30.0
# Longer than the bound after trouble, 9.5 s, and a machine that has other work to do.
FOLLOWED_SECONDS: Final = 30.0
SETTLED_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 5.0
START_SECONDS: Final = 90.0
# A machine with other work to do takes minutes to start an API server.
SERVER_SECONDS: Final = 240.0
FROZEN_SECONDS: Final = 3.0
DOWN_SECONDS: Final = 2.0
# What the operator may say as an error while servers are killed under it: nothing.
LOUD: Final = ("error", "critical")


@attrs.frozen
class Result:
    """A whole soak."""

    seed: int
    seconds: float
    rounds: int
    done: dict[str, int]
    samples: list[Sample]
    detections: list[Detection]
    findings: list[str]
    load: float

    def summary(self) -> list[str]:
        """Return it in lines."""
        losses, gains = ([d.seconds for d in self.detections if d.kind == kind] for kind in ("loss", "gain"))
        rests = [sample for sample in self.samples if sample.rest]
        lines = [f"seed {self.seed}: {self.rounds} rounds in {self.seconds / 60:.1f} minutes: {self.done}"]
        for kind, values in (("loss", losses), ("gain", gains)):
            if values:
                middle, late = quantile(values, 0.5), quantile(values, 0.99)
                lines.append(
                    f"{kind}: {len(values)} seen, median {middle:.1f} s, 99 % {late:.1f} s, most {max(values):.1f} s"
                )
        if rests:
            lines.append(f"memory at rest: first {rests[0].memory:.1f} MB, last {rests[-1].memory:.1f} MB")
        return lines


@attrs.define(eq=False)
class Soak:
    """A soak under way."""

    world: World
    plane: ControlPlane
    random: Random
    seed: int
    began: float
    pid: int | None
    tell: Callable[[str], None]
    samples: list[Sample] = attrs.field(factory=list)
    detections: list[Detection] = attrs.field(factory=list)
    findings: list[str] = attrs.field(factory=list)
    done: Counter[str] = attrs.field(factory=Counter)
    rounds: int = 0
    _allowed: set[str] = attrs.field(factory=set)
    # By namespace: which change is waited for, and since when.
    _pending: dict[str, tuple[str, float]] = attrs.field(factory=dict)
    _looked: float = 0.0

    @classmethod
    def begin(cls, world: World, seed: int, tell: Callable[[str], None]) -> Soak:
        """Make the namespaces and start the operator."""
        assert isinstance(world.plane, ControlPlane), "a soak is for a real control plane"
        for name in NAMESPACES:
            world.namespace(name)
        world.launch_operator("--leader-elect")
        eventually("the operator is ready", world.operator_unready, within=START_SECONDS)
        return cls(world, world.plane, Random(seed), seed, now(), world.operator.process.pid, tell)

    def result(self) -> Result:
        """Return what is known so far."""
        return Result(
            seed=self.seed,
            seconds=now() - self.began,
            rounds=self.rounds,
            done=dict(self.done),
            samples=self.samples,
            detections=self.detections,
            findings=[*self.findings, *drift(self.samples)],
            load=os.getloadavg()[0],
        )

    def run(self, seconds: float) -> None:
        """Run rounds until the time is over; the last one is finished."""
        while now() < self.began + seconds:
            self._trouble(now() + TROUBLE_SECONDS)
            eventually("the server answers", self._unanswered, within=SERVER_SECONDS, interval=0.5)
            self._converge()
            self._rest()
            self.rounds += 1
            self.tell(f"round {self.rounds}: {self.samples[-1].memory:.1f} MB, {now() - self.began:.0f} s")

    # -- trouble -------------------------------------------------------------------------------------------------

    def _trouble(self, until: float) -> None:
        acts = [self._toggle] * 10 + [self._make] * 6 + [self._edit] * 4 + [self._unmake] * 3 + [self._scale] * 2
        while now() < until:
            # A server that was killed answers nothing for a while: whatever is refused is tried again another time.
            act = self.random.choice(acts) if self.random.random() < 0.98 else self._harm
            try:
                act()
            except ScopedCacheError as error:
                self.done[f"refused: {type(error).__name__}"] += 1
            self._watch(self.random.uniform(0.05, 0.6))

    def _toggle(self) -> None:
        name = self.random.choice(NAMESPACES)
        self._take(name) if name in self._allowed else self._give(name)

    def _give(self, name: str) -> None:
        since = self.world.allow(name)
        self._allowed.add(name)
        self.done["grants"] += 1
        # An owner that waits shows the gain: without one there is nothing to open.
        if self.plane.list(MEMCACHEDS, name):
            self._pending[name] = ("gain", since)
        else:
            self._pending.pop(name, None)

    def _take(self, name: str) -> None:
        since = self.world.revoke(name)
        self._allowed.discard(name)
        self.done["revocations"] += 1
        if name in self._open():
            self._pending[name] = ("loss", since)
        else:
            self._pending.pop(name, None)

    def _make(self) -> None:
        namespace, name = self.random.choice(NAMESPACES), self.random.choice(NAMES)
        if self.plane.get(MEMCACHEDS, name, namespace) is None:
            self.world.create(namespace, name, self.random.randrange(3))
            self.done["created"] += 1

    def _edit(self) -> None:
        if found := self._some():
            self.world.resize(*found, self.random.randrange(3))
            self.done["edited"] += 1

    def _unmake(self) -> None:
        if found := self._some():
            self.world.delete(*found)
            self.done["deleted"] += 1
            if self._pending.get(found[0], ("", 0.0))[0] == "gain":  # perhaps nobody is left who could gain
                self._pending.pop(found[0])

    def _scale(self) -> None:
        if found := self._some():
            try:
                self.world.scale(*found, replicas=self.random.randrange(3))
            except NotFoundError:
                return
            self.done["scaled"] += 1

    def _unanswered(self) -> str | None:
        self.plane.list(MEMCACHEDS)  # a request that fails is a problem, too
        return None if self.plane.apiserver.running else "the API server does not run"

    def _some(self) -> tuple[str, str] | None:
        found = [(o["metadata"]["namespace"], o["metadata"]["name"]) for o in self.plane.list(MEMCACHEDS)]
        return self.random.choice(sorted(found)) if found else None

    def _harm(self) -> None:
        server = self.plane.apiserver
        # What is under way is measured with a server that answers; both edges are seen often enough without.
        self._pending.clear()
        if self.random.random() < 0.3:
            server.kill()
            pause(DOWN_SECONDS)
            server.start(timeout=SERVER_SECONDS)
            self.done["servers killed"] += 1
        else:
            server.pause()
            pause(FROZEN_SECONDS)
            server.resume()
            self.done["servers frozen"] += 1

    # -- after it ------------------------------------------------------------------------------------------------

    def _converge(self) -> None:
        """Give every right: each custom resource gets what it asks for, and nothing stands that nobody asked for."""
        eventually("every right is given", self._give_all, within=SERVER_SECONDS, interval=0.5)
        self._settle("everything is as it was asked for", self._unsettled)

    def _give_all(self) -> None:
        for name in NAMESPACES:
            if name not in self._allowed:
                self._give(name)

    def _settle(self, what: str, problem: Callable[[], str | None]) -> None:
        """Wait until there is no problem.

        The cluster's own garbage collector can miss a deletion when its API server is killed, and then leaves the
        children for ever; once it is started again, it reads everything anew. That is counted.
        """
        try:
            eventually(what, problem, within=SETTLED_SECONDS, interval=1.0)
        except Failed:
            collector = self.plane.controller_manager
            if collector is None or not self._orphans():
                raise
            collector.stop()
            collector.start(timeout=SERVER_SECONDS)
            self.done["garbage collectors started again"] += 1
            eventually(what, problem, within=SETTLED_SECONDS, interval=1.0)

    def _orphans(self) -> list[str]:
        """Return what has an owner that is not there."""
        kinds = (MEMCACHEDS, DEPLOYMENTS, "replicasets.apps", "pods")
        found = [o["metadata"] for kind in kinds for o in self.plane.list(kind)]
        there = {one["uid"] for one in found}
        return [one["name"] for one in found if any(o["uid"] not in there for o in one.get("ownerReferences", ()))]

    def _unsettled(self) -> str | None:
        self._watch(0.0)
        wanted = {
            (o["metadata"]["namespace"], o["metadata"]["name"]): (o["spec"]["size"], o["metadata"]["uid"])
            for o in self.plane.list(MEMCACHEDS)
            if "deletionTimestamp" not in o["metadata"]
        }
        there = {
            (o["metadata"]["namespace"], o["metadata"]["name"]): (
                o["spec"]["replicas"],
                o["metadata"]["ownerReferences"][0]["uid"],
            )
            for o in self.plane.list(DEPLOYMENTS)
        }
        if wanted != there:
            return f"Deployments are {there}, asked for is {wanted}"
        for namespace, name in wanted:
            if wrong := self.world.memcached(namespace, name).not_succeeded(wanted[namespace, name][0]):
                return f"{namespace}/{name}: {wrong}"
        return None

    def _rest(self) -> None:
        """Delete everything and take every right: nothing is left."""
        for found in self.plane.list(MEMCACHEDS):
            self.world.delete(found["metadata"]["namespace"], found["metadata"]["name"])
        self._settle("everything is deleted", self._left)
        for name in NAMESPACES:
            self._take(name)
        self._pending.clear()
        eventually("no watch is open", lambda: ", ".join(self._open()) or None, within=FOLLOWED_SECONDS, interval=0.2)
        require(None if self.world.operator.process.pid == self.pid else "another process runs", "the operator lives")
        loud = [line for line in self.world.operator.log.events() if line.get("level") in LOUD]
        require(str(loud[:3]) if loud else None, "the operator says no error")
        pause(1.0)
        self._look(rest=True)

    def _left(self) -> str | None:
        self._watch(0.0)
        left = [
            f"{kind} {o['metadata']['namespace']}/{o['metadata']['name']}"
            for kind in (MEMCACHEDS, DEPLOYMENTS, "pods")
            for o in self.plane.list(kind)
            if o["metadata"]["namespace"] in NAMESPACES
        ]
        return f"still there: {', '.join(left)}" if left else None

    # -- looking on ----------------------------------------------------------------------------------------------

    def _open(self) -> list[str]:
        """Return the namespaces in which the operator says that it watches."""
        informers = self.world.operator.snapshot.get("informers", [])
        return sorted({one["namespace"] for one in informers if one["namespace"] in NAMESPACES})

    def _watch(self, seconds: float) -> None:
        """Look on for some seconds: at what was changed and is not followed yet, and now and then at everything."""
        end = now() + seconds
        while True:
            if self._pending:
                self._follow(set(self._open()))
            if now() > self._looked + LOOK_SECONDS:
                self._look()
            if now() >= end:
                return
            pause(0.05)

    def _follow(self, opened: set[str]) -> None:
        for name, (kind, since) in list(self._pending.items()):
            took = now() - since
            if (name in opened) == (kind == "gain"):
                self.detections.append(Detection(now() - self.began, kind, max(0.0, took)))
                del self._pending[name]
            elif took > FOLLOWED_SECONDS:
                self.findings.append(f"a {kind} in {name} was not followed within {FOLLOWED_SECONDS:g} s")
                del self._pending[name]

    def _look(self, *, rest: bool = False) -> None:
        self._looked = now()
        operator = self.world.operator
        require(operator.unexpected_end(), "the operator runs")
        metrics = operator.metrics()
        if not metrics:
            return
        sockets, descriptors = open_files(self.pid or 0)
        self.samples.append(
            Sample(
                at=now() - self.began,
                memory=operator.memory() or 0.0,
                tasks=metrics.get("scopedcache_background_tasks", 0.0),
                connections=sockets,
                descriptors=descriptors,
                watches=metrics.get("scopedcache_open_watches", 0.0),
                objects=metrics.get("scopedcache_cached_objects", 0.0),
                requests=metrics.get("rest_client_requests_total", 0.0),
                rest=rest,
            )
        )


def open_files(pid: int) -> tuple[int, int]:
    """Return how many sockets, and how many descriptors in all, a process has open."""
    targets = list(_targets(Path(f"/proc/{pid}/fd")))
    return sum(target.startswith("socket:") for target in targets), len(targets)


def _targets(folder: Path) -> Iterator[str]:
    try:
        for entry in folder.iterdir():
            try:
                yield os.readlink(entry)
            except OSError:  # closed meanwhile
                continue
    except FileNotFoundError:
        return


def as_points(samples: Sequence[Sample], name: str) -> list[tuple[float, Any]]:
    """Return one of the measures over time."""
    return [(sample.at, getattr(sample, name)) for sample in samples]
