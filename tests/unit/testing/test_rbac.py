"""RBAC manifests, built from short words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scopedcache.errors import NotFoundError, ScopedCacheError
from scopedcache.testing.identities import Identity, make_identity, service_account_groups
from scopedcache.testing.rbac import Rights, rules, split


class Requests:
    """Notes requests and answers each with an empty object; deletions find nothing."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, object]] = []

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        self.seen.append((method, path, body))
        if method == "DELETE":
            raise NotFoundError
        return {}


@pytest.fixture
def alice(tmp_path: Path) -> Identity:
    return make_identity(tmp_path, "https://127.0.0.1:1", tmp_path / "ca", "alice", (), "secret")


@pytest.mark.parametrize(
    ("resource", "group", "plural"),
    [
        ("pods", "", "pods"),
        ("pods/log", "", "pods/log"),
        ("deployments.apps", "apps", "deployments"),
        ("deployments.apps/scale", "apps", "deployments/scale"),
        ("memcacheds.cache.example.com/status", "cache.example.com", "memcacheds/status"),
        ("*", "*", "*"),
    ],
)
def test_a_resource_is_written_the_way_kubectl_does(resource: str, group: str, plural: str) -> None:
    assert split(resource) == (group, plural)


def test_rules_are_grouped_by_api_group() -> None:
    assert rules(["get"], ["pods", "deployments.apps", "configmaps"]) == [
        {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
    ]


def test_names_restrict_every_rule() -> None:
    assert rules(["get"], ["pods"], ["one"])[0]["resourceNames"] == ["one"]


def test_a_grant_in_a_namespace_is_a_role_with_its_binding(alice: Identity) -> None:
    requests = Requests()
    grant = Rights(requests).grant(alice, ["list"], ["pods"], namespace="a", name="readers")
    root = "/apis/rbac.authorization.k8s.io/v1/namespaces/a"
    assert [seen[:2] for seen in requests.seen] == [("POST", f"{root}/roles"), ("POST", f"{root}/rolebindings")]
    assert grant.binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "readers",
    }
    assert grant.binding["subjects"] == [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}]


def test_a_grant_without_a_namespace_is_for_the_whole_cluster(alice: Identity) -> None:
    requests = Requests()
    Rights(requests).grant(alice, ["list"], ["pods"])
    root = "/apis/rbac.authorization.k8s.io/v1"
    assert [seen[1] for seen in requests.seen] == [f"{root}/clusterroles", f"{root}/clusterrolebindings"]


def test_an_existing_cluster_role_is_bound_in_one_namespace(alice: Identity) -> None:
    requests = Requests()
    grant = Rights(requests).bind(alice, "scoped-operator-needs", namespace="a", name="op-rolebinding-default")
    assert grant.role is None
    assert (grant.binding["kind"], grant.binding["roleRef"]["kind"]) == ("RoleBinding", "ClusterRole")
    with pytest.raises(ScopedCacheError, match="scoped-operator-needs was not made by this grant"):
        grant.change(verbs=["get"], resources=["pods"])


def test_revoking_twice_is_no_error(alice: Identity) -> None:
    grant = Rights(Requests()).grant(alice, ["list"], ["pods"])
    grant.revoke()
    grant.revoke()


def test_a_service_account_is_bound_by_name_and_namespace(tmp_path: Path) -> None:
    account = make_identity(
        tmp_path,
        "https://127.0.0.1:1",
        tmp_path / "ca",
        "system:serviceaccount:a:worker",
        service_account_groups("a"),
        "secret",
        kind="ServiceAccount",
        namespace="a",
        name="worker",
    )
    assert account.subject == {"kind": "ServiceAccount", "name": "worker", "namespace": "a"}


def test_the_files_of_an_identity_are_for_their_owner_only(alice: Identity) -> None:
    assert alice.token_file.read_text() == "secret"
    assert {path.stat().st_mode & 0o777 for path in (alice.token_file, alice.kubeconfig)} == {0o600}
