"""The command lines of a control plane: which flags each program gets, and the files those flags name.

Values in, lists of words out; nothing is started here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs
import yaml

from .binaries import Binaries

ADMIN: Final = "admin"
CONTROLLER_MANAGER: Final = "system:kube-controller-manager"
KUBELET: Final = "fake-kubelet"
NODE_KUBELET: Final = "system:node:node"
MASTERS: Final = "system:masters"

# Enough for namespaces, ServiceAccounts, garbage collection and Deployments. Left out: node-lifecycle, which would
# evict pods from a node that sends no heartbeats, and everything that tests of a cache do not look at.
CONTROLLERS: Final = (
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
)

Flags = Mapping[str, str | None]


@attrs.frozen
class Login:
    """A user who signs in with a fixed token."""

    username: str
    token: str
    groups: tuple[str, ...] = ()


@attrs.frozen
class Layout:
    """Where one control plane keeps its files and listens: everything the command lines are made of."""

    folder: Path
    binaries: Binaries
    etcd_port: int
    etcd_peer_port: int
    apiserver_ports: tuple[int, ...]
    controller_manager_port: int
    keep_files: bool = False

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"https://127.0.0.1:{port}" for port in self.apiserver_ports)

    @property
    def certificates(self) -> Path:
        """Return the folder of the serving certificate; replicas share it, so that one CA file fits all of them."""
        return self.folder / "certificates"

    @property
    def ca_file(self) -> Path:
        """Return the certificate that the first API server signs itself, which is what its clients trust."""
        return self.certificates / "apiserver.crt"

    @property
    def key_file(self) -> Path:
        return self.folder / "service-accounts.key"

    @property
    def tokens_file(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def policy_file(self) -> Path:
        return self.folder / "audit-policy.yaml"

    def audit_log(self, server: int) -> Path:
        return self.folder / f"audit-{server}.log"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def etcd_command(layout: Layout, extra: Flags) -> list[str]:
    """Return the command line of etcd: one member, plain HTTP on loopback, no fsync."""
    peer = f"http://127.0.0.1:{layout.etcd_peer_port}"
    flags: dict[str, str | None] = {
        "data-dir": str(layout.folder / "etcd"),
        "listen-client-urls": layout.etcd_url,
        "advertise-client-urls": layout.etcd_url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
    }
    return words(layout.binaries.etcd, flags, extra)


def apiserver_command(layout: Layout, server: int, extra: Flags) -> list[str]:
    """Return the command line of one API server."""
    flags: dict[str, str | None] = {
        "etcd-servers": layout.etcd_url,
        "cert-dir": str(layout.certificates),
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "endpoint-reconciler-type": "none",
        "secure-port": str(layout.apiserver_ports[server]),
        "authorization-mode": "RBAC",
        "token-auth-file": str(layout.tokens_file),
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": str(layout.key_file),
        "service-account-signing-key-file": str(layout.key_file),
        "service-cluster-ip-range": "10.0.0.0/24",
        "allow-privileged": "true",
        "audit-policy-file": str(layout.policy_file),
        "audit-log-path": str(layout.audit_log(server)),
        # Written before the answer ends, and never rotated: counts are exact.
        "audit-log-mode": "blocking",
        "audit-log-maxsize": "0",
    }
    return words(layout.binaries.apiserver, flags, extra)


def controller_manager_command(layout: Layout, kubeconfig: Path, controllers: Iterable[str], extra: Flags) -> list[str]:
    """Return the command line of the controller manager."""
    flags: dict[str, str | None] = {
        "kubeconfig": str(kubeconfig),
        "authentication-kubeconfig": str(kubeconfig),
        "authorization-kubeconfig": str(kubeconfig),
        "use-service-account-credentials": "true",
        # Its default of 20 requests/s throttles a thousand Deployments for minutes.
        "kube-api-qps": "500",
        "kube-api-burst": "1000",
        "service-account-private-key-file": str(layout.key_file),
        "root-ca-file": str(layout.ca_file),
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "cert-dir": str(layout.folder / "controller-manager"),
        "secure-port": str(layout.controller_manager_port),
        "controllers": ",".join(controllers),
    }
    return words(layout.binaries.controller_manager, flags, extra)


def words(program: Path, flags: Flags, extra: Flags) -> list[str]:
    """Return the program with its flags; `extra` replaces by name, and removes where its value is None."""
    return [str(program), *(f"--{name}={value}" for name, value in {**flags, **extra}.items() if value is not None)]


def tokens_csv(logins: Iterable[Login]) -> str:
    """Return the content of the token file: token, user, uid, groups."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for login in logins:
        writer.writerow([login.token, login.username, login.username, ",".join(login.groups)])
    return out.getvalue()


def audit_policy() -> str:
    """Return the audit policy: every request once, watches when they start and when they end.

    The parts of the control plane itself are left out: nobody counts them, and thousands of pods make them loud.
    """
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": [CONTROLLER_MANAGER, KUBELET, NODE_KUBELET, "system:apiserver"]},
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
            {"level": "Metadata"},
        ],
    }
    return str(yaml.safe_dump(policy, sort_keys=False))
