"""The built-in kinds, as a table."""

from __future__ import annotations

from typing import Final

from .kind import Kind

_RBAC: Final = "rbac.authorization.k8s.io"
_HOOKS: Final = "admissionregistration.k8s.io"
_STATUS: Final = frozenset({"status"})
_SCALED: Final = frozenset({"status", "scale"})

_ABOUT: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT: Final = (*(f"involvedObject.{field}" for field in _ABOUT), "reason", "reportingComponent", "source", "type")

KINDS: Final = (
    Kind("", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",),
         verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
         subresources=_STATUS, selectable=("status.phase",)),
    Kind("", "v1", "nodes", "Node", namespaced=False, short_names=("no",), subresources=_STATUS),
    Kind("", "v1", "pods", "Pod", short_names=("po",), categories=("all",), generation=True,
         subresources=_STATUS, selectable=("spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP")),
    Kind("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Kind("", "v1", "secrets", "Secret", selectable=("type",)),
    Kind("", "v1", "services", "Service", short_names=("svc",), categories=("all",), subresources=_STATUS),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",), subresources=frozenset({"token"})),
    Kind("", "v1", "events", "Event", short_names=("ev",), selectable=_EVENT),
    Kind("apps", "v1", "deployments", "Deployment", short_names=("deploy",), categories=("all",), generation=True,
         subresources=_SCALED),
    Kind("apps", "v1", "replicasets", "ReplicaSet", short_names=("rs",), categories=("all",), generation=True,
         subresources=_SCALED),
    Kind("", "v1", "resourcequotas", "ResourceQuota", short_names=("quota",), subresources=_STATUS),
    Kind("", "v1", "limitranges", "LimitRange", short_names=("limits",)),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short_names=("netpol",), generation=True),
    Kind(_HOOKS, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False,
         categories=("api-extensions",), generation=True),
    Kind(_HOOKS, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", namespaced=False,
         categories=("api-extensions",), generation=True),
    Kind(_RBAC, "v1", "roles", "Role"),
    Kind(_RBAC, "v1", "rolebindings", "RoleBinding"),
    Kind(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    Kind(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("events.k8s.io", "v1", "events", "Event", short_names=("ev",), selectable=("reason", "type"),
         stored_as=("", "events")),
    Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
         short_names=("crd", "crds"), categories=("api-extensions",), generation=True, subresources=_STATUS),
    Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False,
         verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False,
         verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False,
         verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=("create",)),
    Kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False,
         verbs=("create",)),
)  # fmt: skip
