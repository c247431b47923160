"""The bound on detection, promised and held, with so many namespaces in use, on a real control plane.

`python -m tests.scale.bound [--namespaces 100,1000,5000] [--page]`: one cache opens a kind in each namespace; fifty
bindings go, each at a moment of its own, and the owners note when they hear of it. Nobody watches RBAC objects.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import attrs
import psutil

from scopedcache import GVK, ObjectKey, OwnerChanged, ScopedCache
from scopedcache.cache import OwnerId
from scopedcache.testing import ControlPlane, Identity
from scopedcache.testing.rbac import Grant

KIND: Final = "configmaps"
ROLE: Final = "reader"
OWNER: Final = GVK("example.com", "v1", "Widget")
REVOCATIONS: Final = 50
OPENED_AT_ONCE: Final = 200
QUIET_SECONDS: Final = 30.0
# Much longer than any bound here: what takes so long was missed.
MISSED_SECONDS: Final = 900.0
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
HEAD: Final = (
    "| namespaces | opened in | bound promised | held: slowest of 50 | median | reviews a second | CPU of the process "
    "| of the API server |\n|---|---|---|---|---|---|---|---|\n"
)


@attrs.frozen
class Held:
    """What came out for one number of namespaces; CPU in percent of a core, while nothing happens."""

    namespaces: int
    opening: float
    promised: float
    delays: list[float]
    reviews: float
    cpu: float
    server_cpu: float

    def row(self) -> str:
        """Return a row of the table."""
        cells = (
            f"{self.namespaces:,}", f"{self.opening:.1f} s", f"{self.promised:.1f} s", f"{max(self.delays):.1f} s",
            f"{statistics.median(self.delays):.1f} s", f"{self.reviews:.1f}", f"{self.cpu:.0f} %",
            f"{self.server_cpu:.0f} %",
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


def measured(count: int) -> Held:
    """Start a control plane with so many namespaces, and measure."""
    with (
        tempfile.TemporaryDirectory(prefix="scale-bound-") as folder,
        ControlPlane.start(folder=Path(folder), users=("operator",), kubelet=False) as plane,
    ):
        rule = {"apiGroups": [""], "resources": [KIND], "verbs": ["list", "watch"]}
        kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
        plane.create({**kind, "metadata": {"name": ROLE}, "rules": [rule]})
        names = [f"n-{number:04}" for number in range(count)]
        user = plane.user("operator")

        def prepare(name: str) -> Grant:
            plane.create_namespace(name)
            return plane.bind(user, ROLE, namespace=name)

        with ThreadPoolExecutor(4) as pool:
            grants = dict(zip(names, pool.map(prepare, names), strict=True))
        say(f"{count:,} namespaces are there")
        return asyncio.run(_measured(plane, user, grants))


async def _measured(plane: ControlPlane, user: Identity, grants: dict[str, Grant]) -> Held:
    told: dict[str, float] = {}

    def hear(change: OwnerChanged) -> None:
        if change.cause == "denied":
            told.setdefault(change.key.namespace, time.monotonic())

    names = list(grants)
    async with (
        plane.client(user) as client,
        ScopedCache(client, rbac_watch=False, sync_timeout=MISSED_SECONDS) as cache,
    ):
        cache.subscribe(hear)
        began = time.monotonic()
        for first in range(0, len(names), OPENED_AT_ONCE):
            await asyncio.gather(*(_open(cache, name) for name in names[first : first + OPENED_AT_ONCE]))
        opening = time.monotonic() - began
        say(f"all are open after {opening:.1f} s")
        await asyncio.sleep(cache.bound)  # what belongs to opening is over
        ours, server = psutil.Process(), psutil.Process(plane.apiserver.pid)
        mark, cpu, server_cpu = plane.audit.mark(), _cpu(ours), _cpu(server)
        await asyncio.sleep(QUIET_SECONDS)
        cpu, server_cpu = _cpu(ours) - cpu, _cpu(server) - server_cpu
        asked = await asyncio.to_thread(plane.audit.requests, mark, user="operator")
        reviews = sum("review" in (one.resource or "") for one in asked)
        promised = cache.bound
        chance = random.Random(len(names))
        chosen = chance.sample(names, REVOCATIONS)
        taken = dict(
            await asyncio.gather(*(_revoke(name, grants[name], chance.uniform(0, promised)) for name in chosen))
        )
        end = time.monotonic() + MISSED_SECONDS
        while told.keys() != taken.keys() and time.monotonic() < end:  # noqa: ASYNC110 - a driver's pace
            await asyncio.sleep(0.5)
        missed = sorted(taken.keys() - told.keys())
        if missed or told.keys() - taken.keys():
            raise SystemExit(f"not noticed: {missed}; told of for nothing: {sorted(told.keys() - taken.keys())}")
        delays = [told[name] - taken[name] for name in chosen]
    share = 100 / QUIET_SECONDS
    return Held(len(names), opening, promised, delays, reviews / QUIET_SECONDS, cpu * share, server_cpu * share)


async def _open(cache: ScopedCache, name: str) -> None:
    await cache.open(OwnerId(OWNER, ObjectKey(name, "widget"), f"uid-of-{name}"), KIND)


async def _revoke(name: str, grant: Grant, after: float) -> tuple[str, float]:
    """Take a binding away after a pause; return when the server had done it."""
    await asyncio.sleep(after)
    await asyncio.to_thread(grant.revoke)
    return name, time.monotonic()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def write(found: Iterable[Held], page: str) -> str:
    """Return the page with these rows in its table."""
    mark, end = "<!-- table: bound -->\n", "<!-- end -->"
    before, rest = page.split(mark, 1)
    old, after = rest.split(end, 1)
    rows = {line.split(" | ")[0]: line for line in old.splitlines()[2:]}
    rows |= {row.split(" | ")[0]: row for row in (one.row() for one in found)}
    said = f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end."
    after = re.sub(r"^\n+Load [^\n]*", "", after)
    ordered = sorted(rows.values(), key=lambda row: int(re.sub(r"\D", "", row.split(" | ")[0])))
    return before + mark + HEAD + "".join(row + "\n" for row in ordered) + end + f"\n\n{said}" + after


def say(text: str) -> None:
    """Tell who looks on."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> int:
    """Return 1 where the promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale.bound")
    parser.add_argument("--namespaces", default="100,1000,5000")
    parser.add_argument("--page", action="store_true", help="write the table into docs/scale.md")
    options = parser.parse_args()
    found = []
    for count in map(int, options.namespaces.split(",")):
        found.append(measured(count))
        say(found[-1].row())
    if options.page:
        PAGE.write_text(write(found, PAGE.read_text()))
    return int(any(max(one.delays) > one.promised for one in found))


if __name__ == "__main__":
    sys.exit(main())
