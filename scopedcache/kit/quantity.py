"""Quantities, as the API writes amounts: `100m`, `1.5Gi`, `1e3`. Exact, whatever is added up."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}
_LARGEST_FIRST: Final = [
    (f"{letter}i", Decimal(1024) ** power)
    for power, letter in ((6, "E"), (5, "P"), (4, "T"), (3, "G"), (2, "M"), (1, "K"))
]


def quantity(text: str | float) -> Decimal:
    """Return the amount of a quantity; amounts add up, compare and multiply as numbers do.

        used = sum((quantity(pod["requests"]["cpu"]) for pod in pods), Decimal())

    Raises:
        ValueError: it is no quantity.
    """
    found = amount(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity, such as 100m, 1.5Gi or 1e3")
    return found


def quantity_text(amount: Decimal | int) -> str:
    """Return an amount as a quantity: `16Gi`, `1500m`, `8`; the largest binary unit it is a whole number of."""
    value = Decimal(amount)
    for suffix, factor in _LARGEST_FIRST:
        if value and value % factor == 0:
            return f"{value / factor:f}{suffix}"
    for suffix in ("", "m", "u", "n"):
        scaled = value / _SUFFIXES.get(suffix, Decimal(1))
        if scaled == scaled.to_integral_value() or suffix == "n":
            return f"{scaled.to_integral_value():f}{suffix}"
    raise AssertionError("unreachable")


def amount(text: Any) -> Decimal | None:
    """Return the amount of a quantity, None where it is none."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        return None
    number, factor = str(text), Decimal(1)
    for length in (2, 1):
        if number[-length:] in _SUFFIXES:
            number, factor = number[:-length], _SUFFIXES[number[-length:]]
            break
    try:
        found = Decimal(number) * factor
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
