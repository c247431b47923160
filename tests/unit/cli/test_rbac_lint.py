"""`scopedcache rbac lint`: what an operator declares against what its account may do."""

import json

import pytest

from scopedcache.api.access_reviews import Rule, Rules
from scopedcache.cli.least_rights import Right
from scopedcache.cli.rights_lint import Finding, idle, missing
from tests.unit.cli.test_rbac_generate import ROOT

EXAMPLE = "examples.memcached_operator"
CONFIG = ROOT / "examples" / "memcached_operator" / "config"
SYSTEM, NAME = "scoped-memcached-operator-system", "scoped-memcached-operator-controller-manager"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:{NAME}"
PODS = Right("namespaces", "", "pods", "list")


def rules(*given):
    return Rules(tuple(Rule((verb,), (group,), (resource,)) for group, resource, verb in given), incomplete=False)


@pytest.fixture
def operated(cluster):
    for namespace in ("a", "b"):
        cluster.create_namespace(namespace)
    cluster.apply(
        [CONFIG / "crd.yaml", CONFIG / "rbac" / "operator.yaml", CONFIG / "rbac" / "scoped-operator-needs.yaml"]
    )
    cluster.apply(CONFIG / "rbac" / "rolebinding.yaml", "a")
    return cluster


def test_a_namespace_without_a_binding_misses_what_is_declared(command, operated):
    ended = command("rbac", "lint", EXAMPLE, "--as", ACCOUNT, "-n", "a,b", "-o", "json", user=operated.admin)

    lacking = [
        (one["namespace"], one["kind"], one["verbs"])
        for one in json.loads(ended.out)["findings"]
        if one["state"] == "missing"
    ]
    assert ended.status == 4
    assert lacking == [
        ("b", "deployments.apps", ["list", "watch", "create", "update"]),
        ("b", "pods", ["list", "watch"]),
    ]


def test_what_nobody_needs_is_idle(command, operated):
    ended = command("rbac", "lint", EXAMPLE, "--as", ACCOUNT, "-n", "a", user=operated.admin)

    assert "idle a deployments.apps get, patch, delete" in [" ".join(line.split()) for line in ended.out.splitlines()]


def test_a_kubeconfig_that_may_not_act_as_the_account_is_one_line(command, operated):
    ended = command("rbac", "lint", EXAMPLE, "--as", ACCOUNT, user=operated.user("nobody"))

    assert (ended.status, ended.out, ended.err.count("\n")) == (5, "", 1)


def test_what_is_allowed_and_declared_is_no_finding():
    live = {"": rules(), "a": rules(("", "pods", "list"))}

    assert missing([PODS], live, ["a"]) + idle([PODS], live, ["a"]) == []


def test_a_right_in_the_whole_cluster_is_idle_once():
    live = {"": rules(("", "secrets", "get")), "a": rules(("", "secrets", "get"), ("", "pods", "list"))}

    assert idle([PODS], live, ["a"]) == [Finding("", "idle", "secrets", "get")]


def test_what_every_user_may_ask_about_itself_is_not_idle():
    live = {"": rules(("authorization.k8s.io", "selfsubjectaccessreviews", "create")), "a": rules()}

    assert idle([], live, ["a"]) == []


def test_what_another_authoriser_may_allow_is_not_said_to_be_missing():
    live = {"": rules(), "a": Rules((), incomplete=True)}

    assert missing([PODS], live, ["a"]) == []
