"""Are two objects the same to the API server, though written differently?

Equal are: a field that is missing, null or an empty list; an empty map of texts (labels …) and a missing one; two
quantities of one amount (`1000m` and `1`) among limits and requests. Everything else compares as it stands: an empty
object may mean something (`namespaceSelector: {}` is every namespace).
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

# Fields that are maps of quantities: of containers, claims and quotas.
_QUANTITIES: Final = frozenset({"limits", "requests", "hard"})
# Fields that are maps of texts, which the server leaves out where they are empty.
_MAPS: Final = _QUANTITIES | {
    "labels",
    "annotations",
    "matchLabels",
    "nodeSelector",
    "data",
    "binaryData",
    "stringData",
}
_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}


def equal(one: Any, other: Any) -> bool:
    """Tell whether two JSON values mean the same."""
    return _equal(one, other, field="")


def quantity(text: Any) -> Decimal | None:
    """Return the amount of a quantity (`100m`, `1.5Gi`, `1e3`), None where it is none."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        return None
    number, factor = str(text), Decimal(1)
    for length in (2, 1):
        if number[-length:] in _SUFFIXES:
            number, factor = number[:-length], _SUFFIXES[number[-length:]]
            break
    try:
        amount = Decimal(number) * factor
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _equal(one: Any, other: Any, field: str) -> bool:
    if _empty(one, field) or _empty(other, field):
        return _empty(one, field) and _empty(other, field)
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        if field in _QUANTITIES:
            return all(_same_quantity(one.get(name), other.get(name)) for name in names)
        return all(_equal(one.get(name), other.get(name), name) for name in names)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(a, b, "") for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _empty(value: Any, field: str) -> bool:
    return value is None or value == [] or (value == {} and field in _MAPS)


def _same_quantity(one: Any, other: Any) -> bool:
    if one == other:
        return True
    left, right = quantity(one), quantity(other)
    return left is not None and left == right
