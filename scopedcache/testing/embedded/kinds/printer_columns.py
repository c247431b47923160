"""What `kubectl get` prints: columns of built-in kinds, and the `additionalPrinterColumns` of a CRD."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import attrs

from ..clock import wall
from ..wire.status_errors import Body
from .kind import Kind

Cell = Callable[[Body, float], Any]
_FILTER: Final = re.compile(r"""\[\?\(@\.([\w.]+)\s*==\s*["']([^"']*)["']\)\]|\[(\d+|\*)\]|\.?([^.\[\]]+)""")


@attrs.frozen
class Column:
    """A column, and what stands in it for an object at a time."""

    name: str
    cell: Cell
    type: str = "string"
    priority: int = 0

    @property
    def definition(self) -> Body:
        format_ = "name" if self.name == _NAME.name else ""
        described = {"name": self.name, "type": self.type, "format": format_}
        return described | {"description": self.name, "priority": self.priority}


def columns_of(kind: Kind, version: str) -> list[Column]:
    """Return the columns of a kind: its name first, its age where nothing else is known."""
    if kind.custom:
        return [_NAME, *([_printed(column) for column in kind.versions[version].columns] or [_AGE])]
    return [_NAME, *(Column(name, cell) for name, cell in _BUILTIN.get(kind.key, {}).items()), _AGE]


def row_of(columns: Iterable[Column], body: Body, now: float) -> list[Any]:
    """Return the cells of an object."""
    return [column.cell(body, now) for column in columns]


def at(body: Any, path: str) -> Any:
    """Return what a JSONPath of printer columns points at: fields, indices, and `[?(@.type=="…")]`."""
    for key, wanted, index, field in _FILTER.findall(path):
        if body is None:
            return None
        if key:
            body = next((item for item in body if isinstance(item, dict) and str(at(item, key)) == wanted), None)
        elif index:
            body = body[0 if index == "*" else int(index)] if isinstance(body, list) and body else None
        else:
            body = body.get(field) if isinstance(body, dict) else None
    return body


def age(since: str, now: float) -> str:
    """Return how long ago a time was, as people read it: `20s`, `3m`, `5h`, `2d`."""
    seconds = max(0, int(wall(now) - datetime.fromisoformat(since).timestamp()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h" if seconds < 48 * 3600 else f"{seconds // 86400}d"


def _printed(column: Body) -> Column:
    """Return a column of a CRD. What kubectl gets for a date is the age."""
    cell, type_ = _at(column["jsonPath"]), column.get("type", "string")
    if type_ == "date":
        cell, type_ = _aged(column["jsonPath"]), "string"
    return Column(column["name"], cell, type_, column.get("priority", 0))


def _at(path: str, missing: Any = None) -> Cell:
    return lambda body, _: missing if (value := at(body, path)) is None else value


def _aged(path: str) -> Cell:
    return lambda body, now: age(since, now) if (since := at(body, path)) else None


def _deployment_ready(body: Body, _: float) -> str:
    return f"{at(body, '.status.readyReplicas') or 0}/{at(body, '.spec.replicas')}"


def _pod_ready(body: Body, _: float) -> str:
    statuses = at(body, ".status.containerStatuses") or ()
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(at(body, '.spec.containers'))}"


def _pod_status(body: Body, _: float) -> str:
    return "Terminating" if at(body, ".metadata.deletionTimestamp") else at(body, ".status.phase") or "Pending"


_NAME: Final = Column("Name", _at(".metadata.name"))
_AGE: Final = Column("Age", _aged(".metadata.creationTimestamp"))
# What people look at to see how it goes; all others show their name and age.
_BUILTIN: Final[dict[tuple[str, str], dict[str, Cell]]] = {
    ("", "namespaces"): {"Status": _at(".status.phase")},
    ("", "pods"): {"Ready": _pod_ready, "Status": _pod_status},
    ("", "events"): {
        "Type": _at(".type"),
        "Reason": _at(".reason"),
        "Object": _at(".involvedObject.name"),
        "Message": _at(".message"),
    },
    ("apps", "deployments"): {
        "Ready": _deployment_ready,
        "Up-to-date": _at(".status.updatedReplicas", 0),
        "Available": _at(".status.availableReplicas", 0),
    },
    ("apps", "replicasets"): {
        "Desired": _at(".spec.replicas"),
        "Current": _at(".status.replicas"),
        "Ready": _at(".status.readyReplicas", 0),
    },
}
