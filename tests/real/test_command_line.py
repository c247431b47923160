"""The command line against a real API server: what it says is what the server says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scopedcache.cli.app import run
from scopedcache.testing import ControlPlane, Identity

pytestmark = pytest.mark.real

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
KINDS = ("pods", "deployments.apps", "configmaps", "roles.rbac.authorization.k8s.io")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], control_plane: ControlPlane) -> Callable[..., tuple[int, Any]]:
    """Return a function that runs a command line as an admin, and returns its status and its data."""

    def ran(*arguments: str, user: Identity | None = None) -> tuple[int, Any]:
        capsys.readouterr()
        login = ["--kubeconfig", str((user or control_plane.admin).kubeconfig)]
        status = run([*arguments, "-o", "json", *login])
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

    assert (status, {check["state"] for check in data["checks"]}) == (0, {"ok"})


def test_what_is_missing_is_granted_by_the_commands_it_prints(
    command: Callable[..., tuple[int, Any]], control_plane: ControlPlane, operator: Identity
) -> None:
    status, data = command("why", "default", "pods", "--as", operator.username)

    assert (status, len(data["commands"])) == (4, 2)
