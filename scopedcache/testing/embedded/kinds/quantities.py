"""Quantities as Go keeps them: `1000m` is stored as `1`, and sums keep the notation of their first part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Final, Literal

Notation = Literal["decimal", "binary", "exponent"]

_DECIMAL: Final = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO: Final = Decimal("1e-9")
_FACTORS: Final = {suffix: Decimal(1000) ** (power - 3) for power, suffix in enumerate(_DECIMAL) if suffix} | {
    suffix: Decimal(1024) ** power for power, suffix in enumerate(_BINARY) if suffix
}


def read(text: Any) -> tuple[Decimal, Notation] | None:
    """Return an amount and how it is written; None where it is no quantity."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        return None
    number, factor, notation = str(text), Decimal(1), "decimal"
    for length in (2, 1):
        suffix = number[-length:]
        if suffix in _FACTORS:
            number, factor = number[:-length], _FACTORS[suffix]
            notation = "binary" if suffix.endswith("i") else "decimal"
            break
    else:
        notation = "exponent" if "e" in number.lower() else "decimal"
    try:
        amount = Decimal(number) * factor
    except InvalidOperation:
        return None
    return (amount, notation) if amount.is_finite() else None  # type: ignore[return-value]


def amount(text: Any) -> Decimal:
    """Return an amount; what is no quantity is nothing."""
    found = read(text)
    return found[0] if found is not None else Decimal(0)


def written(value: Decimal, notation: Notation = "decimal") -> str:
    """Write an amount as the server does: the largest unit in which it is a whole number."""
    if notation == "binary" and abs(value) >= 1024:
        value, power = value.to_integral_value(ROUND_CEILING), 0
        while power < len(_BINARY) - 1 and value % 1024 == 0:
            value, power = value / 1024, power + 1
        return f"{value.to_integral_value():f}{_BINARY[power]}"
    nano, power = (value / _NANO).to_integral_value(ROUND_CEILING), 0
    while nano and power < len(_DECIMAL) - 1 and nano % 1000 == 0:
        nano, power = nano / 1000, power + 1
    return f"{nano.to_integral_value():f}{_DECIMAL[power]}" if nano else "0"


def canonical(text: Any) -> Any:
    """Return a quantity as it is stored; what is none stays as it is."""
    found = read(text)
    if found is None or found[1] == "exponent":
        return text
    return written(*found)


def canonical_map(amounts: Any) -> Any:
    """Return a map of quantities as it is stored."""
    return {name: canonical(text) for name, text in amounts.items()} if isinstance(amounts, dict) else amounts


def total(texts: Iterable[Any]) -> str:
    """Return the sum of quantities."""
    value, notation = Decimal(0), "decimal"
    for text in texts:
        found = read(text)
        if found is not None:
            notation = found[1] if not value else notation
            value += found[0]
    return written(value, notation)  # type: ignore[arg-type]


def largest(texts: Iterable[Any]) -> str:
    """Return the largest of quantities."""
    return max((str(text) for text in texts), key=amount, default="0")


def spelled(amounts: Mapping[str, Any]) -> str:
    """Return quantities as messages list them: `pods=1,requests.cpu=100m`."""
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))
