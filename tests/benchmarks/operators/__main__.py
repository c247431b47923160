"""`python -m tests.benchmarks.operators`: the same operator on scopedcache, controller-runtime and kopf, in turn.

Needs the real control plane's binaries, and Go for controller-runtime. Ends with status 0 when all ran to the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs

from scopedcache.errors import ScopedCacheError
from scopedcache.testing.control_plane.binaries import find_binaries
from tests.benchmarks.peers.built_once import PeerError

from .contestants import NAMES, Contestant, contestant
from .measurement import Measured, from_plain, measure
from .page import write_page
from .table import brief, rows, table


def main() -> int:
    """Run everything and return the exit status."""
    options = _parse()
    failures: list[str] = []
    if options.reread:
        saved = json.loads(options.reread.read_text())
        measured = {name: [from_plain(one) for one in found] for name, found in saved["runs"].items()}
        about = saved["about"]
    else:
        about, measured, failures = _run(options)
    print(f"\n{about['crs']:,} Memcacheds in {about['namespaces']:,} namespaces\n\n{table(rows(measured))}\n")
    if options.json:
        runs = {name: [attrs.asdict(one) for one in results] for name, results in measured.items()}
        options.json.write_text(json.dumps({"about": about, "runs": runs}, indent=1))
    if options.page and not failures:
        write_page(measured, about)
    for failure in failures:
        print(failure, file=sys.stderr)
    print("FAILED" if failures else "All ran to the end.")
    return 1 if failures else 0


def _run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, list[Measured]], list[str]]:
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
    about = {
        "crs": options.crs,
        "namespaces": options.namespaces,
        "kubernetes": _kubernetes(),
        "machine": f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    return about, measured, failures


def _kubernetes() -> str:
    server = find_binaries().apiserver
    told = subprocess.run([str(server), "--version"], capture_output=True, text=True)
    return told.stdout.split()[-1] if told.stdout else "unknown"


def _alternated(contestants: list[Contestant], number: int) -> list[Contestant]:
    return contestants if number % 2 == 0 else contestants[::-1]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.operators")
    parser.add_argument("--crs", type=int, default=1000)
    parser.add_argument("--namespaces", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1, help="rounds to take the medians of; every other one backwards")
    parser.add_argument("--only", nargs="*", choices=NAMES)
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all parts there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--reread", type=Path, metavar="FILE", help="run nothing; take what --json wrote before")
    parser.add_argument("--page", action="store_true", help="write docs/performance-operator.md and its plots")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
