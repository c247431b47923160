"""The operators that are measured: how each is started, and which rights it is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from scopedcache.testing import ControlPlane, Identity, Process
from tests.acceptance.world import ACCOUNT, CONFIG, SYSTEM
from tests.benchmarks.peers.built_once import go_programs

ROOT = Path(__file__).resolve().parent.parent.parent.parent
OURS, GO, KOPF = "scopedcache", "controller-runtime", "kopf"
NAMES = (OURS, GO, KOPF)


@attrs.frozen
class Contestant:
    """One operator.

    Attributes:
        everywhere: it may do its work in all namespaces by one binding; else by one binding in each.
        rules: what it needs besides, by rules of a ClusterRole.
    """

    name: str
    command: Sequence[str]
    everywhere: bool
    environ: Mapping[str, str] = attrs.field(factory=dict)
    rules: Sequence[Mapping[str, Any]] = ()

    def allow(self, plane: ControlPlane, namespaces: Sequence[str]) -> None:
        """Give its account what it needs."""
        if not self.everywhere:
            for namespace in namespaces:
                plane.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace)
            return
        plane.apply([_binding("operator-everywhere", "scoped-operator-needs")])
        if self.rules:
            kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
            plane.apply([{**kind, "metadata": {"name": "operator-more"}, "rules": list(self.rules)}])
            plane.apply([_binding("operator-more", "operator-more")])

    def process(self, account: Identity, log: Path) -> Process:
        """Describe its process."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        environ = {**os.environ, "PYTHONPATH": path, "KUBECONFIG": str(account.kubeconfig), **self.environ}
        return Process(self.name, list(self.command), log, environ=environ)


def contestant(name: str) -> Contestant:
    """Return the operator of this name, built where it has to be.

    Raises:
        PeerError, BuildError: it cannot be built here.
    """
    python = [sys.executable, "-m"]
    if name == OURS:
        flags = ["--no-leader-elect", "--health-probe-bind-address=0", "--metrics-bind-address=0"]
        return Contestant(OURS, [*python, "examples.memcached_operator", *flags], everywhere=False)
    if name == GO:
        return Contestant(GO, [str(go_programs() / "memcached")], everywhere=True)
    file = Path(__file__).with_name("kopf_memcached.py")
    return Contestant(KOPF, [*python, "kopf", "run", "-A", str(file)], everywhere=True, rules=_KOPF_RULES)


# What kopf's documentation tells to grant, besides the kinds that are worked on.
_KOPF_RULES = (
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]},
)


def _binding(name: str, role: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}],
    }
