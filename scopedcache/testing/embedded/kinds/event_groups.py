"""Events are served in two groups, and are the same objects: stored as core ones, shown as either."""

from __future__ import annotations

from typing import Final

from ..wire.status_errors import Body

KEY: Final = ("", "events")
NEW: Final = "events.k8s.io/v1"
OLD: Final = "v1"
# events.k8s.io → core
_NAMES: Final = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK: Final = {old: new for new, old in _NAMES.items()}


def converted(body: Body, api_version: str) -> Body:
    """Return an event as the other group names its fields; a series is the same in both."""
    if body.get("apiVersion") == api_version:
        return body
    names = _BACK if api_version == NEW else _NAMES
    return {names.get(field, field): value for field, value in body.items()} | {"apiVersion": api_version}
