"""`python -m tests.faults [--only TEXT] [--page]`: the fault matrix, on the server that CLUSTER names.

Prints a line per fault, and what was not as the table says; returns 1 then. `--page` writes docs/faults.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from .page import PAGE, merge
from .rows import ROWS, Row
from .run import complaints, run_embedded, run_real
from .stage import Different, Outcome

RUNS: Final[dict[str, Callable[[Row], Outcome]]] = {"embedded": run_embedded, "real": run_real}


def main() -> int:
    """Return 1 where a fault did what it must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The fault matrix.")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--page", action="store_true", help=f"write what came of it into {PAGE}")
    options = parser.parse_args()
    logging.disable()
    server, bad, outcomes = os.environ.get("CLUSTER", "embedded"), 0, []
    for row in ROWS:
        if server not in row.on or options.only not in row.name:
            continue
        try:
            came = RUNS[server](row)
        except Different as error:
            found = [f"the cache is not the server: {error}"]
        else:
            found = list(complaints(row, came))
            outcomes.append(came)
            sys.stdout.write(f"{line(came)}\n")
        for complaint in found:
            sys.stdout.write(f"  ✗ {row.name}: {complaint}\n")
        sys.stdout.flush()
        bad += bool(found)
    sys.stdout.write(f"{len(outcomes)} faults on the {server} server, {bad} not as they should be\n")
    if options.page:
        merge(outcomes)
    return 1 if bad else 0


def line(came: Outcome) -> str:
    """Return an outcome for people."""
    return (
        f"{came.name:56} {came.reads:18} {came.ready:22} age {came.age:6.1f} s  "
        f"{came.rate:5.2f}/s  back after {came.recovery:5.1f} s  relists {came.relists}"
    )


if __name__ == "__main__":
    sys.exit(main())
