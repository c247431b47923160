"""What a recording keeps of a body: enough to play the same part again, and no secrets.

Of an object that is its kind and the public part of its metadata, unless bodies are asked for. Of a Secret, of tokens
and of whatever answers on a path where those are asked for it is never more. Annotations are a copy of the whole object
where `kubectl apply` was used, and go with the body. What the server says of itself (discovery, reviews of our own
rights, a Status, a Lease) is kept: without it nothing could be played.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .identity.redaction import HIDDEN, words_of_program

# Of metadata. Whatever is not named here is left out.
METADATA: Final = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "labels", "ownerReferences", "finalizers", "continue", "remainingItemCount",
)  # fmt: skip
# Of annotations: what ends the first events of a streaming list.
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
# Kept whole: by group, or by kind. They say what is served and what we may do, and hold nothing of anybody.
REVIEWS: Final = "authorization.k8s.io/"
AUTHENTICATION: Final = "authentication.k8s.io/"
WHOLE_KINDS: Final = frozenset({"APIGroup", "APIGroupList", "APIGroupDiscoveryList", "APIResourceList", "APIVersions"})
LEASE_GROUP: Final = "coordination.k8s.io/"
HEALTH_PATHS: Final = ("/readyz", "/livez", "/healthz")
HEALTH_LIMIT_CHARS: Final = 2000
# Of a query: whatever else stands there may be anything.
QUERY: Final = frozenset(
    {
        "allowWatchBookmarks", "continue", "dryRun", "fieldManager", "fieldSelector", "fieldValidation", "force",
        "labelSelector", "limit", "propagationPolicy", "resourceVersion", "resourceVersionMatch", "sendInitialEvents",
        "shardSelector", "timeoutSeconds", "watch",
    }
)  # fmt: skip
VERSION_KEYS: Final = ("major", "minor", "gitVersion", "platform")

Json = dict[str, Any]


def reduced_query(query: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return a query with the values hidden that are not known to be harmless."""
    return [[name, value if name in QUERY else HIDDEN] for name, value in query]


def reduced_body(body: bytes | None, path: str, *, bodies: bool = False) -> Json | None:
    """Return what is kept of a body, None of none.

    The result has one key: `json`, for what could be read; `text`, the answer of a health endpoint; `bytes`, how many
    there were of anything else.
    """
    if not body:
        return None
    if path.startswith(HEALTH_PATHS):
        return {"text": words_of_program(body.decode(errors="replace")[:HEALTH_LIMIT_CHARS])}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {"bytes": len(body)}
    if path == "/version" and isinstance(document, dict):
        return {"json": {name: document[name] for name in VERSION_KEYS if name in document}}
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        return {"bytes": len(body)}  # a patch without a kind, a schema, or what no server of Kubernetes says
    return {"json": reduced_object(document, path, bodies=bodies)}


def reduced_line(line: bytes, path: str, *, bodies: bool = False) -> Json:
    """Return what is kept of a line of a watch."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {"bytes": len(line)}
    if (
        not isinstance(event, dict)
        or not isinstance(event.get("object"), dict)
        or not isinstance(event.get("type"), str)
    ):
        return {"bytes": len(line)}
    return {"json": {"type": event["type"], "object": reduced_object(event["object"], path, bodies=bodies)}}


def reduced_object(document: Json, path: str, *, bodies: bool = False) -> Json:
    """Return what is kept of an object, or of a list of them."""
    group, kind = str(document.get("apiVersion", "")), str(document.get("kind", ""))
    if kind == "Status":
        return _status(document)
    if kind in WHOLE_KINDS or group.startswith(REVIEWS):
        return document
    if isinstance(document.get("items"), list):
        items = [_item(item, kind, path, bodies=bodies) for item in document["items"] if isinstance(item, dict)]
        return {**_head(document), "metadata": _metadata(document), "items": items}
    if bodies and not is_secret(kind, group, path):
        return _without_managed_fields(document)
    kept = {**_head(document), "metadata": _metadata(document)}
    if group.startswith(LEASE_GROUP) and isinstance(document.get("spec"), dict):
        kept["spec"] = document["spec"]
    return kept


def is_secret(kind: str, group: str, path: str) -> bool:
    """Tell whether an object of this kind, or whatever answers on this path, is never kept."""
    parts = path.split("/")
    return kind.startswith("Secret") or group.startswith(AUTHENTICATION) or "secrets" in parts or parts[-1] == "token"


def _item(item: Json, list_kind: str, path: str, *, bodies: bool) -> Json:
    # The items of built-in lists carry no kind of their own; those of a mixed list do.
    group = str(item.get("apiVersion", ""))
    if bodies and not any(is_secret(kind, group, path) for kind in (list_kind, str(item.get("kind", "")))):
        return _without_managed_fields(item)
    kept = {**_head(item), "metadata": _metadata(item)}
    if list_kind == "LeaseList" and isinstance(item.get("spec"), dict):
        kept["spec"] = item["spec"]
    return kept


def _head(document: Json) -> Json:
    return {name: document[name] for name in ("kind", "apiVersion") if name in document}


def _metadata(document: Json) -> Json:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return {}
    kept = {name: metadata[name] for name in METADATA if name in metadata}
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping) and INITIAL_EVENTS_END in annotations:
        kept["annotations"] = {INITIAL_EVENTS_END: "true"}
    return kept


def _without_managed_fields(document: Json) -> Json:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return document
    return {**document, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _status(document: Json) -> Json:
    """Return a Status without what it quotes: a message of 422 shows the values that are invalid."""
    kept: Json = {
        name: document[name] for name in ("kind", "apiVersion", "status", "reason", "code") if name in document
    }
    kept["metadata"] = _metadata(document)
    if document.get("code") != 422 and isinstance(document.get("message"), str):
        kept["message"] = words_of_program(document["message"])
    details = document.get("details")
    if isinstance(details, Mapping):
        names = ("name", "group", "kind", "uid", "retryAfterSeconds")
        kept["details"] = {name: details[name] for name in names if name in details}
        causes = details.get("causes")
        if isinstance(causes, list):
            kept["details"]["causes"] = [
                {"reason": cause["reason"]} for cause in causes if isinstance(cause, dict) and "reason" in cause
            ]
    return kept
