"""The configuration of a node's programs. Values in, texts out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import attrs
import yaml

from .parts import Parts

SANDBOX_IMAGE: Final = "localhost/scopedcache-sandbox:1"
# The socket's path must fit into 107 bytes, so that the folder is a short one.
SOCKET: Final = "containerd.sock"


@attrs.frozen
class NodeLayout:
    """Where a node keeps its files, and its part of the cluster's network: 10.N.0.0/24 Services, 10.N.1.0/24 Pods."""

    folder: Path
    parts: Parts
    network: int
    kubelet_port: int

    @property
    def socket(self) -> Path:
        return self.folder / SOCKET

    @property
    def pod_logs(self) -> Path:
        return self.folder / "pod-logs"

    @property
    def services(self) -> str:
        return f"10.{self.network}.0.0/24"

    @property
    def service_address(self) -> str:
        """Return the address of the Service `kubernetes`: the first one of the range."""
        return f"10.{self.network}.0.1"

    @property
    def pods(self) -> str:
        return f"10.{self.network}.1.0/24"


def containerd_config(layout: NodeLayout) -> str:
    """Return containerd's configuration."""
    folder = layout.folder
    return f"""\
version = 2
root = {quoted(folder / "containerd")}
state = {quoted(folder / "containerd-state")}
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = {quoted(layout.socket)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  # Without CAP_SYS_RESOURCE, as in most containers, a lower score than ours cannot be set: no sandbox would start.
  restrict_oom_score_adj = true
  # Ends with our folder, and is seen by nobody else.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {quoted(layout.parts.cni)}
    conf_dir = {quoted(folder / "cni")}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = {quoted(layout.parts["runc"])}
        SystemdCgroup = false
        Root = {quoted(folder / "runc")}
"""


def network_config(layout: NodeLayout) -> str:
    """Return the network of the Pods: a cable to the host for each, no bridge and no address translation."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": layout.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(layout.folder / "addresses"),
    }
    plugins = [{"type": "ptp", "ipMasq": False, "mtu": 1400, "ipam": ipam}]
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}, indent=2)


def kubelet_config(layout: NodeLayout) -> str:
    """Return the kubelet's configuration: no cgroup hierarchy of its own, no eviction, news at once."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": layout.kubelet_port,
        "healthzPort": 0,
        "authentication": {"webhook": {"enabled": False}, "anonymous": {"enabled": True}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "enableControllerAttachDetach": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "nodeStatusUpdateFrequency": "1s",
        "nodeStatusReportFrequency": "1s",
        "podLogsDir": str(layout.pod_logs),
        "syncFrequency": "5s",
        "volumePluginDir": str(layout.folder / "volume-plugins"),
    }
    return str(yaml.safe_dump(config))


def kubelet_command(layout: NodeLayout, kubeconfig: Path, name: str) -> list[str]:
    """Return the command line of the kubelet."""
    return [
        str(layout.parts.kubelet),
        f"--kubeconfig={kubeconfig}",
        f"--config={layout.folder / 'kubelet.yaml'}",
        f"--root-dir={layout.folder / 'kubelet'}",
        f"--hostname-override={name}",
    ]


def quoted(value: object) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(str(value))
