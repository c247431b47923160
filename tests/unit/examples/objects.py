"""The objects of the operator's tests, as a server would send them."""

import copy
from pathlib import Path
from typing import Any

import yaml

from examples.memcached_operator.operand import new_deployment, shape
from scopedcache import Object
from tests.unit.cluster import served

CRD_FILE = Path(__file__).parents[3] / "examples" / "memcached_operator" / "config" / "crd.yaml"
CRD: dict[str, Any] = yaml.safe_load(CRD_FILE.read_text())
MEMCACHEDS = served("cache.example.com", "memcacheds", "Memcached", version="v1alpha1")

MEMCACHED: dict[str, Any] = {
    "apiVersion": "cache.example.com/v1alpha1",
    "kind": "Memcached",
    "metadata": {"name": "m", "namespace": "a", "uid": "uid-m", "generation": 1, "resourceVersion": "7"},
}


def manifest(name="m", *, size=1, **metadata):
    """Return a Memcached as somebody applies it."""
    head = {"apiVersion": MEMCACHED["apiVersion"], "kind": "Memcached"}
    return {**head, "metadata": {"name": name, "namespace": "a", **metadata}, "spec": {"size": size}}


def memcached(name="m", *, size=1, uid="uid-m", generation=1, status=None):
    metadata = {**MEMCACHED["metadata"], "name": name, "uid": uid, "generation": generation}
    return Object.from_dict({**MEMCACHED, "metadata": metadata, "spec": {"size": size}, "status": status or {}})


def deployment(owner, *, available=None, seen=1, generation=1):
    """Return the Deployment of a Memcached as the server has it, with the defaults it fills in."""
    made = new_deployment(owner)
    shape(owner, made)
    data = copy.deepcopy(made.to_dict())
    data["metadata"] |= {"uid": "uid-d", "resourceVersion": "8", "generation": generation}
    data["spec"] |= {
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }
    data["spec"]["template"]["metadata"]["creationTimestamp"] = None
    pod = data["spec"]["template"]["spec"]
    pod |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30}
    pod["containers"][0] |= {"imagePullPolicy": "IfNotPresent", "resources": {}}
    data["status"] = {"observedGeneration": seen} | ({"availableReplicas": available} if available else {})
    return Object.from_dict(data)
