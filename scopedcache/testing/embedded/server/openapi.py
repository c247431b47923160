"""The least of OpenAPI that kubectl wants to see before it lets the server validate what it sends."""

from __future__ import annotations

from typing import Final

from ..kinds.kind_registry import Registry
from ..wire.status_errors import Body
from .discovery_documents import VERSION

_ROOT: Final = "/openapi/v3"
_PARAMETERS: Final = [{"name": "fieldValidation", "in": "query"}, {"name": "dryRun", "in": "query"}]


def openapi(registry: Registry, path: str) -> Body | None:
    """Return the document at a path; None where there is none. Every group and version has the same one."""
    if path == _ROOT:
        places = [_place(kind.group, version) for kind in registry for version in kind.versions]
        return {"paths": {place: {"serverRelativeURL": f"{_ROOT}/{place}"} for place in places}}
    if not path.startswith(_ROOT):
        return None
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": _paths(registry), "components": {"schemas": {}}}


def _paths(registry: Registry) -> Body:
    paths: Body = {}
    for kind in registry:
        for version in kind.versions:
            named = {"group": kind.group, "version": version, "kind": kind.name}
            patch = {"x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": named}
            namespace = "namespaces/{namespace}/" if kind.namespaced else ""
            path = f"/{_place(kind.group, version)}/{namespace}{kind.resource}/{{name}}"
            paths[path] = {"patch": patch | {"parameters": _PARAMETERS}}
    return paths


def _place(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"
