"""A node that runs containers, in the same cluster as the fake one: Pods of images that were loaded here come here.

Its Pods have addresses of their own and reach the API server at the cluster's own one, `KUBERNETES_SERVICE_HOST`, as
anywhere; they reach nothing else. What a Pod of the restricted profile may not do, it may not do here.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ....errors import ScopedCacheError
from ..processes import Process
from . import files
from .files import NodeLayout
from .images import Images, full_name
from .parts import Parts, search_path

NAME: Final = "node"
# 10.N.0.0/16 is asked of the kernel before it is taken; another control plane with a node has another one.
NETWORKS: Final = range(128, 255)


class NodeError(ScopedCacheError):
    """The node could not do something; the message ends with what its program said."""


class Node:
    """containerd, a kubelet, and the way from Pods to the API server.

    Made and started by `ControlPlane.start(node=True)`.

    Attributes:
        name: of the Node object.
        images: builds images for it.
        forwarder, containerd, kubelet: the processes.
    """

    def __init__(self, layout: NodeLayout, images: Images, *, url: str, kubeconfig: Path) -> None:
        self.name = NAME
        self.layout = layout
        self.images = images
        self._environ = {**os.environ, "PATH": search_path(os.environ)}
        folder = layout.folder
        target = urlsplit(url).netloc
        self.forwarder = Process(
            "forwarder",
            [
                *(sys.executable, "-m", "scopedcache.testing.control_plane.node.forwarder"),
                *("--listen", f"{layout.service_address}:443", "--to", target),
            ],
            folder / "forwarder.log",
        )
        self.containerd = Process(
            "containerd",
            [str(layout.parts["containerd"]), "--config", str(folder / "containerd.toml")],
            folder / "containerd.log",
            ready=lambda: bool(self._ctr("version")),
            environ=self._environ,
        )
        self.kubelet = Process(
            "node-kubelet",
            files.kubelet_command(layout, kubeconfig, self.name),
            folder / "kubelet.log",
            environ=self._environ,
        )

    @property
    def processes(self) -> list[Process]:
        """Return the processes in the order in which they start."""
        return [self.forwarder, self.containerd, self.kubelet]

    def start(self) -> None:
        """Start all but wait for no Node object. Raise ProcessError or NodeError where a part does not start."""
        folder = self.layout.folder
        for name in ("cni", "pod-logs", "kubelet", "volume-plugins"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "containerd.toml").write_text(files.containerd_config(self.layout))
        (folder / "cni" / "10-pods.conflist").write_text(files.network_config(self.layout))
        (folder / "kubelet.yaml").write_text(files.kubelet_config(self.layout))
        self._ip("addr", "add", f"{self.layout.service_address}/32", "dev", "lo")
        self.forwarder.start()
        self.containerd.start()
        self._ctr("images", "import", str(self.images.sandbox(folder / "sandbox.tar")))
        self.kubelet.launch()

    def load(self, *names: str) -> None:
        """Make images that were built here known to the node, as `kind load docker-image` does."""
        for name in names:
            self.load_archive(self.images.save(name, self.layout.folder / "image.tar"))

    def load_archive(self, archive: Path) -> None:
        """Make the images of an OCI or Docker archive known to the node."""
        self._ctr("images", "import", str(archive))

    def forget(self, name: str) -> None:
        """Remove an image from the node."""
        self._ctr("images", "rm", full_name(name))

    def loaded(self) -> list[str]:
        """Return the names of the images that are there."""
        return sorted(name for name in self._ctr("images", "ls", "-q").split() if not name.startswith("sha256:"))

    def log(self, namespace: str, pod: str, container: str = "*") -> list[Path]:
        """Return the log files of a Pod's containers, the oldest first; each line as the runtime writes it."""
        found = self.layout.pod_logs.glob(f"{namespace}_{pod}_*/{container}/*.log")
        return sorted(found, key=lambda path: path.stat().st_ctime)

    def pid(self, container_id: str) -> int | None:
        """Return the process id of a container by its id in the Pod's status; None where it does not run."""
        wanted = container_id.rpartition("//")[2]
        for line in self._ctr("tasks", "ls").splitlines()[1:]:
            name, pid, state = line.split()
            if name == wanted and state == "RUNNING":
                return int(pid)
        return None

    def stop(self) -> None:
        """End everything: kubelet, containers, containerd; then their mounts and addresses. May be called again."""
        self.kubelet.stop(grace=0.5)
        if self.containerd.running:
            with contextlib.suppress(NodeError):
                for line in self._ctr("tasks", "ls").splitlines()[1:]:
                    _kill(int(line.split()[1]))
        self.containerd.stop()
        for pid in _shims(self.layout.socket):
            _kill(pid)
        self.forwarder.stop(grace=0.0)
        with contextlib.suppress(NodeError):
            self._ip("addr", "del", f"{self.layout.service_address}/32", "dev", "lo")
        unmount_below(self.layout.folder)

    def _ctr(self, *arguments: str) -> str:
        return self._run(str(self.layout.parts["ctr"]), "-a", str(self.layout.socket), "-n", "k8s.io", *arguments)

    def _ip(self, *arguments: str) -> str:
        return self._run(str(self.layout.parts["ip"]), *arguments)

    def _run(self, *command: str) -> str:
        answer = subprocess.run(command, capture_output=True, text=True, env=self._environ)
        if answer.returncode:
            raise NodeError(f"{Path(command[0]).name} {command[1:]} failed: {answer.stderr.strip()[-2000:]}")
        return answer.stdout

    def __repr__(self) -> str:
        return f"<Node {self.name}: {', '.join(repr(process) for process in self.processes)}>"


def free_network(parts: Parts) -> int:
    """Return a number N for which nothing of 10.N.0.0/16 is on this machine."""
    answer = subprocess.run([str(parts["ip"]), "-o", "-4", "addr"], capture_output=True, text=True)
    free = [number for number in NETWORKS if f" 10.{number}." not in answer.stdout]
    if not free:
        raise NodeError("no network 10.N.0.0/16 is free here")
    return random.SystemRandom().choice(free)


def ready(node: Mapping[str, Any]) -> bool:
    """Tell whether a Node object says that it is ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def unmount_below(folder: Path) -> None:
    """Unmount all that is mounted below a folder, the deepest first, and remove the folder."""
    places = [line.split()[1].replace("\\040", " ") for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((p for p in places if p.startswith(f"{folder}/")), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", place], capture_output=True)
    for name in ("containerd", "containerd-state", "kubelet", "runc"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _shims(socket: Path) -> Iterator[int]:
    """Yield the processes that hold containers for the containerd of this socket; they outlive it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if b"containerd-shim" in (line := (entry / "cmdline").read_bytes()) and os.fsencode(socket) in line:
                    yield int(entry.name)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
