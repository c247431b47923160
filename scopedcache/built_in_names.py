"""The kinds of Kubernetes itself outside the core group, by the names people use without a group: `deploy`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Per group: plural, Kind and short names, as `kubectl api-resources` prints them.
_GROUPS: Final = {
    "admissionregistration.k8s.io": (
        "mutatingwebhookconfigurations MutatingWebhookConfiguration",
        "validatingwebhookconfigurations ValidatingWebhookConfiguration",
        "validatingadmissionpolicies ValidatingAdmissionPolicy",
        "validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding",
    ),
    "apiextensions.k8s.io": ("customresourcedefinitions CustomResourceDefinition crd crds",),
    "apiregistration.k8s.io": ("apiservices APIService",),
    "apps": (
        "controllerrevisions ControllerRevision",
        "daemonsets DaemonSet ds",
        "deployments Deployment deploy",
        "replicasets ReplicaSet rs",
        "statefulsets StatefulSet sts",
    ),
    "autoscaling": ("horizontalpodautoscalers HorizontalPodAutoscaler hpa",),
    "batch": ("cronjobs CronJob cj", "jobs Job"),
    "certificates.k8s.io": ("certificatesigningrequests CertificateSigningRequest csr",),
    "coordination.k8s.io": ("leases Lease",),
    "discovery.k8s.io": ("endpointslices EndpointSlice",),
    "flowcontrol.apiserver.k8s.io": (
        "flowschemas FlowSchema",
        "prioritylevelconfigurations PriorityLevelConfiguration",
    ),
    "networking.k8s.io": (
        "ingressclasses IngressClass",
        "ingresses Ingress ing",
        "networkpolicies NetworkPolicy netpol",
    ),
    "node.k8s.io": ("runtimeclasses RuntimeClass",),
    "policy": ("poddisruptionbudgets PodDisruptionBudget pdb",),
    "rbac.authorization.k8s.io": (
        "clusterrolebindings ClusterRoleBinding",
        "clusterroles ClusterRole",
        "rolebindings RoleBinding",
        "roles Role",
    ),
    "scheduling.k8s.io": ("priorityclasses PriorityClass pc",),
    "storage.k8s.io": (
        "csidrivers CSIDriver",
        "csinodes CSINode",
        "csistoragecapacities CSIStorageCapacity",
        "storageclasses StorageClass sc",
        "volumeattachments VolumeAttachment",
    ),
}
_CORE: Final = {
    "cm": "configmaps", "ep": "endpoints", "ev": "events", "limits": "limitranges", "no": "nodes", "ns": "namespaces",
    "po": "pods", "pv": "persistentvolumes", "pvc": "persistentvolumeclaims", "quota": "resourcequotas",
    "rc": "replicationcontrollers", "sa": "serviceaccounts", "svc": "services",
}  # fmt: skip
# Of the core group: what a mistyped name may have been meant for.
CORE_PLURALS: Final = (*_CORE.values(), "secrets", "podtemplates")


def _names() -> dict[str, tuple[str, str]]:
    names = {short: ("", plural) for short, plural in _CORE.items()}
    for group, kinds in _GROUPS.items():
        for kind in kinds:
            plural, *others = kind.split()
            names |= {name.lower(): (group, plural) for name in (plural, *others)}
    return names


# What people write, in lower case ─▶ (group, plural).
BUILT_IN_NAMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(_names())
