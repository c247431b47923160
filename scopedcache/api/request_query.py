"""The query parameters, content types and bodies of requests: what a method of the client writes into its request."""

from __future__ import annotations

from typing import Any, Final, Literal

from ..selectors import Labels, LabelSelector
from .codec import encode

PatchType = Literal["merge", "json", "strategic", "apply"]
Propagation = Literal["Background", "Foreground", "Orphan"]
QueryList = list[tuple[str, str]]

FIELD_MANAGER: Final = "scopedcache"
# Small enough that decoding one page does not hold the loop for more than a few milliseconds.
PAGE_OBJECTS: Final = 250
JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
# Whole objects last, as the API documentation asks for: a server that knows no metadata alone sends those, unasked.
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA_WATCH: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
PATCH_CONTENT_TYPES: Final[dict[PatchType, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": APPLY,
}


def shard_query(shard: str | None) -> QueryList:
    """Return the parameter of a sharded list or watch (KEP-5866). It never goes with a deletion, where a server that
    does not know it would delete everything.
    """
    return [("shardSelector", shard)] if shard else []


def selector_query(labels: Labels, fields: str | None) -> QueryList:
    """Return the parameters that select what a list, a watch or a deletion is about."""
    selector = str(LabelSelector.parse(labels))
    query = [("labelSelector", selector)] if selector else []
    return query + ([("fieldSelector", fields)] if fields else [])


def selected_name(fields: str | None) -> str | None:
    """Return the one name a field selector asks for: RBAC's `resourceNames` may then allow the list."""
    prefix = "metadata.name="
    return fields.removeprefix(prefix) if fields and fields.startswith(prefix) and "," not in fields else None


def page_query(
    labels: Labels, fields: str | None, *, page: int | None, resource_version: str | None, continue_token: str | None
) -> QueryList:
    """Return the parameters of one page of a list; without `page`, of the whole list.

    `resource_version`: the state at exactly that version. A continue token stands for the snapshot it began with, so it
    goes without one.
    """
    query = [*selector_query(labels, fields), *([("limit", str(page))] if page else [])]
    if continue_token:
        query.append(("continue", continue_token))
    elif resource_version:
        query += [("resourceVersion", resource_version), ("resourceVersionMatch", "Exact")]
    return query


def watch_query(
    labels: Labels, fields: str | None, *, resource_version: str, initial_events: bool, timeout: float | None
) -> QueryList:
    """Return the parameters of a watch; `initial_events`: it begins with the whole list (KEP-3157)."""
    query = [*selector_query(labels, fields), ("watch", "true"), ("allowWatchBookmarks", "true")]
    if initial_events:
        query += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
    if resource_version:
        query.append(("resourceVersion", resource_version))
    if timeout:
        query.append(("timeoutSeconds", str(max(1, round(timeout)))))
    return query


def write_query(field_manager: str, *, dry_run: bool = False, force: bool | None = None) -> QueryList:
    """Return the parameters of a write."""
    query = [("fieldManager", field_manager)] + ([("dryRun", "All")] if dry_run else [])
    return query + ([("force", "true" if force else "false")] if force is not None else [])


def delete_options(propagation: Propagation | None, uid: str | None) -> bytes:
    """Return the body of a deletion; `uid` is a precondition."""
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if propagation:
        options["propagationPolicy"] = propagation
    if uid:
        options["preconditions"] = {"uid": uid}
    return encode(options)
