"""Server-side apply that sends nothing where nothing would change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scopedcache import Client, ConflictError, Object
from scopedcache.kit import apply
from tests.unit.cluster import ALL_VERBS, BINDING, CLUSTER_ROLE, DEPLOYMENT, Cluster, served

SECRET = served("", "secrets", "Secret")


def bound(role: str = "view", *names: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "people", "namespace": "a"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": name} for name in names or ("ada",)],
    }


def deployment(**spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            **spec,
        },
    }


@pytest.fixture
async def writer(server: Cluster, client: Client) -> Client:
    server.grant("a", DEPLOYMENT, BINDING, SECRET, verbs=ALL_VERBS)
    server.embedded.grant(server.operator, ["bind"], [str(CLUSTER_ROLE)])
    return client


async def test_what_is_not_there_is_created_and_the_wish_is_left_as_it_was(server: Cluster, writer: Client) -> None:
    wish = deployment(replicas=2)
    before = copy.deepcopy(wish)
    obj, change = await apply(writer, wish)

    assert (change, obj.at("spec", "replicas"), wish) == ("created", 2, before)


async def test_what_the_server_fills_in_is_no_difference(server: Cluster, writer: Client) -> None:
    made, _ = await apply(writer, deployment())
    await apply(writer, bound("view", "ada", "bob"))
    asked = len(server.sent())
    changes = [
        (await apply(writer, deployment(), read=lambda kind, key: made))[1],
        (await apply(writer, bound("view", "ada", "bob")))[1],
    ]

    assert made.at("spec", "strategy", "type") == "RollingUpdate"
    assert (changes, server.sent()[asked:]) == (["unchanged", "unchanged"], ["get"])


async def test_so_it_is_for_another_process(server: Cluster, writer: Client) -> None:
    await apply(writer, deployment(replicas=2))
    async with server.client() as another:
        _, change = await apply(another, deployment(replicas=2))

    assert (change, server.sent()[-1]) == ("unchanged", "get")


async def test_what_others_add_stays_and_is_no_reason_to_write(server: Cluster, writer: Client) -> None:
    await apply(writer, deployment())
    foreign = {"metadata": {"annotations": {"theirs": "1"}, "finalizers": ["example.com/theirs"]}}
    server.embedded.patch(str(DEPLOYMENT), "web", foreign, "a")
    obj, change = await apply(writer, deployment())

    assert (change, obj.annotations["theirs"]) == ("unchanged", "1")


async def test_an_edit_of_what_is_wanted_is_put_right(server: Cluster, writer: Client) -> None:
    await apply(writer, deployment(replicas=2))
    server.embedded.patch(str(DEPLOYMENT), "web", {"spec": {"replicas": 5}}, "a")
    obj, change = await apply(writer, deployment(replicas=2))

    assert (change, obj.at("spec", "replicas")) == ("updated", 2)


async def test_a_field_that_is_wanted_no_longer_is_removed_by_another_process_too(
    server: Cluster, writer: Client
) -> None:
    await apply(writer, deployment(minReadySeconds=7))
    async with server.client() as another:
        obj, change = await apply(another, deployment())

    assert (change, obj.at("spec", "minReadySeconds")) == ("updated", None)


async def test_texts_of_a_secret_are_compared_with_what_the_server_keeps(server: Cluster, writer: Client) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "a"},
        "stringData": {"key": "value"},
    }
    obj, _ = await apply(writer, secret)
    _, change = await apply(writer, secret)

    assert (change, obj["data"]) == ("unchanged", {"key": "dmFsdWU="})


async def test_what_the_server_writes_in_its_own_way_is_sent_once(server: Cluster, writer: Client) -> None:
    # An apply of an empty list takes nothing from others, so it never becomes what was sent.
    wish = deployment()
    wish["metadata"]["finalizers"] = []
    await apply(writer, wish)
    server.embedded.patch(str(DEPLOYMENT), "web", {"metadata": {"finalizers": ["example.com/theirs"]}}, "a")
    changes = [(await apply(writer, wish))[1] for _ in range(3)]

    assert (changes[1:], server.sent()[-3:]) == (["unchanged"] * 2, ["patch", "get", "get"])


async def test_a_field_that_nobody_may_change_is_reached_by_deleting_and_making_anew(
    server: Cluster, writer: Client
) -> None:
    before, _ = await apply(writer, bound("view"))
    after, change = await apply(writer, bound("edit"), recreate_on_immutable=("roleRef",))
    _, again = await apply(writer, bound("edit"), recreate_on_immutable=("roleRef",))

    assert (change, again, after.at("roleRef", "name")) == ("recreated", "unchanged", "edit")
    assert after.uid != before.uid


async def test_what_a_finalizer_holds_is_not_made_anew_and_that_is_said(server: Cluster, writer: Client) -> None:
    await apply(writer, bound("view"))
    server.embedded.patch(str(BINDING), "people", {"metadata": {"finalizers": ["example.com/theirs"]}}, "a")

    with pytest.raises(ConflictError, match=r"held by example\.com/theirs"):
        await apply(writer, bound("edit"), recreate_on_immutable=("roleRef",))


async def test_what_is_read_from_memory_and_gone_by_now_is_not_made_by_the_way(server: Cluster, writer: Client) -> None:
    stale, _ = await apply(writer, deployment(replicas=2))
    server.remove(DEPLOYMENT, "web", "a")

    with pytest.raises(ConflictError):
        await apply(writer, deployment(replicas=3), read=lambda kind, key: Object.from_dict(stale.to_dict()))
    assert server.find(DEPLOYMENT, "web", "a") is None
