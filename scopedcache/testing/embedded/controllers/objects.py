"""What several controllers need to know of an object: who owns it, whether a selector means it, where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..kinds.kind import Kind
from ..storage.storage import Stored, timestamp
from ..wire.status_errors import Body


class Place(NamedTuple):
    """Where an object is."""

    kind: Kind
    namespace: str
    name: str


def place_of(stored: Stored) -> Place:
    return Place(stored.kind, stored.namespace, stored.name)


def owners(stored: Stored) -> list[Body]:
    """Return the ownerReferences."""
    return stored.metadata.get("ownerReferences") or []


def reference_to(owner: Stored) -> Body:
    """Return the ownerReference of what a controller creates for an object."""
    about = {"apiVersion": owner.body["apiVersion"], "kind": owner.kind.name, "name": owner.name, "uid": owner.uid}
    return {**about, "controller": True, "blockOwnerDeletion": True}


def condition(stored: Stored, type_: str) -> Body | None:
    """Return a condition of the status."""
    entries = (stored.body.get("status") or {}).get("conditions") or []
    return next((entry for entry in entries if entry["type"] == type_), None)


def is_ready(pod: Stored) -> bool:
    return (condition(pod, "Ready") or {}).get("status") == "True"


def with_status(stored: Stored, status: Mapping[str, Any]) -> Body:
    """Return a body with another status."""
    return {**stored.body, "status": dict(status)}


def with_metadata(stored: Stored, **fields: Any) -> Body:
    """Return a body with other metadata; None removes a field."""
    metadata = {**stored.metadata, **fields}
    return {**stored.body, "metadata": {k: v for k, v in metadata.items() if v is not None}}


def new_condition(type_: str, true: bool, reason: str, message: str) -> Body:
    """Return a condition, without its times."""
    return {"type": type_, "status": "True" if true else "False", "reason": reason, "message": message}


def conditions(old: Stored, now: float, fresh: Iterable[Body], *, updates: bool = False) -> list[Body]:
    """Return conditions of a status: `lastTransitionTime` stays where the status of a condition does.

    Where there is a `lastUpdateTime` (`updates`), it stays where all of the condition does.
    """
    made = []
    for entry in fresh:
        before = condition(old, entry["type"]) or {}
        moved = before["lastTransitionTime"] if before.get("status") == entry["status"] else timestamp(now)
        updated = before["lastUpdateTime"] if updates and entry.items() <= before.items() else timestamp(now)
        made.append(entry | {"lastTransitionTime": moved} | ({"lastUpdateTime": updated} if updates else {}))
    return made
