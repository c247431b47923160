"""The JSON patch between two values: what an admission webhook answers a change with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Operation = dict[str, Any]


def json_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Operation]:
    """Return the operations that make `after` of `before`; none where they are equal.

    A list that differs is replaced as a whole: which of its items became which cannot be seen.
    """
    return list(_changes(before, after, ""))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], place: str) -> Iterator[Operation]:
    for name in before:
        if name not in after:
            yield {"op": "remove", "path": f"{place}/{_escaped(name)}"}
    for name, value in after.items():
        path = f"{place}/{_escaped(name)}"
        if name not in before:
            yield {"op": "add", "path": path, "value": value}
        elif isinstance(value, Mapping) and isinstance(before[name], Mapping):
            yield from _changes(before[name], value, path)
        elif type(value) is not type(before[name]) or value != before[name]:
            yield {"op": "replace", "path": path, "value": value}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
