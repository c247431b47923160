"""`python -m tests.simulation [FIRST] [COUNT]`: lives through so many seeds, prints the story of each that fails."""

from __future__ import annotations

import logging
import sys
import time

from .operator import Broken
from .run import live


def main() -> int:
    """Return 1 when a promise was broken."""
    first, count = (int(word) for word in [*sys.argv[1:], "0", "100"][:2])
    logging.disable()
    began, broken = time.monotonic(), 0
    for seed in range(first, first + count):
        try:
            live(seed)
        except Broken as error:
            broken += 1
            sys.stdout.write(f"{error}\n\n")
    sys.stdout.write(f"{count} lives, {broken} with a broken promise, in {time.monotonic() - began:.0f} s\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
