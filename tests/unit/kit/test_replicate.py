"""Copies of an object in other namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache import Need, Object
from scopedcache.kit import LabelRoute, prune, replicate
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, Cluster, served
from tests.unit.kit.scopes import Scopes, scopes

SECRET = served("", "secrets", "Secret")
NEED = Need(SECRET, verbs=("create", "update", "delete"))


def secret(name: str = "parent", **fields: Any) -> Object:
    return Object.from_dict(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": "home",
                "uid": "u",
                "resourceVersion": "7",
                "labels": {"team": "red"},
                "annotations": {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"}],
                "finalizers": ["example.com/f"],
            },
            "type": "Opaque",
            "data": {"hello": "d29ybGQ="},
            **fields,
        }
    )


@pytest.fixture(autouse=True)
def _rights(server: Cluster) -> None:
    server.grant("app", SECRET, verbs=ALL_VERBS)


def ours(w: Scopes) -> LabelRoute:
    return LabelRoute("example.com/copy-of", uid=w.owner.uid)


async def copied(w: Scopes, source: Object, name: str | None = "my-secret") -> str:
    scope = await w.cache.open(w.owner, NEED, namespace="app")
    return await replicate(w.client, source, scope, name=name, ours=ours(w))


async def test_a_copy_has_the_data_and_its_own_metadata(server: Cluster) -> None:
    async with scopes(server) as w:
        assert await copied(w, secret()) == "created"
        found = server.find(SECRET, "my-secret", "app")

        assert found is not None
        assert (found["data"], found["type"]) == ({"hello": "d29ybGQ="}, "Opaque")
        metadata = found["metadata"]
        assert metadata["labels"] == {"team": "red", "example.com/copy-of": w.owner.uid}
        assert metadata["annotations"] == {"note": "x"}
        assert "ownerReferences" not in metadata
        assert "finalizers" not in metadata


async def test_a_right_copy_takes_no_request(server: Cluster) -> None:
    async with scopes(server) as w:
        await copied(w, secret())
        asked = server.requests()

        assert (await copied(w, secret()), server.requests()) == ("unchanged", asked)


async def test_a_new_source_replaces_the_whole_content(server: Cluster) -> None:
    async with scopes(server) as w:
        await copied(w, secret())
        change = await copied(w, secret("other", data={"world": "d29ybGQ="}))
        found = server.find(SECRET, "my-secret", "app")

        assert found is not None
        assert (change, found["data"]) == ("updated", {"world": "d29ybGQ="})


async def test_an_edit_by_hand_is_put_right_and_foreign_annotations_stay(server: Cluster) -> None:
    async with scopes(server) as w:
        await copied(w, secret())
        edit = {"data": {"more": "eA=="}, "metadata": {"annotations": {"theirs": "1"}}}
        edited = Object.from_dict(server.embedded.patch(str(SECRET), "my-secret", edit, "app"))
        await server_seen(w, edited)
        change = await copied(w, secret())
        found = server.find(SECRET, "my-secret", "app")

        assert found is not None
        assert (change, found["data"]) == ("updated", {"hello": "d29ybGQ="})
        assert found["metadata"]["annotations"] == {"note": "x", "theirs": "1"}


async def server_seen(w: Scopes, obj: Object) -> None:
    from scopedcache.testing import eventually

    def seen() -> bool:
        found = w.cache.namespaces["app"][w.owner.uid].get(SECRET, obj.name)
        return found is not None and found.resource_version == obj.resource_version

    await eventually(seen, within=5)


async def test_what_somebody_else_put_there_is_left_alone(server: Cluster) -> None:
    server.write({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "my-secret", "namespace": "app"}})
    async with scopes(server) as w:
        asked = server.sent()
        change = await copied(w, secret())

        assert (change, {"create", "update", "patch"} & set(server.sent()[len(asked) :])) == ("foreign", set())


@pytest.mark.parametrize("after", [{"type": "example.com/other"}, {"immutable": True, "data": {"a": "eA=="}}])
async def test_a_copy_that_may_not_be_changed_is_made_anew(server: Cluster, after: dict[str, Any]) -> None:
    async with scopes(server) as w:
        await copied(w, secret(immutable=True))
        change = await copied(w, secret(**after))
        found = server.find(SECRET, "my-secret", "app")

        assert found is not None
        assert (change, {name: found[name] for name in after}) == ("updated", after)


async def test_without_a_name_it_is_called_as_the_source_is(server: Cluster) -> None:
    async with scopes(server) as w:
        await copied(w, secret(), None)

        assert server.names(SECRET, "app") == {"parent"}


async def test_a_scope_of_the_whole_cluster_is_no_place_for_a_copy(server: Cluster) -> None:
    server.grant(None, SECRET)
    async with scopes(server) as w:
        scope = await w.cache.cluster.open(w.owner, SECRET)

        with pytest.raises(ValueError, match="no place for a copy"):
            await replicate(w.client, secret(), scope, ours=ours(w))


async def test_pruning_takes_what_is_ours_and_not_kept_and_nothing_else(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP, verbs=ALL_VERBS)
    server.put(CONFIG_MAP, "theirs", "app")
    async with scopes(server) as w:
        for name in ("a", "b", "c"):
            server.put(CONFIG_MAP, name, "app", labels={"example.com/copy-of": w.owner.uid})
        server.put(CONFIG_MAP, "others", "app", labels={"example.com/copy-of": "somebody"})
        scope = await w.cache.open(w.owner, CONFIG_MAP, namespace="app")
        gone = await prune(w.client, scope, CONFIG_MAP, ["b"], ours=ours(w))

        assert [obj.name for obj in gone] == ["a", "c"]
        assert server.names(CONFIG_MAP, "app") >= {"b", "theirs", "others"}
        assert not server.names(CONFIG_MAP, "app") & {"a", "c"}


async def test_without_a_mark_pruning_takes_what_the_owner_owns(server: Cluster) -> None:
    server.grant("home", CONFIG_MAP, verbs=ALL_VERBS)
    async with scopes(server) as w:
        for name in ("a", "b"):
            server.put(CONFIG_MAP, name, "home", owner=w.owner)
        server.put(CONFIG_MAP, "theirs", "home")
        scope = await w.cache.open(w.owner, CONFIG_MAP)
        gone = await prune(w.client, scope, CONFIG_MAP, keep=["a"])

        assert ([obj.name for obj in gone], server.names(CONFIG_MAP, "home") >= {"a", "theirs"}) == (["b"], True)
        assert await prune(w.client, scope, CONFIG_MAP, keep=["a"]) == []
