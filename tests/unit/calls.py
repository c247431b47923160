"""How often a piece of work calls what: the cost of it that is the same on every machine."""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any


def calls_of(work: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """Return how often each function was called, those in Python and those in C apart."""
    python: Counter[str] = Counter()
    c: Counter[str] = Counter()

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            python[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            c[argument.__name__] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return python, c
