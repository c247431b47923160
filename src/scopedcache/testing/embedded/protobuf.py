"""Bodies in protobuf, which kubectl sends from its typed commands: `create …`, `auth can-i`, `create token`.

Read only, and only the kinds below, by the field numbers of their published `generated.proto`; answers are JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from .refusals import Body

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"

# Message → field number → its name and type: `[]` repeated, `{}` a map of strings, `{b}` a map of bytes, else a scalar
# (s string, i integer, t boolean) or another message.
_META = {1: "metadata ObjectMeta"}
_RIGHTS = {**_META, 2: "rules []PolicyRule", 3: "aggregationRule AggregationRule"}
_BINDING = {**_META, 2: "subjects []Subject", 3: "roleRef RoleRef"}
_TEMPLATE = {**_META, 2: "spec PodSpec"}
_ATTRIBUTES = {1: "resourceAttributes ResourceAttributes", 2: "nonResourceAttributes NonResourceAttributes"}
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "Unknown": {1: "type TypeMeta", 2: "raw b"},
    "TypeMeta": {1: "apiVersion s", 2: "kind s"},
    "ObjectMeta": {
        1: "name s", 2: "generateName s", 3: "namespace s", 5: "uid s", 6: "resourceVersion s", 11: "labels {}",
        12: "annotations {}", 13: "ownerReferences []OwnerReference", 14: "finalizers []s",
    },
    "OwnerReference": {1: "kind s", 3: "name s", 4: "uid s", 5: "apiVersion s", 6: "controller t",
                       7: "blockOwnerDeletion t"},
    "DeleteOptions": {1: "gracePeriodSeconds i", 2: "preconditions Preconditions", 3: "orphanDependents t",
                      4: "propagationPolicy s", 5: "dryRun []s"},
    "Preconditions": {1: "uid s", 2: "resourceVersion s"},
    "Namespace": _META,
    "ServiceAccount": _META,
    "ConfigMap": {**_META, 2: "data {}", 3: "binaryData {b}"},
    "Secret": {**_META, 2: "data {b}", 3: "type s", 4: "stringData {}"},
    "Service": {**_META, 2: "spec ServiceSpec"},
    "ServiceSpec": {1: "ports []ServicePort", 2: "selector {}", 3: "clusterIP s", 4: "type s"},
    "ServicePort": {1: "name s", 2: "protocol s", 3: "port i", 4: "targetPort IntOrString"},
    "Role": {**_META, 2: "rules []PolicyRule"},
    "ClusterRole": _RIGHTS,
    "AggregationRule": {1: "clusterRoleSelectors []LabelSelector"},
    "PolicyRule": {1: "verbs []s", 2: "apiGroups []s", 3: "resources []s", 4: "resourceNames []s",
                   5: "nonResourceURLs []s"},
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "Subject": {1: "kind s", 2: "apiGroup s", 3: "name s", 4: "namespace s"},
    "RoleRef": {1: "apiGroup s", 2: "kind s", 3: "name s"},
    "Pod": _TEMPLATE,
    "PodTemplateSpec": _TEMPLATE,
    "Deployment": {**_META, 2: "spec DeploymentSpec"},
    "DeploymentSpec": {1: "replicas i", 2: "selector LabelSelector", 3: "template PodTemplateSpec"},
    "LabelSelector": {1: "matchLabels {}"},
    "PodSpec": {2: "containers []Container", 3: "restartPolicy s", 8: "serviceAccountName s"},
    "Container": {1: "name s", 2: "image s", 3: "command []s", 4: "args []s", 6: "ports []ContainerPort",
                  7: "env []EnvVar", 14: "imagePullPolicy s"},
    "ContainerPort": {1: "name s", 3: "containerPort i", 4: "protocol s"},
    "EnvVar": {1: "name s", 2: "value s"},
    "SelfSubjectAccessReview": {**_META, 2: "spec AccessReviewSpec"},
    "SubjectAccessReview": {**_META, 2: "spec AccessReviewSpec"},
    "LocalSubjectAccessReview": {**_META, 2: "spec AccessReviewSpec"},
    "AccessReviewSpec": {**_ATTRIBUTES, 3: "user s", 4: "groups []s"},
    "ResourceAttributes": {1: "namespace s", 2: "verb s", 3: "group s", 4: "version s", 5: "resource s",
                           6: "subresource s", 7: "name s"},
    "NonResourceAttributes": {1: "path s", 2: "verb s"},
    "SelfSubjectRulesReview": {**_META, 2: "spec RulesReviewSpec"},
    "RulesReviewSpec": {1: "namespace s"},
    "SelfSubjectReview": _META,
    "TokenRequest": {**_META, 2: "spec TokenRequestSpec"},
    "TokenRequestSpec": {1: "audiences []s", 4: "expirationSeconds i"},
}  # fmt: skip


def decode(body: bytes) -> Body | None:
    """Return the object in a body; None where its kind is none that we know.

    Raises:
        ValueError: it is not protobuf.
    """
    if not body.startswith(_MAGIC):
        raise ValueError("the body does not begin as protobuf of Kubernetes does")
    envelope = _message("Unknown", body[len(_MAGIC) :])
    about = envelope.get("type") or {}
    kind = about.get("kind", "")
    if kind not in _MESSAGES:
        return None
    return {**about, **_message(kind, envelope.get("raw", b""))}


def _message(kind: str, body: bytes) -> Body:
    known = _MESSAGES[kind]
    found: Body = {}
    for number, value in _fields(body):
        if number not in known:
            continue
        name, _, type_ = known[number].partition(" ")
        if type_.startswith("[]"):
            found.setdefault(name, []).append(_value(type_[2:], value))
        elif type_.startswith("{"):
            pair = dict(_fields(value))
            inner = pair.get(2, b"")
            text = base64.b64encode(inner).decode() if type_ == "{b}" else inner.decode()
            found.setdefault(name, {})[pair.get(1, b"").decode()] = text
        elif (read := _value(type_, value)) != "":  # Go writes empty strings too
            found[name] = read
    return found


def _value(type_: str, value: Any) -> Any:
    match type_:
        case "s":
            return value.decode()
        case "b":
            return value
        case "t":
            return bool(value)
        case "i":
            return value - 2**64 if value >= 2**63 else value
        case "IntOrString":
            pair = dict(_fields(value))
            return pair.get(3, b"").decode() if pair.get(1) else pair.get(2, 0)
    return _message(type_, value)


def _fields(body: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and raw values of a message: integers, and bytes for all that has a length."""
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(body, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(body, at)
            yield number, body[at : at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[wire] if wire in (1, 5) else len(body)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(body):
            raise ValueError("the body ends in the middle of a number")
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
