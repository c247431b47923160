"""When two texts say the same, so that it is said once."""

from __future__ import annotations

import re
from typing import Final

_NUMBERS: Final = re.compile(r"[0-9a-f]*\d[0-9a-f]*", re.IGNORECASE)


def without_numbers(text: str) -> str:
    """Return a text without what differs each time: numbers, times, identifiers."""
    return _NUMBERS.sub("#", text)
