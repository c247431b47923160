"""An etcd that is put back to an older state: what was written since has never been, versions included."""

from __future__ import annotations

import pytest

from scopedcache.errors import ServerError
from scopedcache.testing import EmbeddedCluster
from tests.unit.cluster import MEMCACHED, definition

LISTED = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def cluster():
    with EmbeddedCluster.start(kubelet=False) as cluster:
        yield cluster


def config_map(name, value="1"):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}


def held(cluster):
    return {one["metadata"]["name"]: one["data"]["value"] for one in cluster.list("configmaps", "default")}


def change(cluster):
    """Change one of two objects, delete the other, create a third."""
    cluster.patch("configmaps", "changed", {"data": {"value": "2"}}, "default")
    cluster.delete("configmaps", "deleted", "default")
    return cluster.create(config_map("created"), "default")


@pytest.fixture
def backup(cluster):
    for name in ("changed", "deleted"):
        cluster.create(config_map(name), "default")
    return cluster.back_up()


def test_objects_are_what_they_were(cluster, backup):
    before = cluster.list("configmaps", "default")
    change(cluster)
    cluster.restore(backup)

    assert cluster.list("configmaps", "default") == before


def test_a_backup_can_be_put_back_more_than_once(cluster, backup):
    for _ in range(2):
        change(cluster)
        cluster.restore(backup)

    assert held(cluster) == {"changed": "1", "deleted": "1"}


def test_versions_are_given_out_again_and_names_of_objects_that_never_were_are_free(cluster, backup):
    lost = change(cluster)
    cluster.restore(backup)
    again = change(cluster)

    assert again["metadata"]["resourceVersion"] == lost["metadata"]["resourceVersion"]
    assert again["metadata"]["uid"] != lost["metadata"]["uid"]


def test_a_version_of_the_lost_future_is_too_new_until_it_is_written_again(cluster, backup):
    lost = change(cluster)["metadata"]["resourceVersion"]
    cluster.restore(backup)
    exactly = {"resourceVersion": lost, "resourceVersionMatch": "Exact"}

    with pytest.raises(ServerError, match="Too large resource version"):
        cluster.request("GET", LISTED, query=exactly)
    change(cluster)

    assert cluster.request("GET", LISTED, query=exactly)["metadata"]["resourceVersion"] == lost


def test_rights_and_kinds_are_what_they_were(cluster, backup):
    user = cluster.user("operator")
    cluster.create(definition(MEMCACHED))
    cluster.grant(user, ["list"], ["configmaps"])
    allowed = cluster.allowed(user, "list", "configmaps")
    cluster.restore(backup, down=0.0, unready=0.0)

    assert (allowed, cluster.allowed(user, "list", "configmaps")) == (True, False)
    served = {one["name"] for one in cluster.request("GET", "/apis")["groups"]}
    assert MEMCACHED.gvr.group not in served


def test_who_belongs_to_an_owner_that_never_was_goes_with_it(cluster, backup):
    cluster.create(config_map("owner"), "default")
    owner = cluster.get("configmaps", "owner", "default")["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    cluster.restore(backup)
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [reference]
    cluster.create(child, "default")
    cluster.advance(60.0)

    assert "child" not in held(cluster)


def test_a_server_that_lagged_behind_shows_the_restored_state_too(cluster, backup):
    behind = cluster.front_end(lag=5.0)
    change(cluster)
    cluster.restore(backup, down=0.0, unready=0.0)

    assert behind.seen.version == cluster.storage.version
    assert [one.name for one in behind.seen.list(cluster.registry.find("", "configmaps"), "default")] == list(
        held(cluster)
    )
