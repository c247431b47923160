"""Who owns which field (`managedFields`), and server-side apply on top of it.

To the depth that our own writes use: maps, lists with keys, sets. A field belongs to whoever changed it last, or to
all who applied the same value; an apply may drop what only it owns, and meets a conflict where another owns it.
"""

from __future__ import annotations

from typing import Any

import attrs

from ..kinds.builtin_defaults import without_nulls
from ..kinds.list_keys import is_atomic
from ..storage.storage import timestamp
from ..wire.status_errors import Body, StatusError
from .field_paths import PRESENT, ListKeys, Path, from_tree, item_key, leaves, spelled, to_tree, without


@attrs.frozen
class Manager:
    """Who writes: the identity of an entry of managedFields. Who applies is the same in every version."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def is_(self, other: Manager) -> bool:
        """Tell whether the two share an entry."""
        fields = (self.name, self.operation, self.subresource) == (other.name, other.operation, other.subresource)
        return fields and (self.operation == "Apply" or self.api_version == other.api_version)

    def __str__(self) -> str:
        words = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return words + (f" using {self.api_version}" if self.operation == "Update" else "")


@attrs.define
class Owned:
    """The fields of one manager, and since when."""

    manager: Manager
    paths: set[Path]
    time: str


def tracked(old: Body | None, new: Body, manager: Manager, now: float, list_keys: ListKeys) -> Body:
    """Return a body with its managedFields after a plain write: what changed is the writer's from now on."""
    part = "status" if manager.subresource == "status" else "main"
    before = leaves(old, list_keys, part=part) if old is not None else {}
    after = leaves(new, list_keys, part=part)
    entries = read(old) if old is not None else []
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = {path for path in before if path not in after}
    if changed or gone:
        for entry in entries:
            entry.paths -= gone if entry.manager.is_(manager) else changed | gone
        if changed:
            _entry(entries, manager, now).paths.update(changed)
    return _written(new, entries)


def applied(live: Body | None, config: Body, manager: Manager, now: float, list_keys: ListKeys, *, force: bool) -> Body:
    """Return what an apply makes of an object (`live` None: there is none).

    Raises:
        StatusError: 409, others own fields with other values, and `force` was not asked for.
    """
    part = "status" if manager.subresource == "status" else "main"
    config = without_nulls(config)
    wanted = leaves(config, list_keys, part=part)
    if live is None:
        return _written(config, [Owned(manager, set(wanted), timestamp(now))])
    current = leaves(live, list_keys, part=part)
    entries = read(live)
    differing = {p for p, v in wanted.items() if v is not PRESENT and (p not in current or current[p] != v)}
    others = [entry for entry in entries if not entry.manager.is_(manager)]
    conflicts = [(entry.manager, path) for entry in others for path in sorted(differing & entry.paths)]
    if conflicts and not force:
        raise _conflict(conflicts)
    for entry in others:
        entry.paths -= differing
    mine = _entry(entries, manager, now, touch=False)
    dropped = mine.paths - set(wanted)
    body = _combined(live, {k: v for k, v in config.items() if (k == "status") is (part == "status")}, (), list_keys)
    for path in sorted(dropped, key=len):
        if not any(_covers(path, owned) for entry in others for owned in entry.paths):
            body = without(body, path)
    if mine.paths != set(wanted) or body != live:
        mine.time = timestamp(now)
    mine.paths = set(wanted)
    return _written(body, entries)


def read(body: Body) -> list[Owned]:
    """Return the managedFields of a body."""
    entries = []
    for entry in body["metadata"].get("managedFields") or ():
        who = (entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""))
        manager = Manager(*who, entry.get("subresource", ""))
        entries.append(Owned(manager, from_tree(entry.get("fieldsV1") or {}), entry.get("time", "")))
    return entries


def _entry(entries: list[Owned], manager: Manager, now: float, *, touch: bool = True) -> Owned:
    own = next((entry for entry in entries if entry.manager.is_(manager)), None)
    if own is None:
        own = Owned(manager, set(), timestamp(now))
        entries.append(own)
    if touch:
        own.time = timestamp(now)
    return own


def _written(body: Body, entries: list[Owned]) -> Body:
    fields = [_field_entry(entry) for entry in entries if entry.paths]
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata | ({"managedFields": fields} if fields else {})}


def _field_entry(entry: Owned) -> Body:
    manager = entry.manager
    written: Body = {"manager": manager.name, "operation": manager.operation, "apiVersion": manager.api_version}
    written |= {"time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": to_tree(entry.paths)}
    return written | ({"subresource": manager.subresource} if manager.subresource else {})


def _combined(live: Any, config: Any, names: tuple[str, ...], list_keys: ListKeys) -> Any:
    if isinstance(config, dict) and isinstance(live, dict) and not (names and is_atomic(names)):
        result = dict(live)
        for key, value in config.items():
            result[key] = _combined(live.get(key), value, (*names, key), list_keys)
        return result
    keys = list_keys(names) if isinstance(config, list) and isinstance(live, list) else None
    if keys is None:
        return config
    if keys == ():
        return [*live, *(item for item in config if item not in live)]
    merged = {item_key(item, keys): item for item in live}
    for item in config:
        place = item_key(item, keys)
        merged[place] = _combined(merged.get(place), item, names, list_keys)
    return list(merged.values())


def _covers(path: Path, other: Path) -> bool:
    return other[: len(path)] == path


def _conflict(conflicts: list[tuple[Manager, Path]]) -> StatusError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": spelled(path)}
        for manager, path in conflicts
    ]
    if len(causes) == 1:
        words = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        fields: dict[str, str] = {}
        for manager, path in conflicts:
            fields[str(manager)] = fields.get(str(manager), "") + f"\n- {spelled(path)}"
        words = f"{len(causes)} conflicts: " + "\n".join(f"conflicts with {who}:{of}" for who, of in fields.items())
    return StatusError(409, "Conflict", f"Apply failed with {words}", {"causes": causes})
