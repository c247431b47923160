"""The operator in a Pod of its own, on a node: its own image, the token of its Pod, restricted Pod Security.

Seen as from anywhere in a cluster: the Pod's address, its container's log. `pid` is the container's, on this machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import urllib3
import yaml

from scopedcache.errors import NotFoundError
from scopedcache.testing import ControlPlane
from scopedcache.testing.control_plane.binaries import find_kubectl
from scopedcache.testing.control_plane.node import Node

from .observations import PODS, Manifest
from .program import ROOT, Health, JSONLog, Operator, http_pool, parse_line, parse_metrics
from .waiting import Failed, differs, eventually

IMAGE: Final = "scoped-memcached-operator:0.1.0"
DOCKERFILE: Final = ROOT / "examples" / "memcached_operator" / "Dockerfile"
OVERLAY: Final = ROOT / "examples" / "memcached_operator" / "overlays" / "default"
LABELS: Final = {"app.kubernetes.io/name": "scoped-memcached-operator"}
NAME: Final = "scoped-memcached-operator-controller-manager"
HEALTH_PORT, METRICS_PORT = 8081, 8080
# As the Deployment says: longer than the operator waits for what it has begun.
GRACE_SECONDS: Final = 30
CONTAINER: Final = "manager"
# A container's log, as the runtime writes it: time, stream, F or P for a full or a partial line, text.
LOGGED: Final = re.compile(rb"^\S+ (?:stdout|stderr) (?P<tag>[FP])\S* (?P<text>.*)$")


def image_on(node: Node) -> str:
    """Build the operator's image and load it into the node; return its name."""
    node.images.build(DOCKERFILE, ROOT, IMAGE)
    node.load(IMAGE)
    return IMAGE


def manifests(node: str, options: Sequence[str]) -> list[Manifest]:
    """Return what the default overlay deploys, under the overlay that this node needs.

    Nothing schedules Pods here, so that the Pod names its node; its image comes from no registry.
    """
    pod = "/spec/template/spec"
    patch = [
        {"op": "add", "path": f"{pod}/nodeName", "value": node},
        {"op": "replace", "path": f"{pod}/containers/0/imagePullPolicy", "value": "Never"},
        *({"op": "add", "path": f"{pod}/containers/0/args/-", "value": option} for option in options),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(OVERLAY, folder)],
            "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(patch)}],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        answer = subprocess.run([find_kubectl(), "kustomize", folder], capture_output=True, text=True)
    if answer.returncode:
        raise Failed(f"the overlay cannot be built: {answer.stderr.strip()}")
    return [manifest for manifest in yaml.safe_load_all(answer.stdout) if manifest]


@attrs.define(eq=False)
class PodRun:
    """A Deployment of one Pod, run as a process is. A Pod that was restarted has ended, as far as rows go."""

    plane: ControlPlane
    namespace: str
    manifests: Sequence[Manifest]
    name: str = NAME

    @property
    def node(self) -> Node:
        """Return the node."""
        if self.plane.node is None:
            raise Failed("this control plane has no node")
        return self.plane.node

    @property
    def pod(self) -> Manifest | None:
        """Return the Pod that is not on its way out, None where there is none."""
        pods = self.plane.list(PODS, self.namespace)
        ours = [p for p in pods if p["metadata"].get("labels", {}).items() >= LABELS.items()]
        return next((p for p in ours if "deletionTimestamp" not in p["metadata"]), None)

    @property
    def container(self) -> Manifest:
        """Return what the Pod's status says of the container; empty before it says anything."""
        pod = self.pod
        statuses: list[Manifest] = [] if pod is None else pod.get("status", {}).get("containerStatuses", [])
        return statuses[0] if statuses else {}

    @property
    def restarts(self) -> int:
        """Return how often the container was restarted."""
        return int(self.container.get("restartCount", 0))

    @property
    def ready(self) -> bool:
        """Tell whether the kubelet finds the container ready."""
        return bool(self.container.get("ready"))

    @property
    def address(self) -> str | None:
        """Return the Pod's address, None before it has one."""
        pod = self.pod
        return None if pod is None else pod.get("status", {}).get("podIP")

    @property
    def pid(self) -> int | None:
        """Return the container's process id on this machine, None while it does not run."""
        container_id = self.container.get("containerID")
        return self.node.pid(container_id) if container_id else None

    @property
    def running(self) -> bool:
        """Tell that nothing has ended: what has not begun counts as running."""
        return not self.restarts and "terminated" not in self.container.get("state", {})

    def launch(self) -> None:
        """Apply what belongs to the operator."""
        self.plane.apply(self.manifests)

    def stop(self, grace: float) -> None:
        """Delete the Deployment and wait until its Pod is gone; the container has its own grace period."""
        try:
            self.plane.delete("deployments.apps", NAME, self.namespace)
        except NotFoundError:
            return
        eventually("the Pod is gone", self._left, within=GRACE_SECONDS + grace)

    def kill(self) -> None:
        """Kill the container's process."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)

    def tail(self) -> str:
        """Return the end of the log, and what the Pod's status says."""
        lines = [line for path in self.logs() for line in path.read_text(errors="replace").splitlines()]
        return "\n".join([*lines[-15:], f"container: {self.container}"])

    def logs(self) -> list[Path]:
        """Return the files of the container's log."""
        return self.node.log(self.namespace, f"{NAME}-*", CONTAINER)

    def _left(self) -> str | None:
        return differs("Pods", [p["metadata"]["name"] for p in self.plane.list(PODS, self.namespace)], [])


