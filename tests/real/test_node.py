"""A node with containers beside the control plane: it runs a Pod, and leaves nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from scopedcache.testing import ControlPlane, wait_for
from scopedcache.testing.control_plane.node.files import SANDBOX_IMAGE

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]

NAMESPACE: Final = "restricted"
# A Pod's token comes once the namespace has its ServiceAccount and the CA's ConfigMap: the kubelet tries again.
RUNS_SECONDS: Final = 90.0
# The way to the API server is made while the Pod starts, so the Pod tries again as any client does.
PROGRAM: Final = """
import os, pathlib, socket, time
place = pathlib.Path('/var/run/secrets/kubernetes.io/serviceaccount')
print('user', os.getuid(), 'token', len((place / 'token').read_text()) > 100)
for left in reversed(range(20)):
    try:
        socket.create_connection((os.environ['KUBERNETES_SERVICE_HOST'], 443), 5)
        break
    except OSError:
        if not left:
            raise
        time.sleep(1)
print('the API server is reached')
pathlib.Path('/written').touch()
"""


def pod(node: str) -> dict[str, Any]:
    """Return a Pod under the restricted profile that says who it is, reaches the API server, and may not write."""
    container = {
        "name": "one",
        "image": SANDBOX_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-u", "-c", PROGRAM],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsUser": 1_000_680_000,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}


def traces(plane: ControlPlane) -> list[str]:
    """Return what there is on this machine of a node: processes, mounts, addresses, control groups."""
    assert plane.node is not None
    folder, network = str(plane.layout.folder), f" {plane.node.layout.service_address.rpartition('.')[0][:-1]}"
    processes = [words for process in psutil.process_iter(["cmdline"]) if folder in (words := command(process))]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if folder in line]
    told = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    return processes + mounts + [line for line in told.splitlines() if network in line]


def command(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or ())


def test_a_node_runs_a_restricted_pod_and_leaves_nothing_when_it_is_stopped(node_plane: ControlPlane) -> None:
    assert node_plane.node is not None
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    node_plane.create_namespace(NAMESPACE, restricted)
    wait_for(lambda: node_plane.get("serviceaccounts", "default", NAMESPACE), what="the ServiceAccount")
    node_plane.create(pod(node_plane.node.name), NAMESPACE)
    wait_for(lambda: ended(node_plane), timeout=RUNS_SECONDS, what="the Pod to end")
    (log,) = node_plane.node.log(NAMESPACE, "one")
    said = [line.split(" ", 3)[3] for line in log.read_text().splitlines()]
    before = traces(node_plane)
    node_plane.stop()
    after = traces(node_plane)

    assert said[:2] == ["user 1000680000 token True", "the API server is reached"], said
    assert "Read-only file system: '/written'" in said[-1]
    assert before != []
    assert after == []
    assert not node_plane.layout.folder.exists()


def ended(plane: ControlPlane) -> bool:
    found = plane.get("pods", "one", NAMESPACE)
    return found is not None and found.get("status", {}).get("phase") in ("Succeeded", "Failed")
