"""`python -m tests.soak.crashes COUNT [--pair] [--seed N]`: an operator that is killed at random instants.

Custom resources are made, edited and deleted meanwhile. After each death an operator is started again; at the end every
custom resource has exactly the Deployment it asks for, nothing stands that nobody asked for, and no finalizer keeps
what was deleted. With `--pair` two replicas run, one of them is killed each time, and their logs say that no process
wrote once another one had begun to.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Final

import attrs

from scopedcache.errors import ScopedCacheError
from tests.acceptance.clock import now, pause
from tests.acceptance.observations import DEPLOYMENTS, MEMCACHEDS, PODS
from tests.acceptance.program import Operator
from tests.acceptance.starting import started
from tests.acceptance.waiting import Failed, eventually
from tests.acceptance.world import World
from tests.faults.page import CRASHES, write_crashes

NAMESPACES: Final = ("crash-one", "crash-two")
NAMES: Final = tuple(f"m{number}" for number in range(4))
START_SECONDS: Final = 90.0
# A Lease that its holder did not give up is taken over after 15 s.
SETTLED_SECONDS: Final = 120.0
# How long an operator lives: some die while they start, some in the midst of their work.
LIFE_SECONDS: Final = (0.2, 4.0)


@attrs.define(eq=False)
class Crashes:
    """What is done, and what was found."""

    world: World
    random: Random
    options: tuple[str, ...]
    operators: list[Operator] = attrs.field(factory=list)
    started: list[Operator] = attrs.field(factory=list)
    edits: int = 0

    def begin(self, replicas: int) -> None:
        """Make the namespaces, and start so many operators."""
        for name in NAMESPACES:
            self.world.namespace(name, allowed=True)
        self.operators = [self._launch() for _ in range(replicas)]
        eventually("an operator is ready", self.world.operator_unready, within=START_SECONDS)

    def kill_one(self) -> None:
        """Let one live for a while, with work, and kill it; another takes its place."""
        end = now() + self.random.uniform(*LIFE_SECONDS)
        while now() < end:
            self._edit()
            pause(self.random.uniform(0.0, 0.3))
        victim = self.random.randrange(len(self.operators))
        self.operators[victim].process.kill()
        self.operators[victim] = self._launch()

    def settle(self) -> None:
        """Wait until everything is as it was asked for."""
        eventually("everything is as it was asked for", self._unsettled, within=SETTLED_SECONDS, interval=0.5)

    def leave(self) -> None:
        """Delete everything, and wait until nothing is left."""
        for found in self.world.plane.list(MEMCACHEDS):
            self.world.delete(found["metadata"]["namespace"], found["metadata"]["name"])
        eventually("nothing is left", self._left, within=SETTLED_SECONDS, interval=0.5)

    def end(self) -> None:
        """End the operators."""
        for operator in self.operators:
            operator.process.stop(grace=1.0)

    def writes(self) -> list[list[str]]:
        """Return for each process the times at which it says that it wrote a Deployment."""
        return [[line["time"] for line in one.log.events("child.create", "child.update")] for one in self.started]

    def _launch(self) -> Operator:
        self.started.append(self.world.launch_operator(*self.options))
        return self.started[-1]

    def _edit(self) -> None:
        namespace, name = self.random.choice(NAMESPACES), self.random.choice(NAMES)
        try:
            if self.world.plane.get(MEMCACHEDS, name, namespace) is None:
                self.world.create(namespace, name, self.random.randrange(3))
            elif self.random.random() < 0.4:
                self.world.delete(namespace, name)
            else:
                self.world.resize(namespace, name, self.random.randrange(3))
        except ScopedCacheError:  # it is being deleted
            return
        self.edits += 1

    def _unsettled(self) -> str | None:
        found = self.world.plane.list(MEMCACHEDS)
        stuck = [one["metadata"]["name"] for one in found if "deletionTimestamp" in one["metadata"]]
        if stuck:
            return f"deleted and still there: {stuck}"
        wanted = sorted((o["metadata"]["uid"], o["metadata"]["name"], o["spec"]["size"]) for o in found)
        there = sorted(
            (owner["uid"], one["metadata"]["name"], one["spec"]["replicas"])
            for one in self.world.plane.list(DEPLOYMENTS)
            for owner in one["metadata"].get("ownerReferences", [{"uid": "nobody"}])
        )
        if wanted != there:
            return f"Deployments are {there}, asked for is {wanted}"
        for one in found:
            key = one["metadata"]["namespace"], one["metadata"]["name"]
            if wrong := self.world.memcached(*key).not_succeeded(one["spec"]["size"]):
                return f"{key}: {wrong}"
        return None

    def _left(self) -> str | None:
        left = [
            f"{kind} {one['metadata']['name']}"
            for kind in (MEMCACHEDS, DEPLOYMENTS, PODS)
            for one in self.world.plane.list(kind)
            if one["metadata"]["namespace"] in NAMESPACES
        ]
        return ", ".join(left) or None


def main() -> int:
    """Return 0 where everything was as it was asked for after every death."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--pair", action="store_true", help="two replicas, one of which is killed")
    parser.add_argument("--every", type=int, default=10, help="deaths between two looks at everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", action="store_true", help="write what came of it into docs/faults.md")
    parser.add_argument("--out", type=Path, default=Path(".out/crashes"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with started(options.out, f"crashes-{options.seed}") as world:
        crashes = Crashes(world, Random(options.seed), ("--leader-elect",) if options.pair else ("--no-leader-elect",))
        try:
            crashes.begin(2 if options.pair else 1)
            for number in range(1, options.count + 1):
                crashes.kill_one()
                if number % options.every == 0 or number == options.count:
                    crashes.settle()
                    say(f"{number} deaths, {crashes.edits} edits: everything is as it was asked for")
            crashes.leave()
            if options.pair and (wrong := second_writers(crashes.writes())):
                raise Failed(wrong)
        except Failed as failure:
            say(f"FAILED (seed {options.seed}): {failure}")
            return 1
        finally:
            crashes.end()
    say("nothing is left")
    if options.page:
        looks = -(-options.count // options.every)
        write_crashes(CRASHES[options.pair], options.count, crashes.edits, looks, options.seed)
    return 0


def second_writers(logs: Sequence[Sequence[str]]) -> str | None:
    """Tell of a process that wrote after another one had begun to: of two, only one may lead.

    Args:
        logs: for each process the times at which it says that it wrote.
    """
    writes = sorted((time, number) for number, times in enumerate(logs) for time in times)
    turns = [number for number, _ in groupby(number for _, number in writes)]
    again = sorted(number for number, count in Counter(turns).items() if count > 1)
    return f"processes {again} wrote again after another one had" if again else None


def say(line: str) -> None:
    """Tell who looks on."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
