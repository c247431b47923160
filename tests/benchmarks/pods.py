"""The Pods of the load: realistic JSON of about 4.7 KB, cut once at the fields that an event changes.

All changing fields have a fixed width, so rendering an event is one formatting of
bytes and every size is known in advance.
"""

import hashlib
import json
import uuid
from typing import Any

import attrs

FIRST_VERSION = 100_000_000
"""Versions have nine digits from the first object to the last event."""

SENT = "bench.scopedcache.dev/sent"
"""The annotation that carries the wall clock (ns) at which an event was made."""

STARTED = [f"2025-11-21T13:{second // 60:02d}:{second % 60:02d}Z".encode() for second in range(3600)]
"""Start times of a container; each event takes the next one."""

CHANGING = 9 + 19 + 20
"""Bytes of the three changing fields: version, stamp (ns since 1970) and start time."""

_VERSION = "@version@"
_SENT = "@sent@"
_STARTED = "@started@"


@attrs.frozen
class PodTemplate:
    """One Pod without its version, its stamp and the start time of its container."""

    namespace: str
    name: str
    uid: str
    item: tuple[bytes, bytes, bytes, bytes]
    """As an item of a list (no kind, no apiVersion, as the API server sends it)."""
    whole: tuple[bytes, bytes, bytes, bytes]
    """As an object of its own or of an event."""

    @property
    def size(self) -> int:
        """How many bytes the whole object has, whatever its version."""
        return sum(map(len, self.whole)) + CHANGING


def owner_uid(owner: int) -> str:
    """Return the UID of the n-th ReplicaSet."""
    return _uid(f"replicaset-{owner}")


def make_pods(count: int, namespaces: int, owners: int) -> list[PodTemplate]:
    """Draw `count` Pods, spread over the namespaces and the ReplicaSets in turn."""
    names = ["default"] if namespaces == 1 else [f"team-{number:05d}" for number in range(namespaces)]
    return [_template(number, names[number % namespaces], number % owners) for number in range(count)]


def _template(number: int, namespace: str, owner: int) -> PodTemplate:
    pod = _pod(number, namespace, owner)
    item = _cut(pod)
    return PodTemplate(
        namespace=namespace,
        name=pod["metadata"]["name"],
        uid=pod["metadata"]["uid"],
        item=item,
        whole=(b'{"kind":"Pod","apiVersion":"v1",' + item[0][1:], *item[1:]),
    )


def _cut(pod: dict[str, Any]) -> tuple[bytes, bytes, bytes, bytes]:
    text = json.dumps(pod, separators=(",", ":"))
    head, text = text.split(_VERSION)
    middle, text = text.split(_SENT)
    body, tail = text.split(_STARTED)
    return head.encode(), middle.encode(), body.encode(), tail.encode()


def _uid(text: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


def _pod(number: int, namespace: str, owner: int) -> dict[str, Any]:
    digest = hashlib.sha256(f"pod-{number}".encode()).hexdigest()
    replica_set = f"shop-backend-{owner:04d}-7d9c6b8f5d"
    labels = {
        "app.kubernetes.io/name": "shop-backend",
        "app.kubernetes.io/instance": f"shop-backend-{owner:04d}",
        "app.kubernetes.io/component": "api",
        "app.kubernetes.io/managed-by": "shop-operator",
        "pod-template-hash": "7d9c6b8f5d",
    }
    annotations = {
        SENT: _SENT,
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9102",
    }
    return {
        "metadata": {
            "name": f"{replica_set}-{number:05d}",
            "generateName": f"{replica_set}-",
            "namespace": namespace,
            "uid": _uid(f"pod-{number}"),
            "resourceVersion": _VERSION,
            "generation": 1,
            "creationTimestamp": "2025-11-21T08:15:27Z",
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": replica_set,
                    "uid": owner_uid(owner),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": _managed_fields(owner, labels, annotations),
        },
        "spec": _spec(number, owner),
        "status": _status(number, digest),
    }


def _spec(number: int, owner: int) -> dict[str, Any]:
    token = f"kube-api-access-{number:05d}"
    probe = {"path": "/healthz", "port": "http", "scheme": "HTTP"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt"}},
    ]
    return {
        "volumes": [
            {"name": "config", "configMap": {"name": f"shop-backend-{owner:04d}", "defaultMode": 420}},
            {"name": token, "projected": {"sources": sources, "defaultMode": 420}},
        ],
        "containers": [
            {
                "name": "backend",
                "image": "registry.example.com/shop/backend:3.14.1",
                "args": ["--config=/etc/shop/config.yaml", "--listen=:8080", "--metrics=:9102"],
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "env": [
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                    {"name": "LOG_LEVEL", "value": "info"},
                ],
                "resources": {
                    "limits": {"cpu": "500m", "memory": "512Mi"},
                    "requests": {"cpu": "100m", "memory": "256Mi"},
                },
                "volumeMounts": [
                    {"name": "config", "readOnly": True, "mountPath": "/etc/shop"},
                    {
                        "name": token,
                        "readOnly": True,
                        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                    },
                ],
                "readinessProbe": {
                    "httpGet": probe,
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "shop-backend",
        "nodeName": f"node-{number % 64:03d}",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            },
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _status(number: int, digest: str) -> dict[str, Any]:
    address = f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": "2025-11-21T08:15:31Z"}
            for kind in kinds
        ],
        "hostIP": f"192.168.7.{number % 64 + 1}",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": "2025-11-21T08:15:27Z",
        "containerStatuses": [
            {
                "name": "backend",
                "state": {"running": {"startedAt": _STARTED}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": "registry.example.com/shop/backend:3.14.1",
                "imageID": f"registry.example.com/shop/backend@sha256:{digest}",
                "containerID": f"containerd://{digest}",
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }


def _managed_fields(owner: int, labels: dict[str, str], annotations: dict[str, str]) -> list[dict[str, Any]]:
    none: dict[str, Any] = {}
    metadata = {
        "f:annotations": {".": none, **{f"f:{key}": none for key in annotations}},
        "f:generateName": none,
        "f:labels": {".": none, **{f"f:{key}": none for key in labels}},
        "f:ownerReferences": {".": none, f'k:{{"uid":"{owner_uid(owner)}"}}': none},
    }
    fields = ("args", "env", "image", "imagePullPolicy", "name", "ports", "readinessProbe", "resources", "volumeMounts")
    container = {".": none, **{f"f:{name}": none for name in fields}}
    conditions = {
        f'k:{{"type":"{kind}"}}': {".": none, "f:lastTransitionTime": none, "f:status": none, "f:type": none}
        for kind in ("ContainersReady", "Initialized", "Ready")
    }
    return [
        _managed("kube-controller-manager", {"f:metadata": metadata, "f:spec": {"f:containers": container}}),
        _managed("kubelet", {"f:status": {"f:conditions": conditions, "f:podIP": none, "f:startTime": none}}, "status"),
    ]


def _managed(manager: str, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2025-11-21T08:15:31Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return entry | ({"subresource": subresource} if subresource else {})
