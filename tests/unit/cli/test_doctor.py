"""`scopedcache doctor`: what the cache will use at a server, and what it falls back to."""

import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from scopedcache.cli.diagnosis import Facts, checks, report
from scopedcache.testing.embedded import Fault

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WELL = Facts(
    origin="kubeconfig x",
    host="https://server",
    namespace=None,
    version="v1.36.2",
    seconds=0.01,
    user="u",
    date=NOW,
    local=NOW,
    rules="complete",
    watches_rbac=True,
    lists_namespaces=True,
    streaming=True,
    streaming_tried="tried with pods",
    filters_shards=True,
    files=20000,
    python="3.11",
    library="0.1.0",
)


def states(ended):
    return {check["name"]: check["state"] for check in json.loads(ended.out)["checks"]}


def test_an_admin_of_a_healthy_cluster_has_everything(command, cluster):
    ended = command("doctor", "-o", "json", user=cluster.admin)

    notes = {name for name, state in states(ended).items() if state != "ok"}
    assert (ended.status, notes) == (0, {"sharded watches"})  # a gate that is off by default


def test_without_rights_it_says_what_the_cache_falls_back_to(command, cluster):
    ended = command("doctor", "-o", "json", user=cluster.user("nobody"))

    fallbacks = [name for name, state in states(ended).items() if state == "note"]
    assert (ended.status, fallbacks) == (0, ["watching RBAC", "streaming lists", "sharded watches", "namespaces"])


def test_a_server_without_streaming_lists_is_seen(command, cluster):
    cluster.faults.add(Fault(verb="watch", code=422))
    ended = command("doctor", "-o", "json", user=cluster.admin)

    assert states(ended)["streaming lists"] == "note"


def test_reviews_that_are_refused_are_trouble_and_not_the_end(command, cluster):
    cluster.delete("clusterrolebindings.rbac.authorization.k8s.io", "system:basic-user")
    ended = command("doctor", "-o", "json", user=cluster.user("nobody"))

    assert (ended.status, states(ended)["reviews"], states(ended)["identity"]) == (4, "trouble", "note")


@pytest.mark.parametrize(
    "arguments", [("doctor",), ("rights", "pods"), ("why", "a", "pods"), ("what-if", "--delete=role/x")]
)
def test_credentials_that_nobody_knows_are_one_line(command, cluster, arguments):
    stranger = cluster.user("stranger")
    stranger.token = "wrong"
    stranger.write()
    ended = command(*arguments, user=stranger)

    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert "these credentials are expired or unknown" in ended.err


def test_a_server_that_is_gone_is_one_line(command, cluster):
    admin = cluster.admin
    cluster.stop()
    admin.kubeconfig.parent.mkdir(parents=True)
    admin.kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],"
        " users: [{name: u, user: {}}], contexts: [{name: c, context: {cluster: c, user: u}}]}"
    )
    ended = command("doctor", user=admin)

    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert "check that the server runs" in ended.err


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"local": NOW + timedelta(minutes=2)}, "clock", "ours is 120 s ahead of the server's"),
        ({"local": NOW - timedelta(minutes=2)}, "clock", "ours is 120 s behind the server's"),
        ({"rules": None}, "reviews", "refused (ClusterRole system:basic-user)"),
        ({"files": 256}, "open files", "at most 256: room for about 192 watches"),
    ],
)
def test_what_is_in_the_way_of_an_operator_is_trouble_and_status_4(change, name, words):
    found = checks(attrs.evolve(WELL, **change))

    [check] = [check for check in found if check.state == "trouble"]
    assert (check.name, report(found).status) == (name, 4)
    assert words in check.found


def test_where_all_is_well_nothing_is_trouble():
    assert {check.state for check in checks(WELL)} == {"ok"}
