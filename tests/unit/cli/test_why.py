"""`scopedcache why`: what is denied, since when, and what would grant it."""

import json
import re

import pytest
import yaml

from scopedcache.api.permission import Permission
from scopedcache.cli.grant_advice import Grantee, commands
from scopedcache.cli.operator_page import MissingRight, OperatorPage, parse_right
from scopedcache.controller.manager.health_server import HealthServer
from scopedcache.sync import Portal
from scopedcache.testing.identities import Identity

ACCOUNT = "system:serviceaccount:system:operator"
LIST_PODS = Permission("list", "", "pods", "denied")
WATCH_PODS = Permission("watch", "", "pods", "denied")
CREATE_DEPLOYMENTS = Permission("create", "apps", "deployments", "denied")
SINCE = "2026-11-26T22:19:32Z"
LACKING = {"owner": "Memcached denied/d", "namespace": "denied", "missing": ["list pods", "create deployments.apps"]}
PAGE = {
    "reasons": [f"may not list pods in namespace denied (Forbidden since {SINCE}, refused by the authorizer)"],
    "waiting": [LACKING],
    "snapshot": {"missing": ["list pods in namespace denied", "list pods in namespace other"]},
}


@pytest.fixture
def health_port():
    """Yield the address of a health port that shows PAGE."""
    with Portal.start(timeout=10.0) as portal:
        server = HealthServer("127.0.0.1:0", ready=lambda: True, state=lambda: PAGE)
        with portal.entered(lambda: server):
            yield str(server.address)


def numbered(lines):
    """Return lines with one number for the digest of what is granted."""
    return [re.sub(r"-needs-[0-9a-f]{6}", "-needs-3", line) for line in lines]


def role(name, *rules):
    return {"metadata": {"name": name}, "rules": list(rules)}


def rule(groups, resources, verbs):
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def test_the_server_is_asked_about_kinds(command, cluster):
    ended = command("why", "denied", "pods", user=cluster.user("nobody"))

    assert ended.status == 4
    assert numbered(ended.out.splitlines()[-2:]) == [
        "kubectl create role nobody-needs-3 --verb=list,watch --resource=pods -n denied",
        "kubectl create rolebinding nobody-needs-3 --role=nobody-needs-3 --user=nobody -n denied",
    ]


def test_where_nothing_is_missing_it_says_so(command, cluster):
    ended = command("why", "denied", "pods", user=cluster.admin)

    assert (ended.status, ended.out) == (0, "nothing is missing in namespace denied\n")


def test_a_running_operator_tells_what_and_since_when(command, cluster, health_port):
    ended = command("why", "denied", "--address", health_port, "--as", ACCOUNT, "-o", "json", user=cluster.admin)

    missing = [(right["verb"], right["kind"], right["since"]) for right in json.loads(ended.out)["missing"]]
    assert missing == [("list", "pods", "2026-11-26T22:19:32Z"), ("create", "deployments.apps", None)]


def test_what_is_granted_as_told_is_missing_no_more(command, cluster):
    cluster.create_namespace("denied")
    operator = cluster.service_account("system", "operator")
    asked = ("why", "denied", "pods", "deployments.apps", "--verbs", "list,create", "--as", ACCOUNT, "-o", "json")
    run_kubectl_commands(json.loads(command(*asked, user=cluster.admin).out)["commands"], cluster, operator)

    assert command(*asked, user=cluster.admin).status == 0


def run_kubectl_commands(lines, cluster, operator: Identity):
    """Do what the commands say; there is no kubectl here."""
    for line in lines:
        words = dict(word.lstrip("-").split("=", 1) for word in line.split() if "=" in word)
        if " role " in line:
            rules = [
                rule([group], [plural], words["verb"].split(","))
                for plural, _, group in (resource.partition(".") for resource in words["resource"].split(","))
            ]
            cluster.apply(
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                    "metadata": {"name": line.split()[3]}, "rules": rules,
                },
                "denied",
            )  # fmt: skip
        else:
            cluster.bind(operator, words["role"], namespace="denied", role_kind="Role")


def test_without_a_kind_and_without_an_operator_it_asks_for_one(command, cluster):
    ended = command("why", "denied", user=cluster.admin)

    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "--address" in ended.err


def test_an_operator_that_is_not_there_is_one_line(command, cluster):
    ended = command("why", "denied", "--address", "127.0.0.1:1", user=cluster.admin)

    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert "kubectl port-forward" in ended.err


def test_a_role_that_is_there_and_gives_all_needs_a_binding_only():
    roles = [
        role("wide", rule(["", "apps"], ["pods", "deployments", "secrets"], ["list", "watch", "create"])),
        role("needs", rule([""], ["pods"], ["list", "watch"])),
        role("everything", rule(["*"], ["*"], ["*"])),
        role("admin", rule([""], ["pods"], ["list", "watch"])),
        role("system:node", rule([""], ["pods"], ["list", "watch"])),
    ]

    assert commands([LIST_PODS, WATCH_PODS], Grantee(ACCOUNT), roles) == [
        "kubectl create rolebinding operator-needs --clusterrole=needs --serviceaccount=system:operator -n denied"
    ]


def test_other_rights_have_another_name_so_that_none_is_taken_by_granting_them():
    [first, *_], [second, *_] = (commands([right], Grantee(ACCOUNT)) for right in (LIST_PODS, CREATE_DEPLOYMENTS))

    assert first.split()[3] != second.split()[3]
    assert commands([LIST_PODS], Grantee(ACCOUNT))[0] == first


def test_the_whole_cluster_is_granted_by_cluster_roles():
    nodes = Permission("list", "", "nodes", None)

    assert numbered(commands([nodes], Grantee("jane@example.com"))) == [
        "kubectl create clusterrole jane-example-com-needs-3 --verb=list --resource=nodes",
        "kubectl create clusterrolebinding jane-example-com-needs-3 --clusterrole=jane-example-com-needs-3 "
        "--user=jane@example.com",
    ]


def test_different_verbs_take_a_manifest():
    [told] = commands([LIST_PODS, WATCH_PODS, CREATE_DEPLOYMENTS], Grantee(ACCOUNT))

    [made, binding] = yaml.safe_load_all(told.partition("\n")[2].removesuffix("EOF"))
    assert made["rules"] == [rule([""], ["pods"], ["list", "watch"]), rule(["apps"], ["deployments"], ["create"])]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "namespace": "system", "name": "operator"}]


@pytest.mark.parametrize(
    ("text", "permission", "since"),
    [
        ("list pods in namespace a", Permission("list", "", "pods", "a"), None),
        ("may not watch nodes at the cluster scope", Permission("watch", "", "nodes", None), None),
        (
            'may not update deployments.apps/scale "web" in namespace a (Forbidden since 2026-01-01T00:00:00Z)',
            Permission("update", "apps", "deployments", "a", "scale", "web"),
            "2026-01-01T00:00:00Z",
        ),
    ],
)
def test_a_right_is_read_as_it_is_told(text, permission, since):
    assert parse_right(text) == MissingRight(permission, since)


@pytest.mark.parametrize("text", ["the kind gadgets.example.com", "cannot reach the server", ""])
def test_what_is_no_right_is_left_out(text):
    assert parse_right(text) is None


@pytest.mark.parametrize("content", [{}, {"snapshot": None, "reasons": "text", "waiting": [1, {}]}, {"totals": []}])
def test_a_page_of_another_shape_has_nothing_to_tell(content):
    page = OperatorPage(content)

    assert (page.missing(), page.informers, page.controllers, page.ready) == ([], [], {}, False)
