"""`python -m tests.acceptance`: run the rows, print them, write them as JSON; exit status 1 when one fails."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scopedcache.errors import ScopedCacheError

from . import least_privilege, report
from .catalogue import groups
from .in_process import LOGGERS
from .rows import select
from .runner import Runner
from .starting import check_cluster, wanted_cluster


def main(arguments: Sequence[str] | None = None) -> int:
    """Run. Return 0 when every row held or could not be run, 1 when one failed, 2 when nothing could be started."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    began = time.monotonic()
    try:
        wanted = [least_privilege.group()] if options.rights else groups(options.keep_logs)
        chosen = select(wanted, options.only)
        check_cluster(containers=True)
        if wanted_cluster() == "embedded":
            for name in LOGGERS:  # as the operator's command does it for its process
                logging.getLogger(name).setLevel(logging.INFO)
            tell("On the embedded cluster, in virtual time: seconds are the cluster's, and cost next to nothing.")
        results = Runner(tell=tell).run(chosen)
    except (ScopedCacheError, ValueError) as error:
        print(f"acceptance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    took = time.monotonic() - began
    print("\n" + report.table(results) + "\n\n" + report.summary(results, took))
    report.write_json(options.json, report.as_json(results, seconds=round(took, 1)))
    return 1 if any(result.verdict == "FAIL" for result in results) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="ID,ID", help="run these rows")
    parser.add_argument(
        "--rights", choices=("rules",), help="take each rule of config/rbac away: the operator must fail without it"
    )
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="keep the logs of all processes here")
    parser.add_argument("--json", type=Path, default=Path(".out/acceptance.json"), metavar="FILE")
    return parser.parse_args(arguments)


def tell(text: str) -> None:
    """Print a line of progress at once, for a log as much as for a terminal."""
    print(text, flush=True)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Leave the way Ctrl-C does, so that everything started is ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
