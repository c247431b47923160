"""The discovery documents: which groups, versions and resources there are."""

from __future__ import annotations

from typing import Final

from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..wire.status_errors import Body

VERSION: Final[Body] = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}
# The verbs of subresources, where they are not those of a status.
_SUBRESOURCE_VERBS: Final = {"token": ["create"]}
_SCALE: Final = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
_TOKEN: Final = {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}


def document(registry: Registry, path: str) -> Body | None:
    """Return the document at a path; None where there is none."""
    match path.strip("/").split("/"):
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(registry, name) for name in _groups(registry)]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", version]:
            return _resources(registry, "", version)
        case ["apis", group] if group in _groups(registry):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, group)}
        case ["apis", group, version]:
            return _resources(registry, group, version)
    return None


def _groups(registry: Registry) -> list[str]:
    return list({kind.group: None for kind in registry if kind.group})


def _group(registry: Registry, group: str) -> Body:
    versions = list({v: None for kind in registry if kind.group == group for v in kind.versions})
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resources(registry: Registry, group: str, version: str) -> Body | None:
    kinds = [kind for kind in registry if kind.group == group and version in kind.versions]
    if not kinds:
        return None
    group_version = f"{group}/{version}" if group else version
    resources = [entry for kind in kinds for entry in _entries(kind, version)]
    head = {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}
    return head | ({"apiVersion": "v1"} if group else {})


def _entries(kind: Kind, version: str) -> list[Body]:
    entry: Body = {
        "name": kind.resource,
        "singularName": kind.singular or kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    return [entry, *(_subresource(kind, name) for name in sorted(kind.versions[version].subresources))]


def served(kind: Kind, version: str, subresource: str) -> bool:
    """Tell whether a version of a kind has a subresource."""
    return subresource in kind.versions[version].subresources


def _subresource(kind: Kind, name: str) -> Body:
    entry: Body = {"name": f"{kind.resource}/{name}", "singularName": "", "namespaced": kind.namespaced}
    foreign = {"scale": _SCALE, "token": _TOKEN}.get(name)
    entry |= foreign or {"kind": kind.name}
    return entry | {"verbs": _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"])}
