"""The command line against a real API server: what it says is what the server says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scopedcache.cli.app import run
from scopedcache.testing import ControlPlane, Identity, wait_for
from scopedcache.testing.control_plane.binaries import find_kubectl
from scopedcache.testing.control_plane.processes import free_ports
from tests.unit.examples.operator import ROOT

pytestmark = pytest.mark.real

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
CONFIG = ROOT / "examples" / "memcached_operator" / "config"
KINDS = ("pods", "deployments.apps", "configmaps", "roles.rbac.authorization.k8s.io")


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, control_plane: ControlPlane
) -> Callable[..., tuple[int, Any]]:
    """Return a function that runs a command line as an admin, and returns its status and its data."""

    def ran(*arguments: str, user: Identity | None = None) -> tuple[int, Any]:
        capsys.readouterr()
        monkeypatch.setenv("KUBECONFIG", str((user or control_plane.admin).kubeconfig))
        status = run([*arguments, "-o", "json"])
        captured = capsys.readouterr()
        assert captured.out, captured.err
        return status, json.loads(captured.out)

    return ran


@pytest.fixture
def operator(control_plane: ControlPlane, namespace: str) -> Identity:
    """Return an account with a few rights in a namespace."""
    account = control_plane.service_account(namespace, "operator")
    control_plane.grant(account, ["list", "watch"], ["pods", "deployments.apps"], namespace=namespace)
    control_plane.grant(account, ["create", "patch"], ["configmaps"], namespace=namespace, name=f"write-{namespace}")
    control_plane.bind(account, "view", namespace=namespace)
    return account


def test_rights_are_what_the_server_answers_one_by_one(
    command: Callable[..., tuple[int, Any]], control_plane: ControlPlane, operator: Identity, namespace: str
) -> None:
    status, data = command("rights", *KINDS, "-n", f"{namespace},default", "--as", operator.username)

    told = {
        (row["kind"], row["namespace"], verb): allowed
        for row in data["rights"]
        for verb, allowed in row["verbs"].items()
    }
    assert told == {key: control_plane.allowed(operator, key[2], key[0], key[1]) for key in told}
    assert len(told) == 2 * len(KINDS) * len(VERBS)
    assert status == 4


def test_what_gives_a_right_is_named_in_the_servers_words(
    command: Callable[..., tuple[int, Any]], operator: Identity, namespace: str
) -> None:
    _, data = command("rights", "configmaps", "-n", namespace, "--as", operator.username)

    [row] = data["rights"]
    assert row["givenBy"]["create"] == f"RoleBinding {namespace}/write-{namespace} of Role write-{namespace}"
    assert row["givenBy"]["list"].endswith("of ClusterRole view")


def test_what_would_be_lost_and_gained_is_what_is_when_it_is_applied(
    command: Callable[..., tuple[int, Any]],
    control_plane: ControlPlane,
    operator: Identity,
    namespace: str,
    tmp_path: Any,
) -> None:
    changed = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": f"write-{namespace}"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch", "delete", "list"]}],
    }
    file = tmp_path / "role.yaml"
    file.write_text(yaml.safe_dump(changed))

    status, data = command("what-if", "-f", str(file), "-n", namespace)

    told = {(c["change"], verb, c["kind"]) for c in data["differences"] for verb in c["verbs"]}
    before = {verb: control_plane.allowed(operator, verb, "configmaps", namespace) for verb in VERBS}
    control_plane.apply(changed, namespace)
    control_plane.wait_allowed(operator, "delete", "configmaps", namespace)
    after = {verb: control_plane.allowed(operator, verb, "configmaps", namespace) for verb in VERBS}
    assert told == {
        ("gained" if after[verb] else "lost", verb, "configmaps") for verb in VERBS if before[verb] != after[verb]
    }
    assert status == 4


@pytest.mark.parametrize("key", ["clusterrole/view", "clusterrolebinding/system:basic-user", "clusterrole/edit"])
def test_the_roles_that_every_cluster_has_can_be_tried_without(
    command: Callable[..., tuple[int, Any]], operator: Identity, key: str
) -> None:
    status, data = command("what-if", "--delete", key)

    assert status in (0, 4)
    assert data["changedObjects"]


def test_a_healthy_server_has_nothing_in_the_way(command: Callable[..., tuple[int, Any]]) -> None:
    status, data = command("doctor")

    notes = {check["name"] for check in data["checks"] if check["state"] != "ok"}
    assert (status, notes) == (0, {"sharded watches"})  # a gate that is off by default


def test_a_shell_with_kubectl_grants_what_is_missing_by_the_commands_that_are_printed(
    command: Callable[..., tuple[int, Any]], control_plane: ControlPlane, operator: Identity, namespace: str
) -> None:
    for asked in (("secrets", "--verbs", "list,watch"), ("secrets", "services", "--verbs", "get,list,create")):
        question = ("why", namespace, *asked, "--as", operator.username)
        _, data = command(*question)
        for line in data["commands"]:
            kubectl(control_plane, line)
        control_plane.wait_allowed(operator, asked[-1].rpartition(",")[2], asked[0], namespace)

        assert command(*question)[0] == 0


def test_the_rights_that_are_generated_are_enough_and_none_is_missing(
    command: Callable[..., tuple[int, Any]], control_plane: ControlPlane, new_namespace: Callable[[], str]
) -> None:
    account, work = new_namespace(), new_namespace()
    control_plane.apply(CONFIG / "crd.yaml")
    control_plane.service_account(account, "memcached")
    asked = ("examples.memcached_operator", "--account", f"{account}:memcached", "--name", account)
    _, generated = command("rbac", "generate", *asked, "--namespaces", work)
    for manifest in generated["items"]:
        control_plane.create_namespace(manifest["metadata"].get("namespace") or account)
        control_plane.apply(manifest)
    user = f"system:serviceaccount:{account}:memcached"
    control_plane.wait_allowed(control_plane.service_account(account, "memcached"), "list", "pods", work)

    status, data = command("rbac", "lint", "examples.memcached_operator", "--as", user, "-n", work)

    assert (status, data["findings"]) == (0, [])


def kubectl(control_plane: ControlPlane, line: str) -> None:
    """Run a line of shell as the admin, with the kubectl that belongs to the control plane."""
    path = os.pathsep.join([str(find_kubectl().parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(control_plane.admin.kubeconfig)}
    subprocess.run(["bash", "-c", line], env=environment, check=True, capture_output=True, text=True)


def test_kubectl_finds_it_as_a_plugin(control_plane: ControlPlane, tmp_path: Path) -> None:
    script = tmp_path / "kubectl-scopedcache"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from scopedcache.cli.entry import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    path = os.pathsep.join([str(find_kubectl().parent), str(tmp_path), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(control_plane.admin.kubeconfig)}

    ended = subprocess.run(
        ["kubectl", "scopedcache", "rights", "pods"], env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("What admin may do")


def test_a_starter_operator_works_under_its_manifests_and_tells_what_it_lacks(
    command: Callable[..., tuple[int, Any]],
    control_plane: ControlPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "starter"]) == 0
    control_plane.apply([tmp_path / "starter" / "config" / name for name in ("crd.yaml", "rbac.yaml", "sample.yaml")])
    account = control_plane.service_account("starter-system", "starter")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    arguments = [sys.executable, "-m", "starter", "--kubeconfig", str(account.kubeconfig), "--health-address", address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, cwd=tmp_path / "starter", env=environment, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: control_plane.get("configmaps", "sample-text", "default"), timeout=60.0)
            status, page = command("top", "--address", address)
            assert (status, page["totals"]["waiting"]) == (0, 0)

            control_plane.delete("rolebindings.rbac.authorization.k8s.io", "starter-in-namespace", "default")
            asked = ("why", "default", "--address", address, "--as", account.username)
            wait_for(lambda: command(*asked)[0] == 4, timeout=60.0, interval=0.5)
            _, data = command(*asked)
            assert {right["kind"] for right in data["missing"]} == {"configmaps"}
            assert any(right["since"] for right in data["missing"])

            for line in data["commands"]:
                kubectl(control_plane, line)
            wait_for(lambda: command("top", "--address", address)[0] == 0, timeout=60.0, interval=0.5)
        finally:
            process.terminate()
    assert process.returncode == 0
