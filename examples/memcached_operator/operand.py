"""What a Memcached becomes: a Deployment of its own name, found again by labels. Plain functions of objects."""

from __future__ import annotations

import hashlib
from typing import Final

from scopedcache import GVK, Object, ObjectKey
from scopedcache.kit import set_controller_reference

MEMCACHED: Final = GVK("cache.example.com", "v1alpha1", "Memcached")
DEPLOYMENT: Final = GVK("apps", "v1", "Deployment")
POD: Final = GVK("", "v1", "Pod")

IMAGE: Final = "docker.io/library/memcached:1.6-alpine"
CONTAINER: Final = "memcached"
PORT: Final = 11211
LABEL_LIMIT_CHARACTERS: Final = 63


def labels_of(memcached: Object) -> dict[str, str]:
    """Return the labels of everything that belongs to a Memcached."""
    return {"app": "memcached", "memcached_cr": label_value(memcached.name), **selector_of(memcached)}


def selector_of(memcached: Object) -> dict[str, str]:
    """Return the label that belongs to this Memcached alone: the selector of its Deployment, and of its Pods."""
    return {"memcachedLabel": label_value(f"memcached-{memcached.name}")}


def label_value(text: str) -> str:
    """Return a text as a label value: as it is, or, beyond 63 characters, its beginning and a hash of the whole."""
    if len(text) <= LABEL_LIMIT_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{text[: LABEL_LIMIT_CHARACTERS - len(digest) - 1].rstrip('-._')}-{digest}"


def namesake(deployment: Object) -> ObjectKey:
    """Route a Deployment to the Memcached of its name, whoever made it: the name may be taken."""
    return deployment.key


def is_foreign(memcached: Object, deployment: Object) -> bool:
    """Tell whether somebody else made the Deployment."""
    return deployment.controller is None or deployment.controller.uid != memcached.uid


def new_deployment(memcached: Object) -> Object:
    """Return the Deployment of a Memcached, before it is shaped."""
    labels = labels_of(memcached)
    return Object.from_dict(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": memcached.name, "namespace": memcached.namespace},
            "spec": {
                "selector": {"matchLabels": selector_of(memcached)},
                "template": {"metadata": {"labels": labels}, "spec": _pod_spec()},
            },
        }
    )


def shape(memcached: Object, deployment: Object) -> None:
    """Make of a Deployment what the Memcached asks for; what others set is left alone."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels_of(memcached)}
    spec["replicas"] = memcached.at("spec", "size", default=0)
    template = spec["template"]
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), **labels_of(memcached)}
    for container in template["spec"]["containers"]:
        if container["name"] == CONTAINER:  # others may have been put beside it
            container["image"] = IMAGE
    set_controller_reference(memcached, deployment)


def _pod_spec() -> dict[str, object]:
    """Return a Pod that every namespace admits: the restricted Pod Security Standard."""
    return {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": CONTAINER,
                "image": IMAGE,
                "command": ["memcached", "-m=64", "-o", "modern", "-v"],
                "ports": [{"name": CONTAINER, "containerPort": PORT}],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
