"""`scopedcache rights`: the matrix, what is missing, and what gives each right."""

import json

import pytest

from scopedcache.cli.rights_matrix import given_by


@pytest.fixture
def operator(cluster):
    operator = cluster.user("operator")
    for namespace in ("a", "b"):
        cluster.create_namespace(namespace)
    cluster.grant(operator, ["get", "list", "watch"], ["pods"], namespace="a", name="reader")
    return operator


def test_a_row_shows_the_verbs_and_the_binding_that_gives_them(command, operator):
    ended = command("rights", "pods", "-n", "a", user=operator)

    assert ended.status == 0
    assert ended.out.splitlines()[2].split() == [
        *["pods", "a", "yes", "yes", "yes", "no", "no", "no", "no"],
        *["RoleBinding", "a/reader", "of", "Role", "reader"],
    ]


def test_what_a_cache_needs_and_lacks_is_said_and_is_status_4(command, operator):
    ended = command("rights", "pods", "-n", "a,b", user=operator)

    assert (ended.status, ended.out.splitlines()[-1]) == (4, "missing: list, watch pods in namespace b")


def test_verbs_that_are_named_all_count(command, operator):
    ended = command("rights", "pods", "-n", "a", "--verbs", "list,create", user=operator)

    assert (ended.status, ended.out.splitlines()[-1]) == (4, "missing: create pods in namespace a")


def test_an_admin_asks_about_somebody_else(command, cluster, operator):
    ended = command("rights", "pods", "-n", "b", "--as", "operator", "-o", "json", user=cluster.admin)

    [row] = json.loads(ended.out)["rights"]
    assert (ended.status, json.loads(ended.out)["user"], row["verbs"]["list"]) == (4, "operator", False)


def test_all_namespaces_are_those_that_differ_from_the_cluster(command, cluster, operator):
    ended = command("rights", "pods", "-A", "--as", "operator", "-o", "json", user=cluster.admin)

    assert [row["namespace"] for row in json.loads(ended.out)["rights"]] == [None, "a"]


def test_a_kubeconfig_without_rights_is_answered_and_told_what_it_cannot_see(command, cluster):
    ended = command("rights", "pods", "-A", user=cluster.user("nobody"))

    assert (ended.status, ended.err.count("\n")) == (4, 1)
    assert "you may not list namespaces" in ended.err


def test_who_may_not_ask_about_others_is_told_in_one_line(command, cluster):
    ended = command("rights", "pods", "--as", "admin", user=cluster.user("nobody"))

    assert (ended.status, ended.out, ended.err.count("\n")) == (5, "", 1)
    assert "may not impersonate" in ended.err


def test_a_narrow_terminal_gets_lines_that_fit(command, operator, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    ended = command("rights", "pods", "-n", "a", user=operator)

    assert "  yes: get, list, watch" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 40


def test_where_nobody_looks_a_row_is_one_line_without_colours(command, cluster):
    ended = command("rights", "pods", "-n", "x" * 60, user=cluster.admin)

    assert ended.out.count("\n") == 3
    assert "\x1b" not in ended.out


def test_a_subresource_is_a_kind_of_its_own(command, cluster, operator):
    cluster.grant(operator, ["patch"], ["deployments.apps/scale"], namespace="a")
    ended = command("rights", "deployments.apps/scale", "-n", "a", "-o", "yaml", user=operator)

    assert ended.status == 0
    assert "patch: true" in ended.out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("rights", "podz"), 2, "does not serve podz"),
        (("rights", "pods", "-A", "-n", "a"), 2, "give one of the two"),
    ],
)
def test_a_mistake_is_one_line(command, cluster, arguments, status, words):
    ended = command(*arguments, user=cluster.admin)

    assert (ended.status, ended.err.count("\n")) == (status, 1)
    assert words in ended.err


@pytest.mark.parametrize("arguments", [("rights", "pods"), ("doctor",), ("why", "a", "pods")])
def test_a_kubeconfig_that_is_not_there_is_one_line(command, arguments):
    ended = command(*arguments, "--kubeconfig", "/nowhere/config")

    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert "/nowhere/config does not exist" in ended.err


@pytest.mark.parametrize(
    ("reason", "giver"),
    [
        (
            'RBAC: allowed by RoleBinding "b/a" of Role "r" to User "u"',
            "RoleBinding a/b of Role r",
        ),
        (
            'RBAC: allowed by ClusterRoleBinding "x:y" of ClusterRole "z" to Group "g"',
            "ClusterRoleBinding x:y of ClusterRole z",
        ),
        ("the webhook says so", ""),
        ("", ""),
    ],
)
def test_what_gives_a_right_is_read_from_the_servers_words(reason, giver):
    assert given_by(reason) == giver
