"""What a node that runs nothing says of its pods and of itself."""

from __future__ import annotations

from typing import Any

import msgspec


class Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None


class Container(msgspec.Struct):
    name: str
    image: str = ""


class Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""
    containers: list[Container] = []


class Status(msgspec.Struct):
    phase: str = ""


class Pod(msgspec.Struct):
    """What the kubelet has to know of a pod; nothing else is decoded."""

    metadata: Metadata
    spec: Spec = msgspec.field(default_factory=Spec)
    status: Status = msgspec.field(default_factory=Status)


def running_status(pod: Pod, ip: str, now: str) -> dict[str, Any]:
    """Return the status of a pod whose containers all run and are ready."""
    types = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "hostIP": "127.0.0.1",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": now,
        "conditions": [{"type": t, "status": "True", "lastTransitionTime": now} for t in types],
        "containerStatuses": [
            {
                "name": container.name,
                "image": container.image,
                "imageID": f"sha256:{container.image}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod.spec.containers
        ],
    }


def node_manifest(name: str) -> dict[str, Any]:
    """Return the Node."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}


def node_status(now: str) -> dict[str, Any]:
    """Return the status of a Node that is ready and has room for everything."""
    room = {"cpu": "10000", "memory": "10Ti", "pods": "100000"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": now}
    return {"capacity": room, "allocatable": room, "conditions": [{**ready, "lastHeartbeatTime": now}]}
