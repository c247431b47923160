"""`python -m tests.benchmarks.operators`: the same operator on scopedcache, controller-runtime and kopf, in turn.

Needs the real control plane's binaries, and Go for controller-runtime. Ends with status 0 when all ran to the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs

from scopedcache.errors import ScopedCacheError
from tests.benchmarks.peers.go_programs import PeerError

from .contestants import NAMES, Contestant, contestant
from .measurement import Measured, measure
from .table import brief, rows, table


def main() -> int:
    """Run everything and return the exit status."""
    options = _parse()
    began = time.monotonic()
    measured: dict[str, list[Measured]] = {}
    failures: list[str] = []

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", flush=True)

    contestants = []
    for name in options.only or NAMES:
        try:
            contestants.append(contestant(name))
        except (PeerError, ScopedCacheError) as error:
            failures.append(f"{name}: {error}")
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as temporary:
        for number in range(options.runs):
            for one in _alternated(contestants, number):
                folder = (options.logs or Path(temporary)) / f"{one.name}-{number + 1}"
                try:
                    result = measure(one, options.crs, options.namespaces, folder)
                except Exception as error:
                    failures.append(f"{one.name}: {type(error).__name__}: {error} {error.__cause__ or ''}")
                    say(f"{one.name}, run {number + 1} of {options.runs}: FAILED")
                    continue
                measured.setdefault(one.name, []).append(result)
                say(f"{one.name}, run {number + 1} of {options.runs}: {brief(result)}")
    title = f"{options.crs:,} Memcacheds in {options.namespaces:,} namespaces; medians of {options.runs}"
    print(f"\n{title}\n\n{table(rows(measured))}\n")
    if options.json:
        options.json.write_text(json.dumps(_plain(measured, options), indent=1))
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{'FAILED' if failures else 'All ran to the end.'} {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


def _alternated(contestants: list[Contestant], number: int) -> list[Contestant]:
    return contestants if number % 2 == 0 else contestants[::-1]


def _plain(measured: dict[str, list[Measured]], options: argparse.Namespace) -> dict[str, Any]:
    runs = {name: [attrs.asdict(one) for one in results] for name, results in measured.items()}
    return {"crs": options.crs, "namespaces": options.namespaces, "runs": runs}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.operators")
    parser.add_argument("--crs", type=int, default=1000)
    parser.add_argument("--namespaces", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1, help="rounds to take the medians of; every other one backwards")
    parser.add_argument("--only", nargs="*", choices=NAMES)
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all parts there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
