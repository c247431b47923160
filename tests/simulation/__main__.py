"""`python -m tests.simulation [FIRST] [COUNT]`: lives through so many seeds, each in every setting: as an operator
that opens what its owners need, as one that declares its kinds, in the whole cluster or in single namespaces. It prints
the story of each life that fails.
"""

from __future__ import annotations

import logging
import sys
import time

from .operator import Broken
from .run import SETTINGS, live


def main() -> int:
    """Return 1 when a promise was broken."""
    first, count = (int(word) for word in [*sys.argv[1:], "0", "100"][:2])
    logging.disable()
    began, broken = time.monotonic(), 0
    for seed in range(first, first + count):
        for setting in SETTINGS:
            try:
                live(seed, setting)
            except Broken as error:
                broken += 1
                sys.stdout.write(f"{error}\n\n")
    lives = count * len(SETTINGS)
    sys.stdout.write(f"{lives} lives, {broken} with a broken promise, in {time.monotonic() - began:.0f} s\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