@attrs.define(eq=False)
class ContainerLog(JSONLog):
    """The log of a container: the files that `find` tells of, whose lines carry the runtime's prefix."""

    path: Path
    find: Callable[[], list[Path]] = attrs.field(kw_only=True)
    _partial: bytes = attrs.field(default=b"", init=False)

    def _read(self) -> list[dict[str, Any]]:
        for path in self.find():
            if path != self.path:
                self.path, self._offset = path, 0
            return self._follow(path)
        return self._events

    def _follow(self, path: Path) -> list[dict[str, Any]]:
        with path.open("rb") as log:
            log.seek(self._offset)
            content = log.read()
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        for raw in complete.splitlines():
            found = LOGGED.match(raw)
            self._partial += found["text"] if found else raw
            if found is None or found["tag"] == b"F":
                text, self._partial = self._partial.decode(errors="replace"), b""
                line = parse_line(text)
                self._events.append(line) if line is not None else self.other.append(text)
        return self._events


@attrs.define(eq=False)
class OperatorPod(Operator):
    """The operator as a Pod, seen through its address."""

    process: PodRun
    _http: urllib3.PoolManager = attrs.field(factory=http_pool)

    @classmethod
    def on(cls, plane: ControlPlane, namespace: str, options: Sequence[str], log: Path) -> OperatorPod:
        """Describe the operator on the node of a control plane; `launch` runs it.

        `log`: where its containers' logs stay, numbered; the kubelet removes its own with their Pods.
        """
        assert plane.node is not None
        run = PodRun(plane, namespace, manifests(plane.node.name, options))
        earlier = set(run.logs())

        kept: dict[Path, Path] = {}

        def find() -> list[Path]:
            found = [path for path in run.logs() if path not in earlier]
            for path in found:
                if path not in kept:
                    kept[path] = log.with_suffix(f".{len(kept) + 1}.log")
                    os.link(path, kept[path])
            return found

        return cls(process=run, log=ContainerLog(Path(), find=find))

    def health(self, path: str = "/readyz") -> Health:
        answer = self._get(HEALTH_PORT, path)
        return Health(0, {}) if answer is None else Health(answer.status, parse_line(answer.data.decode()) or {})

    def metrics(self) -> dict[str, float]:
        answer = self._get(METRICS_PORT, "/metrics")
        return {} if answer is None else parse_metrics(answer.data.decode())

    def memory(self) -> float | None:
        pid = self.process.pid
        if pid is None:
            return None
        return float(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) / 1000

    def unready(self) -> str | None:
        """Tell that the kubelet does not find the Pod ready."""
        return None if self.process.ready else f"the container is not ready: {self.process.container}"

    def _get(self, port: int, path: str) -> urllib3.BaseHTTPResponse | None:
        if (address := self.process.address) is None:
            return None
        try:
            return self._http.request("GET", f"http://{address}:{port}{path}")
        except urllib3.exceptions.HTTPError:
            return None
