"""The least of OpenAPI that kubectl wants to see before it lets the server validate what it sends."""

from __future__ import annotations

from .discovery import VERSION, group_versions
from .refusals import Body
from .registry import Registry

_INFO = {"title": "Kubernetes", "version": VERSION["gitVersion"]}


def openapi(registry: Registry, path: str) -> Body | None:
    """Return the document at a path; None where there is none."""
    if path == "/openapi/v2":
        return {"swagger": "2.0", "info": _INFO, "paths": _paths(registry), "definitions": {}}
    if path == "/openapi/v3":
        places = {
            _place(version): {"serverRelativeURL": f"/openapi/v3/{_place(version)}"} for version in _all(registry)
        }
        return {"paths": places}
    wanted = path.removeprefix("/openapi/v3/")
    found = next((version for version in _all(registry) if _place(version) == wanted), None)
    if found is None:
        return None
    return {"openapi": "3.0.0", "info": _INFO, "paths": _paths(registry, found), "components": {"schemas": {}}}


def _all(registry: Registry) -> list[str]:
    return group_versions(registry)


def _place(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _paths(registry: Registry, only: str = "") -> Body:
    paths: Body = {}
    for kind in registry:
        for version in kind.versions:
            group_version = f"{kind.group}/{version}" if kind.group else version
            if only in ("", group_version) and "patch" in kind.verbs:
                place = "/namespaces/{namespace}" if kind.namespaced else ""
                path = f"/{_place(group_version)}{place}/{kind.resource}/{{name}}"
                paths[path] = {"patch": _patch(kind.group, version, kind.name)}
    return paths


def _patch(group: str, version: str, kind: str) -> Body:
    parameters = [{"name": "fieldValidation", "in": "query"}, {"name": "dryRun", "in": "query"}]
    named = {"group": group, "version": version, "kind": kind}
    return {"x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": named, "parameters": parameters}
