"""The scale of an object: one number, behind the same small kind for all that have one."""

from __future__ import annotations

from typing import Any

from ..kinds.kind import Kind
from ..kinds.printer_columns import at
from ..wire.status_errors import Body
from .patches import merged


def scale_of(kind: Kind, version: str, body: Body) -> Body:
    """Return the Scale of an object."""
    paths = kind.versions[version].scale
    metadata = body["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = at(body, paths["specReplicasPath"])
    status: Body = {"replicas": at(body, paths["statusReplicasPath"]) or 0}
    if selector := _selector(paths, body):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def with_scale(kind: Kind, version: str, body: Body, scale: Any) -> Body:
    """Return an object with the number of a Scale in it."""
    change: Any = (scale.get("spec") or {}).get("replicas", 0)
    for field in reversed(kind.versions[version].scale["specReplicasPath"].strip(".").split(".")):
        change = {field: change}
    wanted = (scale.get("metadata") or {}).get("resourceVersion")
    conditions = {"metadata": {"resourceVersion": wanted}} if wanted else {}
    return merged(body, {**change, **conditions})  # type: ignore[no-any-return]


def _selector(paths: Any, body: Body) -> str:
    if path := paths.get("labelSelectorPath"):
        return at(body, path) or ""
    labels = at(body, ".spec.selector.matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
