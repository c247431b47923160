"""`python -m tests.soak MINUTES [--seed N] [--page]`: an operator in rounds of trouble and rest, and what it costs.

A round: for half a minute rights come and go, custom resources are made, edited and deleted, Deployments are scaled
past the operator, and now and then an API server is killed or stopped. Then all rights are given: everything must be
as it was asked for. Then everything is deleted and all rights are taken: nothing may be left. What is measured then is
compared over the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import attrs

from tests.acceptance.starting import started
from tests.acceptance.waiting import Failed

from .page import write_page
from .rounds import Soak


def main() -> int:
    """Return 0 where every round held and nothing grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=0, help="what happens, and when")
    parser.add_argument("--page", action="store_true", help="write docs/soak.md and its plots")
    parser.add_argument("--out", type=Path, default=Path(".out/soak"), help="where logs and figures go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with started(options.out, f"soak-{options.seed}") as world:
        soak = Soak.begin(world, options.seed, say)
        try:
            soak.run(options.minutes * 60)
        except Failed as failure:
            soak.findings.append(str(failure))
        finally:
            figures = options.out / "figures.json"
            figures.write_text(json.dumps(attrs.asdict(soak.result()), indent=1))
    result = soak.result()
    for line in result.summary():
        say(line)
    if options.page:
        write_page(result)
    for finding in result.findings:
        say(f"FAILED (seed {options.seed}): {finding}")
    return 1 if result.findings else 0


def say(line: str) -> None:
    """Tell who looks on."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
