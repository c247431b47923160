"""`python -m tests.acceptance.examples NAME`: run an example's rows, or all (`all`), on the cluster of CLUSTER."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scopedcache.errors import ScopedCacheError

from .. import report
from ..__main__ import interrupt, tell
from ..rows import select
from ..runner import Runner
from ..starting import check_cluster
from .catalogue import chosen, log_as_programs_do
from .groups import rights_of, rows_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run. Return 0 when every row held or could not be run, 1 when one failed, 2 when nothing could be started."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    began = time.monotonic()
    try:
        examples = chosen(options.example)
        groups = [group for one in examples for group in rows_of(one, options.keep_logs, first_only=options.first)]
        if options.rights:
            groups = [rights_of(example, by_verb=options.rights == "verbs") for example in examples]
        groups = select(groups, options.only)
        check_cluster()
        if log_as_programs_do(examples):
            tell("On the embedded cluster, in virtual time: seconds are the cluster's, and cost next to nothing.")
        results = Runner(tell=tell).run(groups)
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
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.examples", description=__doc__)
    parser.add_argument("example", nargs="?", default="all", metavar="NAME")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="ID,ID", help="run these rows")
    parser.add_argument("--first", action="store_true", help="run the first row of each")
    parser.add_argument(
        "--rights", choices=("rules", "verbs"), help="take each rule (or verb) of rbac.yaml away: some row must fail"
    )
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="keep the logs of all processes here")
    parser.add_argument("--json", type=Path, default=Path(".out/examples.json"), metavar="FILE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
