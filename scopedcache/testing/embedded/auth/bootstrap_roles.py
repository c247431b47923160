"""What every cluster holds from its first moment: system roles, their bindings, and the system namespaces."""

from __future__ import annotations

from typing import Final

from ..kinds.builtin_defaults import new_namespace
from ..kinds.kind_registry import Registry
from ..storage.storage import Storage
from ..wire.status_errors import Body
from .rbac_authorizer import AUTHENTICATED, GROUP, MASTERS, UNAUTHENTICATED

NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_PUBLIC: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_PUBLIC]
_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "deletecollection", "patch", "update"]
_CORE: Final = [
    "configmaps",
    "events",
    "pods",
    "pods/status",
    "secrets",
    "serviceaccounts",
    "services",
    "services/status",
]
_APPS: Final = ["deployments", "deployments/scale", "deployments/status", "replicasets", "replicasets/scale",
         "replicasets/status"]  # fmt: skip
_LIMITS: Final = ["limitranges", "resourcequotas", "resourcequotas/status"]
_NETWORKING: Final = "networking.k8s.io"
_READABLE: Final = [name for name in _CORE if name != "secrets"]


def bootstrap(storage: Storage, registry: Registry, now: float) -> None:
    """Store it all."""
    for name in NAMESPACES:
        storage.create(registry["namespaces"], new_namespace({"metadata": {"name": name}}), now)
    for role, rules in ROLES.items():
        metadata: Body = {
            "name": role,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"} | LABELS.get(role, {}),
        }
        body: Body = {"apiVersion": f"{GROUP}/v1", "metadata": metadata, "rules": rules}
        if role in AGGREGATED:
            chosen = {"matchLabels": {f"{GROUP}/aggregate-to-{role}": "true"}}
            body["aggregationRule"] = {"clusterRoleSelectors": [chosen]}
        storage.create(registry[f"clusterroles.{GROUP}"], body, now)
    for role, groups in BINDINGS.items():
        storage.create(registry[f"clusterrolebindings.{GROUP}"], _binding(role, groups), now)


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Body:
    return {"verbs": verbs, "apiGroups": groups, "resources": resources}


def _paths(paths: list[str]) -> Body:
    return {"verbs": ["get"], "nonResourceURLs": paths}


def _binding(role: str, groups: list[str]) -> Body:
    return {
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups],
    }


_EDIT: Final = [
    _rule([""], _CORE, [*_READ, *_WRITE]),
    _rule(["apps"], _APPS, [*_READ, *_WRITE]),
    _rule(["coordination.k8s.io"], ["leases"], [*_READ, *_WRITE]),
    _rule([""], ["namespaces", *_LIMITS], _READ),
    _rule([_NETWORKING], ["networkpolicies"], [*_READ, *_WRITE]),
]
_VIEW: Final = [
    _rule([""], [*_READABLE, "namespaces", *_LIMITS], _READ),
    _rule([_NETWORKING], ["networkpolicies"], _READ),
    _rule(["apps"], _APPS, _READ),
    _rule(["coordination.k8s.io"], ["leases"], _READ),
]
_RIGHTS: Final = _rule([GROUP], ["rolebindings", "roles"], [*_READ, *_WRITE])

ROLES: Final[dict[str, list[Body]]] = {
    "cluster-admin": [_rule(["*"], ["*"], ["*"]), {"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "system:basic-user": [
        _rule(["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
        _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
    ],
    "system:discovery": [_paths(_DISCOVERY)],
    "system:public-info-viewer": [_paths(_PUBLIC)],
    # What users know by these names; the rules of the real ones come by aggregation, as those added here do.
    "admin": [],
    "edit": [],
    "view": [],
    "system:aggregate-to-admin": [_RIGHTS, _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"])],
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-view": _VIEW,
}
AGGREGATED: Final = ("admin", "edit", "view")
_TO: Final = f"{GROUP}/aggregate-to-"
LABELS: Final[dict[str, dict[str, str]]] = {
    "edit": {f"{_TO}admin": "true"},
    "view": {f"{_TO}edit": "true"},
    "system:aggregate-to-admin": {f"{_TO}admin": "true"},
    "system:aggregate-to-edit": {f"{_TO}edit": "true"},
    "system:aggregate-to-view": {f"{_TO}view": "true"},
}
BINDINGS: Final = {
    "cluster-admin": [MASTERS],
    "system:basic-user": [AUTHENTICATED],
    "system:discovery": [AUTHENTICATED],
    "system:public-info-viewer": [AUTHENTICATED, UNAUTHENTICATED],
}
