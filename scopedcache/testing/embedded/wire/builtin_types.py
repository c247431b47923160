"""The types of built-in kinds, as far as the server and its controllers rely on them: what else comes is 400.

As in Go, every field may be missing or null; whether a value makes sense is for `shapes` and `validation`. The numbers
are those of the published `generated.proto`, for the fields that kubectl sends in protobuf.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .status_errors import bad_request

# Message → field → its type, and its number in protobuf. A type is `s` string, `b` bytes, `i` integer, `n` number,
# `t` boolean, `o` object of anything, `a` anything, or another message; `[]` before it is a list, `{}` a map.
_OBJECT: Final = {"apiVersion": "s", "kind": "s", "metadata": "ObjectMeta"}
_SENT: Final = _OBJECT | {"metadata": "ObjectMeta 1"}
_RIGHTS: Final = _SENT | {"rules": "[]PolicyRule 2"}
_BINDING: Final = _SENT | {"subjects": "[]Subject 2", "roleRef": "RoleRef 3"}
_WORKLOAD: Final = _SENT | {"spec": "WorkloadSpec 2", "status": "WorkloadStatus"}
_ACCESS_REVIEW: Final = _SENT | {"spec": "AccessReviewSpec 2", "status": "o"}
_MESSAGES: Final[dict[str, dict[str, str]]] = {
    "TypeMeta": {"apiVersion": "s 1", "kind": "s 2"},
    "Object": _OBJECT,
    "ObjectMeta": {
        "name": "s 1", "generateName": "s 2", "namespace": "s 3", "uid": "s 5", "resourceVersion": "s 6",
        "labels": "{}s 11", "annotations": "{}s 12", "ownerReferences": "[]OwnerReference 13", "finalizers": "[]s 14",
        "managedFields": "[]o",
    },
    "OwnerReference": {"kind": "s 1", "name": "s 3", "uid": "s 4", "apiVersion": "s 5", "controller": "t 6",
                       "blockOwnerDeletion": "t 7"},
    "DeleteOptions": {"gracePeriodSeconds": "i 1", "preconditions": "Preconditions 2", "propagationPolicy": "s 4",
                      "dryRun": "[]s 5"},
    "Preconditions": {"uid": "s 1", "resourceVersion": "s 2"},
    "LabelSelector": {"matchLabels": "{}s 1", "matchExpressions": "[]Requirement 2"},
    "Requirement": {"key": "s 1", "operator": "s 2", "values": "[]s 3"},
    "Condition": {"type": "s", "status": "s"},

    "Namespace": _SENT | {"spec": "NamespaceSpec", "status": "o"},
    "NamespaceSpec": {"finalizers": "[]s"},
    "Node": _OBJECT | {"spec": "o", "status": "o"},
    "ServiceAccount": _SENT | {"secrets": "[]o", "imagePullSecrets": "[]o", "automountServiceAccountToken": "t"},
    "ConfigMap": _SENT | {"data": "{}s 2", "binaryData": "{}b 3", "immutable": "t 4"},
    "Secret": _SENT | {"data": "{}b 2", "type": "s 3", "stringData": "{}s 4", "immutable": "t 5"},
    "Service": _SENT | {"spec": "ServiceSpec 2", "status": "o"},
    "ServiceSpec": {"ports": "[]ServicePort 1", "selector": "{}s 2", "clusterIP": "s 3", "type": "s 4"},
    "ServicePort": {"name": "s 1", "protocol": "s 2", "port": "i 3", "targetPort": "IntOrString 4"},
    "Event": _OBJECT | {
        "type": "s", "reason": "s", "action": "s", "count": "i", "series": "o", "source": "o", "related": "o",
        "message": "s", "involvedObject": "o", "eventTime": "s", "firstTimestamp": "s", "lastTimestamp": "s",
        "reportingComponent": "s", "reportingInstance": "s",
        # … and as `events.k8s.io` names them.
        "note": "s", "regarding": "o", "reportingController": "s", "deprecatedSource": "o", "deprecatedCount": "i",
        "deprecatedFirstTimestamp": "s", "deprecatedLastTimestamp": "s",
    },
    "Lease": _OBJECT | {"spec": "LeaseSpec"},
    "LeaseSpec": {"holderIdentity": "s", "leaseDurationSeconds": "i", "leaseTransitions": "i"},

    "Pod": _SENT | {"spec": "PodSpec 2", "status": "PodStatus"},
    "PodTemplateSpec": {"metadata": "ObjectMeta 1", "spec": "PodSpec 2"},
    "PodSpec": {
        "volumes": "[]o", "containers": "[]Container 2", "restartPolicy": "s 3", "terminationGracePeriodSeconds": "i 4",
        "serviceAccountName": "s 8", "nodeName": "s 10", "initContainers": "[]Container 20",
    },
    "PodStatus": {"phase": "s", "conditions": "[]Condition", "containerStatuses": "[]o"},
    "Container": {"name": "s 1", "image": "s 2", "command": "[]s 3", "args": "[]s 4", "ports": "[]ContainerPort 6",
                  "env": "[]EnvVar 7", "resources": "o", "volumeMounts": "[]o", "imagePullPolicy": "s 14"},
    "ContainerPort": {"name": "s 1", "containerPort": "i 3", "protocol": "s 4"},
    "EnvVar": {"name": "s 1", "value": "s 2", "valueFrom": "o"},
    "Deployment": _WORKLOAD,
    "ReplicaSet": _WORKLOAD,
    "WorkloadSpec": {
        "replicas": "i 1", "selector": "LabelSelector 2", "template": "PodTemplateSpec 3", "strategy": "Strategy",
        "minReadySeconds": "i", "progressDeadlineSeconds": "i", "revisionHistoryLimit": "i", "paused": "t",
    },
    "Strategy": {"type": "s", "rollingUpdate": "RollingUpdate"},
    "RollingUpdate": {"maxSurge": "IntOrString", "maxUnavailable": "IntOrString"},
    "WorkloadStatus": {"replicas": "i", "readyReplicas": "i", "availableReplicas": "i", "conditions": "[]Condition"},

    "ResourceQuota": _OBJECT | {"spec": "QuotaSpec", "status": "o"},
    "QuotaSpec": {"hard": "{}Quantity", "scopes": "[]s", "scopeSelector": "o"},
    "LimitRange": _OBJECT | {"spec": "LimitRangeSpec"},
    "LimitRangeSpec": {"limits": "[]LimitRangeItem"},
    "LimitRangeItem": {"type": "s", "max": "{}Quantity", "min": "{}Quantity", "default": "{}Quantity",
                       "defaultRequest": "{}Quantity", "maxLimitRequestRatio": "{}Quantity"},
    "NetworkPolicy": _OBJECT | {"spec": "NetworkPolicySpec"},
    "NetworkPolicySpec": {"podSelector": "LabelSelector", "policyTypes": "[]s", "ingress": "[]o", "egress": "[]o"},
    "MutatingWebhookConfiguration": _OBJECT | {"webhooks": "[]Webhook"},
    "ValidatingWebhookConfiguration": _OBJECT | {"webhooks": "[]Webhook"},
    "Webhook": {
        "name": "s", "clientConfig": "WebhookClient", "rules": "[]o", "failurePolicy": "s", "matchPolicy": "s",
        "namespaceSelector": "LabelSelector", "objectSelector": "LabelSelector", "sideEffects": "s",
        "timeoutSeconds": "i", "admissionReviewVersions": "[]s", "reinvocationPolicy": "s",
    },
    "WebhookClient": {"url": "s", "caBundle": "b", "service": "o"},

    "Role": _RIGHTS,
    "ClusterRole": _RIGHTS | {"aggregationRule": "AggregationRule 3"},
    "AggregationRule": {"clusterRoleSelectors": "[]LabelSelector 1"},
    "PolicyRule": {"verbs": "[]s 1", "apiGroups": "[]s 2", "resources": "[]s 3", "resourceNames": "[]s 4",
                   "nonResourceURLs": "[]s 5"},
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "Subject": {"kind": "s 1", "apiGroup": "s 2", "name": "s 3", "namespace": "s 4"},
    "RoleRef": {"apiGroup": "s 1", "kind": "s 2", "name": "s 3"},

    "SelfSubjectAccessReview": _ACCESS_REVIEW,
    "SubjectAccessReview": _ACCESS_REVIEW,
    "LocalSubjectAccessReview": _ACCESS_REVIEW,
    "AccessReviewSpec": {"resourceAttributes": "ResourceAttributes 1",
                         "nonResourceAttributes": "NonResourceAttributes 2", "user": "s 3", "groups": "[]s 4"},
    "ResourceAttributes": {"namespace": "s 1", "verb": "s 2", "group": "s 3", "version": "s 4", "resource": "s 5",
                           "subresource": "s 6", "name": "s 7"},
    "NonResourceAttributes": {"path": "s 1", "verb": "s 2"},
    "SelfSubjectRulesReview": _SENT | {"spec": "RulesReviewSpec 2", "status": "o"},
    "RulesReviewSpec": {"namespace": "s 1"},
    "SelfSubjectReview": _SENT | {"status": "o"},
    "TokenRequest": _SENT | {"spec": "TokenRequestSpec 2", "status": "o"},
    "TokenRequestSpec": {"audiences": "[]s 1", "expirationSeconds": "i 4"},

    "CustomResourceDefinition": _OBJECT | {"spec": "DefinitionSpec", "status": "o"},
    "DefinitionSpec": {"group": "s", "scope": "s", "names": "DefinitionNames", "versions": "[]DefinitionVersion",
                       "conversion": "o"},
    "DefinitionNames": {"plural": "s", "kind": "s", "singular": "s", "listKind": "s", "shortNames": "[]s",
                        "categories": "[]s"},
    "DefinitionVersion": {
        "name": "s", "served": "t", "storage": "t", "schema": "VersionSchema", "subresources": "Subresources",
        "additionalPrinterColumns": "[]Column", "selectableFields": "[]Column",
    },
    "VersionSchema": {"openAPIV3Schema": "Schema"},
    "Schema": {
        "type": "s", "format": "s", "pattern": "s", "properties": "{}Schema", "additionalProperties": "SchemaOrBool",
        "items": "Schema", "required": "[]s", "enum": "[]a", "minimum": "n", "maximum": "n", "minLength": "i",
        "maxLength": "i", "minItems": "i", "maxItems": "i", "x-kubernetes-list-type": "s",
        "x-kubernetes-list-map-keys": "[]s",
    },
    "Subresources": {"status": "o", "scale": "Scale"},
    "Scale": {"specReplicasPath": "s", "statusReplicasPath": "s", "labelSelectorPath": "s"},
    "Column": {"name": "s", "type": "s", "jsonPath": "s"},
}  # fmt: skip
_QUANTITY: Final = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
# What is decoded is of exactly these types.
_SCALARS: Final[dict[str, frozenset[type]]] = {
    "s": frozenset({str}), "b": frozenset({str}), "i": frozenset({int}), "n": frozenset({int, float}),
    "t": frozenset({bool}), "o": frozenset({dict}), "IntOrString": frozenset({int, str}),
    "Quantity": frozenset({str, int, float}),
}  # fmt: skip
_GO: Final = {str: "string", int: "number", float: "number", bool: "bool", list: "array", dict: "object"}
# The same table, read: message → field → type; message → number → field.
FIELDS: Final = {m: {name: entry.partition(" ")[0] for name, entry in names.items()} for m, names in _MESSAGES.items()}
NUMBERS: Final = {
    m: {int(entry.partition(" ")[2]): name for name, entry in names.items() if " " in entry}
    for m, names in _MESSAGES.items()
}


def check(body: Any, message: str, name: str, version: str) -> None:
    """Refuse (400) a body that cannot be read as a message."""
    try:
        _check(body, message, name)
    except TypeError as error:
        raise bad_request(f'{name} in version "{version}" cannot be handled as a {name}: json: {error}') from error


def _check(value: Any, type_: str, place: str) -> None:
    if type_ == "SchemaOrBool":
        type_ = "t" if isinstance(value, bool) else "Schema"
    fits = _SCALARS.get(type_)
    if fits is not None:
        if type(value) not in fits:
            raise _misfit(value, type_, place)
        if type_ == "Quantity" and not _QUANTITY.fullmatch(str(value)):
            raise bad_request(f"quantities must match the regular expression '^{_QUANTITY.pattern}$'")
    elif type_ in FIELDS:
        if type(value) is not dict:
            raise _misfit(value, type_, place)
        fields = FIELDS[type_]
        for name, inner in value.items():
            if inner is not None and name in fields:
                _check(inner, fields[name], f"{type_}.{name}")
    elif type_.startswith("[]"):
        if type(value) is not list:
            raise _misfit(value, type_, place)
        for inner in value:
            _check(inner, type_[2:], place)
    elif type_.startswith("{}"):
        if type(value) is not dict:
            raise _misfit(value, type_, place)
        for inner in value.values():
            _check(inner, type_[2:], place)


def _misfit(value: Any, wanted: str, place: str) -> TypeError:
    given = _GO.get(type(value), "null")
    return TypeError(f"cannot unmarshal {given} into Go struct field {place} of type {wanted}")
