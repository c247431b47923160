"""`python -m tests.faults.storms_run [--only TEXT] [--page]`: storms of RBAC changes, on the server CLUSTER names."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import Final

from scopedcache.testing import virtual_time

from .page import PAGE, write_storms
from .servers import Embedded, Real, Server
from .storms import STORMS, Weather, weather

# More places than this take minutes in virtual time, on one core.
EMBEDDED_PLACES: Final = 100


def main() -> int:
    """Return 1 where something was believed that was not true."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storms_run", description="Storms of RBAC changes.")
    parser.add_argument("--only", default="", help="storms whose name has this in it")
    parser.add_argument("--page", action="store_true", help=f"write what came of it into {PAGE}")
    options = parser.parse_args()
    logging.disable()
    names = [name for name in STORMS if options.only in name]
    if os.environ.get("CLUSTER", "real") == "embedded":
        passed = [_told(run_embedded(name)) for name in names]
    else:
        with Real.running() as server:
            passed = [_told(run_real(server, name)) for name in names]
    if options.page:
        write_storms(passed)
    return 1 if any(one.wrong for one in passed) else 0


def run_embedded(name: str, seed: int = 0) -> Weather:
    """Let a storm pass in virtual time, over a cluster of its own."""
    with Embedded.running(seed=seed) as server:
        return virtual_time.run(weather(server, name, seed=seed, count=EMBEDDED_PLACES))


def run_real(server: Server, name: str, seed: int = 0) -> Weather:
    """Let a storm pass over a control plane; each has places of its own."""
    return asyncio.run(weather(server, name, seed=seed))


def _told(came: Weather) -> Weather:
    sys.stdout.write(
        f"{came.name:60} {came.changes:4} changes, {came.told:4} denials told, "
        f"right {came.slowest:5.1f} s after the last change\n"
    )
    for wrong in came.wrong[:5]:
        sys.stdout.write(f"  ✗ {wrong}\n")
    sys.stdout.flush()
    return came


if __name__ == "__main__":
    sys.exit(main())
