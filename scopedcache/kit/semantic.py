"""Are two objects the same to the API server, though written differently?

Equal are: a field that is missing, null or an empty list; an empty map of texts (labels …) and a missing one; two
quantities of one amount (`1000m` and `1`) among limits and requests. Everything else compares as it stands: an empty
object may mean something (`namespaceSelector: {}` is every namespace).
"""

from __future__ import annotations

from typing import Any, Final

from .quantity import amount

# Fields that are maps of quantities: of containers, claims, quotas and limit ranges.
_QUANTITIES: Final = frozenset(
    {"limits", "requests", "hard", "max", "min", "default", "defaultRequest", "maxLimitRequestRatio"}
)
# Lists that others may add to, and what tells their entries apart; None: they are texts. All others are one value.
_MERGED: Final[dict[str, tuple[str, ...] | None]] = {
    "finalizers": None,
    "ownerReferences": ("uid",),
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "volumeMounts": ("mountPath",),
}
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


def equal(one: Any, other: Any) -> bool:
    """Tell whether two JSON values mean the same."""
    return _equal(one, other, field="")


def contains(live: Any, wanted: Any) -> bool:
    """Tell whether a JSON value holds everything that is wanted of it; what else it holds is others' business.

    That is what a server-side apply would leave as it is: defaults that the server fills in, fields and list entries of
    others. A list of which nobody knows how its entries are told apart is one value, entry for entry.
    """
    return _contains(live, wanted, field="")


def _equal(one: Any, other: Any, field: str) -> bool:
    if _empty(one, field) or _empty(other, field):
        return _empty(one, field) and _empty(other, field)
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        if field in _QUANTITIES:
            return all(_same_quantity(one.get(name), other.get(name)) for name in names)
        # A loop, and texts that are one object first: of what is unchanged, most is, and a call each would be the cost.
        for name in names:
            mine, theirs = one.get(name), other.get(name)
            if mine is not theirs and not _equal(mine, theirs, name):
                return False
        return True
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(a, b, "") for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _contains(live: Any, wanted: Any, field: str) -> bool:
    if _empty(wanted, field):
        return wanted != [] or _empty(live, field)
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return False
        if field in _QUANTITIES:
            return all(_same_quantity(live.get(name), value) for name, value in wanted.items())
        return all(_contains(live.get(name), value, name) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and _list_contains(live, wanted, field)
    if isinstance(wanted, bool) or isinstance(live, bool) or not isinstance(wanted, int | float):
        return type(live) is type(wanted) and bool(live == wanted)
    return isinstance(live, int | float) and live == wanted


def _list_contains(live: list[Any], wanted: list[Any], field: str) -> bool:
    if field in _MERGED:
        names = _MERGED[field]
        if names is None:
            return all(one in live for one in wanted)
        if all(isinstance(one, dict) for one in (*live, *wanted)):
            by_name = {tuple(one.get(name) for name in names): one for one in live}
            return all(_contains(by_name.get(tuple(one.get(name) for name in names)), one, "") for one in wanted)
    return len(live) == len(wanted) and all(_contains(a, b, "") for a, b in zip(live, wanted, strict=True))


def _empty(value: Any, field: str) -> bool:
    return value is None or value == [] or (value == {} and field in _MAPS)


def _same_quantity(one: Any, other: Any) -> bool:
    if one == other:
        return True
    left, right = amount(one), amount(other)
    return left is not None and left == right
