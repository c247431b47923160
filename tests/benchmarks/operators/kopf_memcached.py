"""The Memcached operator on kopf, as its documentation writes one: handlers, indexes, and the official client.

What it writes is what the operator of examples/memcached_operator writes; nothing of scopedcache is imported, so that
its memory is its own. Run: `kopf run -A` with this file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import kopf
import kubernetes

GROUP, VERSION, PLURAL = "cache.example.com", "v1alpha1", "memcacheds"
IMAGE = "docker.io/library/memcached:1.6-alpine"
CHILD = {"app": "memcached"}


@kopf.index(PLURAL)
def memcached_index(body: Any, namespace: Any, name: str, **_: Any) -> dict[Any, Any]:
    return {(namespace, name): dict(body)}


@kopf.index("deployments", labels=CHILD)
def deployment_index(body: Any, namespace: Any, name: str, **_: Any) -> dict[Any, Any]:
    return {(namespace, name): dict(body)}


@kopf.index("pods", labels=CHILD)
def pod_index(namespace: Any, name: str, labels: Any, meta: Any, **_: Any) -> dict[Any, Any] | None:
    return None if meta.get("deletionTimestamp") else {(namespace, labels["memcached_cr"]): name}


@kopf.on.create(PLURAL)
def create(name: str, namespace: Any, spec: Any, **_: Any) -> None:
    deployment = _deployment(name, namespace, spec["size"])
    kopf.adopt(deployment)
    kubernetes.client.AppsV1Api().create_namespaced_deployment(namespace, deployment)


@kopf.on.update(PLURAL, field="spec.size")
def resize(name: str, namespace: Any, new: Any, **_: Any) -> None:
    change = {"spec": {"replicas": new}}
    kubernetes.client.AppsV1Api().patch_namespaced_deployment(name, namespace, change)


@kopf.on.delete(PLURAL)
def delete(logger: Any, **_: Any) -> None:
    logger.info("deleting")


@kopf.on.event("deployments", labels=CHILD)
def deployment_changed(namespace: Any, name: str, **indexes: Any) -> None:
    _report(namespace, name, indexes)


@kopf.on.event("pods", labels=CHILD)
def pod_changed(namespace: Any, labels: Any, **indexes: Any) -> None:
    _report(namespace, labels["memcached_cr"], indexes)


def _report(namespace: str, name: str, indexes: dict[str, Any]) -> None:
    memcached = next(iter(indexes["memcached_index"].get((namespace, name), ())), None)
    deployment = next(iter(indexes["deployment_index"].get((namespace, name), ())), None)
    if memcached is None or deployment is None or memcached["metadata"].get("deletionTimestamp"):
        return
    nodes = sorted(indexes["pod_index"].get((namespace, name), ()))
    status = _status(memcached, deployment, nodes)
    if status is None:
        return
    api = kubernetes.client.CustomObjectsApi()
    api.patch_namespaced_custom_object_status(GROUP, VERSION, namespace, PLURAL, name, {"status": status})


def _status(memcached: dict[str, Any], deployment: dict[str, Any], nodes: list[str]) -> dict[str, Any] | None:
    """Return the status to write; None where it is there."""
    size, seen, generation = memcached["spec"]["size"], deployment.get("status") or {}, _generation(memcached)
    available = seen.get("availableReplicas", 0)
    current = deployment["spec"]["replicas"] == size and seen.get("observedGeneration", 0) >= _generation(deployment)
    done = current and available == size == len(nodes)
    text = f"Deployment {deployment['metadata']['name']} has {available} of {size} servers available"
    status, reason = ("True", "ReconcileSucceeded") if done else ("Unknown", "Progressing")
    before = memcached.get("status") or {}
    condition = {
        "type": "Successful",
        "status": status,
        "reason": reason,
        "message": text,
        "observedGeneration": generation,
    }
    old: dict[str, Any] = next((one for one in before.get("conditions", ()) if one["type"] == "Successful"), {})
    changed = condition.items() - old.items() or before.get("nodes", []) != nodes
    moved = old.get("status") != status
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition["lastTransitionTime"] = now if moved else old["lastTransitionTime"]
    wanted = {
        "observedGeneration": generation,
        "nodes": nodes,
        "state": {"status": "Succeeded", "message": text} if done else None,
        "conditions": [condition],
    }
    return wanted if changed else None


def _generation(body: dict[str, Any]) -> int:
    return int(body["metadata"]["generation"])


def _deployment(name: str, namespace: str, size: int) -> dict[str, Any]:
    own = {"memcachedLabel": f"memcached-{name}"}
    labels = {**CHILD, "memcached_cr": name, **own}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": own},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "memcached",
                            "image": IMAGE,
                            "command": ["memcached", "-m=64", "-o", "modern", "-v"],
                            "ports": [{"name": "memcached", "containerPort": 11211}],
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                },
            },
        },
    }
