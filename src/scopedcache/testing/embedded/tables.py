"""What `kubectl get` prints: columns of built-in kinds, and the `additionalPrinterColumns` of a CRD."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import attrs

from .clock import wall
from .kinds import Kind
from .refusals import Body

Cell = Callable[[Body, float], Any]
_FILTER = re.compile(r"""\[\?\(@\.([\w.]+)\s*==\s*["']([^"']*)["']\)\]|\[(\d+|\*)\]|\.?([^.\[\]]+)""")


@attrs.frozen
class Column:
    """A column, and what stands in it for an object at a time."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    priority: int = 0

    @property
    def definition(self) -> Body:
        described = {"name": self.name, "type": self.type, "format": self.format}
        return described | {"description": self.name, "priority": self.priority}


def columns_of(kind: Kind, version: str) -> list[Column]:
    """Return the columns of a kind: its name first, its age where nothing else is known."""
    if kind.custom:
        found = kind.columns.get(version) or [
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
        ]
        return [NAME, *(_printer_column(column) for column in found)]
    return [NAME, *COLUMNS.get(kind.key, ()), AGE]


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


def age(since: str | None, now: float) -> str:
    """Return how long ago a time was, as people read it: `3m20s`."""
    if not since:
        return "<unknown>"
    seconds = max(0, int(wall(now) - datetime.fromisoformat(since).timestamp()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{days}d"


def _printer_column(column: Body) -> Column:
    path, dated = column["jsonPath"], column.get("type") == "date"

    def cell(body: Body, now: float) -> Any:
        found = at(body, path)
        return age(found, now) if dated and found else found

    # Names and dates are printed as they come: what kubectl gets for a date is the age.
    type_ = "string" if dated else column.get("type", "string")
    return Column(column["name"], cell, type_, column.get("format", ""), column.get("priority", 0))


def _number(path: str) -> Cell:
    return lambda body, _: at(body, path) or 0


def _text(path: str) -> Cell:
    return lambda body, _: str(found) if (found := at(body, path)) is not None else "<none>"


def _size(path: str) -> Cell:
    return lambda body, _: len(at(body, path) or ())


def _of(ready: str, wanted: str) -> Cell:
    return lambda body, _: f"{at(body, ready) or 0}/{at(body, wanted) or 0}"


def _pod_ready(body: Body, _: float) -> str:
    statuses = at(body, ".status.containerStatuses") or ()
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(at(body, '.spec.containers') or ())}"


def _pod_status(body: Body, _: float) -> str:
    return "Terminating" if at(body, ".metadata.deletionTimestamp") else at(body, ".status.phase") or "Pending"


def _restarts(body: Body, _: float) -> str:
    return str(sum(s.get("restartCount", 0) for s in at(body, ".status.containerStatuses") or ()))


def _node_status(body: Body, _: float) -> str:
    return "Ready" if at(body, '.status.conditions[?(@.type=="Ready")].status') == "True" else "NotReady"


def _role(body: Body, _: float) -> str:
    return f"{at(body, '.roleRef.kind')}/{at(body, '.roleRef.name')}"


def _subject(body: Body, _: float) -> str:
    about = body.get("involvedObject") or body.get("regarding") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


NAME = Column("Name", lambda body, _: body["metadata"]["name"], format="name")
AGE = Column("Age", lambda body, now: age(at(body, ".metadata.creationTimestamp"), now))
COLUMNS: dict[tuple[str, str], list[Column]] = {
    ("", "namespaces"): [Column("Status", _text(".status.phase"))],
    ("", "nodes"): [Column("Status", _node_status)],
    ("", "pods"): [Column("Ready", _pod_ready), Column("Status", _pod_status), Column("Restarts", _restarts)],
    ("", "configmaps"): [Column("Data", _size(".data"), "integer")],
    ("", "secrets"): [Column("Type", _text(".type")), Column("Data", _size(".data"), "integer")],
    ("", "services"): [Column("Type", _text(".spec.type")), Column("Cluster-IP", _text(".spec.clusterIP"))],
    ("", "serviceaccounts"): [Column("Secrets", _size(".secrets"), "integer")],
    ("", "events"): [
        Column("Type", _text(".type")),
        Column("Reason", _text(".reason")),
        Column("Object", _subject),
        Column("Message", _text(".message")),
    ],
    ("apps", "deployments"): [
        Column("Ready", _of(".status.readyReplicas", ".spec.replicas")),
        Column("Up-to-date", _number(".status.updatedReplicas"), "integer"),
        Column("Available", _number(".status.availableReplicas"), "integer"),
    ],
    ("apps", "replicasets"): [
        Column("Desired", _number(".spec.replicas"), "integer"),
        Column("Current", _number(".status.replicas"), "integer"),
        Column("Ready", _number(".status.readyReplicas"), "integer"),
    ],
    ("rbac.authorization.k8s.io", "rolebindings"): [Column("Role", _role)],
    ("rbac.authorization.k8s.io", "clusterrolebindings"): [Column("Role", _role)],
    ("coordination.k8s.io", "leases"): [Column("Holder", _text(".spec.holderIdentity"))],
}
