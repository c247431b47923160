"""`python -m tests.benchmarks`: run every client in turn, several times, and print targets and medians in one table.

Ends with status 0 when everything ran and every cache held what the server held; a missed target is only shown.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import attrs

from scopedcache.errors import ScopedCacheError
from tests.benchmarks.curves import Curve
from tests.benchmarks.figures import (
    ASYNCIO,
    COMPRESSED,
    GO,
    GO_METADATA,
    GO_TYPED,
    KOPF,
    KR8S,
    LIGHTKUBE,
    MICRO,
    OURS,
    PATH,
    RUST,
    SHARED,
    UVLOOP,
    WATCHES,
    WATCHES_UVLOOP,
    Figures,
    medians,
    table,
)
from tests.benchmarks.page import write_page
from tests.benchmarks.peers.built_once import PeerError, go_programs, rust_programs
from tests.benchmarks.processes import DriverError, run_driver, run_module, run_peer

SLOW_DRIVERS = {ASYNCIO: "kubernetes_asyncio_watch", KR8S: "kr8s_watch", KOPF: "kopf_index"}


@attrs.frozen
class Plan:
    """One client, and how much it is asked to do; `program` where it is none of Python.

    Attributes:
        most: Pods that it is given at most, where it would take minutes for all of them.
    """

    name: str
    driver: str
    arguments: tuple[str, ...]
    program: Path | None = None
    most: int | None = None

    def run(self, pods: int) -> dict[str, float]:
        """Return its figures. Raise DriverError."""
        pods = min(pods, self.most or pods)
        if self.program is not None:
            return run_peer(self.program, pods, *self.arguments)
        return run_driver(self.driver, pods, *self.arguments)


def plans(*, quick: bool, uvloop: bool) -> list[Plan]:
    """Return what is run in each round. The slow clients get fewer events: a rate needs seconds, not minutes."""
    many, few = ("10000", "2000") if quick else ("50000", "10000")
    paced = ("--paced-events", "20000" if quick else "40000", "--latency-events", "1000" if quick else "2000")
    ours = ("--events", many, "--full-events", many, *paced)
    found = [
        Plan(SHARED, "shared_informer", ("--events", few)),
        Plan(LIGHTKUBE, "lightkube_watch", ("--events", many, "--full-events", few)),
        Plan(OURS, "scopedcache_informer", ours),
        Plan(COMPRESSED, "scopedcache_informer", ("--events", few, "--compress")),
        *[Plan(name, driver, ("--events", "1000"), most=1_000) for name, driver in SLOW_DRIVERS.items()],
    ]
    return [*found, Plan(UVLOOP, "scopedcache_informer", (*ours, "--uvloop"))] if uvloop else found


def peer_plans(*, quick: bool) -> list[Plan]:
    """Return what is run in each round besides, built where it is not there yet. Raise PeerError or BuildError."""
    go, rust = go_programs() / "podcache", rust_programs() / "podcache"
    few, many = ("2000", "10000") if quick else ("10000", "50000")
    kinds = {GO: "unstructured", GO_TYPED: "typed", GO_METADATA: "metadata"}
    found = [Plan(name, "", ("--objects", objects, "--events", few), go) for name, objects in kinds.items()]
    return [*found, Plan(RUST, "", ("--events", many), rust)]


def main() -> int:
    """Run everything and return the exit status."""
    options = _parse()
    pods = 2_000 if options.quick else 10_000
    scopes = 1_000 if options.quick else 10_000
    runs = options.runs or (1 if options.quick else 3)
    began = time.monotonic()
    measured: dict[str, list[dict[str, float]]] = {}
    failures: list[str] = []

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", flush=True)

    planned = plans(quick=options.quick, uvloop=options.uvloop)
    if options.peers:
        try:
            planned += peer_plans(quick=options.quick)
        except (PeerError, ScopedCacheError) as error:
            failures.append(str(error))
    for number in range(runs):
        for plan in planned if number % 2 == 0 else planned[::-1]:
            try:
                figures = plan.run(pods)
            except DriverError as error:
                failures.append(f"{plan.name}: {error}")
                say(f"{plan.name}, run {number + 1} of {runs}: FAILED")
                continue
            measured.setdefault(plan.name, []).append(figures)
            say(f"{plan.name}, run {number + 1} of {runs}: {_brief(figures)}")
    results: dict[str, Figures] = {name: medians(figures) for name, figures in measured.items()}
    watches = ("--watches", "200" if options.quick else "2000")
    for name, module, arguments in (
        (PATH, "event_path", ("--rounds", "3" if options.quick else "15")),
        (MICRO, "micro", ("--scopes", str(scopes))),
        (WATCHES, "watches", watches),
        *([(WATCHES_UVLOOP, "watches", (*watches, "--uvloop"))] if options.uvloop else []),
    ):
        say(name)
        try:
            results[name] = run_module(f"tests.benchmarks.{module}", *arguments)
        except DriverError as error:
            failures.append(str(error))
    say("curves")
    curves: dict[str, Curve] = {}
    try:
        curves = run_module("tests.benchmarks.curves", *(["--full"] if options.full else []))
    except DriverError as error:
        failures.append(str(error))
    print(f"\n{pods:,} Pods of 4.7 KB over TLS on loopback, {scopes:,} scopes; medians of {runs}\n\n{table(results)}\n")
    if options.json:
        found = {"runs": runs, "pods": pods, "medians": results, "all": measured, "curves": curves}
        options.json.write_text(json.dumps(found, indent=1))
    if options.page and not failures:
        write_page(results, curves, pods=pods, scopes=scopes, runs=runs)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{'FAILED' if failures else 'Every cache equalled the server.'} {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


def _brief(figures: dict[str, float]) -> str:
    return (
        f"first sync {figures['sync_s']:.2f} s, {figures['events_per_s']:,.0f} events/s, "
        f"{figures['kept_kb_per_object']:.1f} KB kept a Pod"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--runs", type=int, help="rounds to take the medians of (3)")
    parser.add_argument("--quick", action="store_true", help="one round with fewer objects: to see that it works")
    parser.add_argument("--peers", action="store_true", help="measure caches of other languages in the same rounds")
    parser.add_argument("--uvloop", action="store_true", help="measure ours on uvloop as well")
    parser.add_argument("--full", action="store_true", help="curves up to 1,000 namespaces and 100,000 objects")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md and its plots from this run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
