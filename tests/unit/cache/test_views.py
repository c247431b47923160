"""What a lister shows: selectors, names, metadata alone, routes, cluster-scoped kinds, kinds watched everywhere."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import (
    ForbiddenError,
    Need,
    NoSuchIndexError,
    NotSyncedError,
    NotWatchedError,
    ObjectKey,
    ScopedCache,
)
from scopedcache.kinds import GVK
from scopedcache.testing import EmbeddedCluster
from tests.unit.cache.world import world
from tests.unit.clock import after, idle
from tests.unit.cluster import CLUSTER_ROLE, DEPLOYMENT, NODE, OPERATOR, POD, RBAC, REPLICASET


async def test_a_need_with_a_selector_shows_what_it_selects_and_another_owner_sees_the_rest() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.put(POD, "mine", "a", labels={"app": "x"})
        w.server.put(POD, "other", "a")
        narrow = await w.cache.open(w.owner("one"), Need(POD, selector="app=x"))
        wide = await w.cache.open(w.owner("two"), POD)

        assert [pod.name for pod in narrow.list(POD)] == ["mine"]
        assert narrow.get(POD, "other") is None
        assert sorted(pod.name for pod in wide.list(POD)) == ["mine", "other"]
        assert w.server.open(POD) == 1


async def test_a_selector_of_the_cache_goes_to_the_server() -> None:
    async with world(selectors={POD: "app=x"}) as w:
        w.server.grant("a", POD)
        w.server.put(POD, "mine", "a", labels={"app": "x"})
        w.server.put(POD, "other", "a")

        scope = await w.cache.open(w.owner(), POD)

        (watch,) = w.server.embedded.audit.open_watches(user=OPERATOR)
        assert "labelSelector=app%3Dx" in watch.uri
        assert [pod.name for pod in scope.list(POD)] == ["mine"]


async def test_a_need_of_one_name_needs_the_right_to_that_name_alone() -> None:
    async with world() as w:
        w.server.grant("a", POD, names=["one"])
        w.server.put(POD, "one", "a")
        w.server.put(POD, "two", "a")

        scope = await w.cache.open(w.owner(), Need(POD, name="one"))

        assert [pod.name for pod in scope.list(POD)] == ["one"]
        with pytest.raises(NotWatchedError):
            scope.get(POD, "two")
        with pytest.raises(NotWatchedError):
            scope.get(POD, ObjectKey("a", "two"))


async def test_metadata_alone_is_asked_for_and_cannot_be_sent_back() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.put(POD, "one", "a")

        scope = await w.cache.open(w.owner(), Need(POD, metadata_only=True))

        pod = scope.get(POD, "one")
        assert pod is not None
        assert (pod.partial, sorted(pod.to_dict())) == (True, ["apiVersion", "kind", "metadata"])
        with pytest.raises(ValueError, match="not whole"):
            await w.client.update(pod)


async def test_what_belongs_to_an_owner_is_found_by_reference_route_label_and_chain() -> None:
    async with world() as w:
        w.server.grant("a", POD, DEPLOYMENT, REPLICASET)
        owner, other = w.owner(), w.owner("other")
        needs = (
            DEPLOYMENT,
            REPLICASET,
            Need(POD, selector="app=labelled", route=lambda pod: ObjectKey("a", "m") if pod.name == "routed" else None),
        )
        scope = await w.cache.open(owner, *needs)
        deployment = w.server.put(DEPLOYMENT, "d", "a", owner=owner)
        replicas = w.server.put(REPLICASET, "r", "a", owner=deployment)
        await idle()
        w.server.put(POD, "chained", "a", owner=replicas)
        w.server.put(POD, "labelled", "a", labels={"app": "labelled"})
        w.server.put(POD, "routed", "a")
        w.server.put(POD, "foreign", "a", owner=other)
        await idle()

        assert sorted(pod.name for pod in scope.owned(POD)) == ["chained", "labelled", "routed"]
        assert w.causes(owner) == ["child"] * 5  # and one each for the Deployment and the ReplicaSet


async def test_a_cluster_scoped_kind_is_seen_whole_from_a_namespace() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.grant(None, NODE)
        w.server.put(NODE, "n")

        scope = await w.cache.open(w.owner(), POD, NODE)

        assert [node.name for node in scope.list(NODE)] == ["n"]
        assert scope.get(NODE, "n") is not None
        assert scope.get(NODE, ObjectKey("a", "n")) is not None


async def test_a_cluster_scoped_kind_is_opened_and_lost_with_the_cluster_wide_right() -> None:
    async with world() as w:
        owner = w.server.put(NODE, "owner")
        given = w.server.grant(None, NODE)
        scope = await w.cache.cluster.open(owner, NODE)
        held = [node.name for node in w.cache.cluster.list(NODE)]
        w.server.revoke(given)
        lost = await w.until(lambda: w.cache.snapshot().waiting)
        with pytest.raises(ForbiddenError):
            w.cache.cluster.list(NODE)
        with pytest.raises(ForbiddenError):
            scope.list(NODE)
        w.server.grant(None, NODE)
        healed = await w.until(lambda: w.causes(owner) == ["denied", "granted"])

        assert held == ["owner"]
        assert max(lost, healed) <= w.cache.bound


async def test_the_cluster_view_shows_everything_whatever_one_owner_selects() -> None:
    async with world() as w:
        w.server.grant(None, NODE)
        w.server.put(NODE, "one", labels={"app": "x"})
        w.server.put(NODE, "two")
        await w.cache.cluster.open(w.server.put(NODE, "three"), Need(NODE, selector="app=x"))

        assert sorted(node.name for node in w.cache.cluster.list(NODE)) == ["one", "three", "two"]


async def test_the_cluster_view_knows_not_watched_from_not_synced() -> None:
    async with world() as w:
        w.server.grant(None, NODE)
        with pytest.raises(NotWatchedError):
            w.cache.cluster.list(NODE)
        w.server.silence(NODE)
        async with w.cache.informer(NODE):
            for _ in range(30):
                await asyncio.sleep(0)
                with pytest.raises(NotSyncedError):
                    w.cache.cluster.list(NODE)


async def test_the_rbac_objects_that_the_library_watches_for_itself_are_nobody_elses() -> None:
    async with world(rbac_watch=True) as w:
        w.server.grant(None, *RBAC)
        await after(10)

        with pytest.raises(NotWatchedError):
            w.cache.cluster.list(CLUSTER_ROLE)
        shot = w.cache.snapshot()
        assert (shot.scopes, shot.cluster, shot.open_watches) == ([], [], 4)


async def test_a_kind_told_to_be_cluster_wide_has_one_watch_and_each_scope_its_namespace() -> None:
    async with world(cluster_wide={POD}) as w:
        w.server.grant(None, POD)
        for namespace in ("a", "b"):
            w.server.put(POD, f"in-{namespace}", namespace, labels={"app": "x"})
        one, two = w.owner("one", "a"), w.owner("two", "b")
        first = await w.cache.open(one, Need(POD, selector="app=x"))
        second = await w.cache.open(two, POD)
        w.server.put(POD, "more", "b", labels={"app": "x"})
        await idle()

        assert w.server.open(POD) == 1
        assert [pod.name for pod in first.list(POD)] == ["in-a"]
        assert [pod.name for pod in first.owned(POD)] == ["in-a"]
        assert sorted(pod.name for pod in second.list(POD)) == ["in-b", "more"]
        assert w.causes(one) == []


async def test_one_owner_in_two_namespaces_hears_of_each_as_long_as_it_is_open() -> None:
    async with world(cluster_wide={POD}) as w:
        w.server.grant(None, POD)
        owner = w.owner()
        await w.cache.open_all(owner, POD, namespaces=["a", "b"])
        w.server.put(POD, "in-a", "a", owner=owner)
        w.server.put(POD, "in-b", "b", owner=owner)
        await idle()

        assert w.causes(owner) == ["child", "child"]


async def test_an_index_added_before_or_after_serves_every_informer_of_its_kind() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.grant("b", POD)
        w.server.put(POD, "one", "a", labels={"tier": "db"})
        w.server.put(POD, "two", "b", labels={"tier": "db"})
        first = await w.cache.open(w.owner("one", "a"), POD)
        w.cache.add_index(POD, "tier", lambda pod: [pod.labels["tier"]] if "tier" in pod.labels else [])
        second = await w.cache.open(w.owner("two", "b"), POD)

        assert [pod.name for pod in first.by_index(POD, "tier", "db")] == ["one"]
        assert [pod.name for pod in second.by_index(POD, "tier", "db")] == ["two"]
        with pytest.raises(NoSuchIndexError):
            first.by_index(POD, "nope", "db")


async def test_an_index_may_be_added_before_the_cache_runs() -> None:
    with EmbeddedCluster.start() as cluster:
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}, "default")
        async with cluster.client() as client:
            cache = ScopedCache(client)
            cache.add_index("configmaps", "name", lambda found: [found.name])
            async with cache, cache.informer("configmaps", namespace="default") as shown:
                await shown.wait_synced()
                found = cache.cluster.in_namespace("default").by_index("configmaps", "name", "one")
    assert [one.name for one in found] == ["one"]


async def test_data_older_than_asked_for_is_an_error_and_not_an_answer() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        scope = await w.cache.open(w.owner(), POD)
        w.server.embedded.restart(down=100)
        await after(20)

        assert scope.list(POD) == []
        assert scope.age(POD) >= 19
        with pytest.raises(NotSyncedError, match="20"):
            scope.list(POD, max_age=10)


async def test_a_kind_may_be_written_in_any_of_its_ways() -> None:
    async with world() as w:
        w.server.grant("a", DEPLOYMENT)
        w.server.put(DEPLOYMENT, "d", "a")
        scope = await w.cache.open(w.owner(), "deployments.apps")

        for kind in ("deployments.apps", "Deployment.apps", DEPLOYMENT, DEPLOYMENT.gvk, GVK("apps", "", "Deployment")):
            assert [found.name for found in scope.list(kind)] == ["d"]


async def test_what_a_reader_does_to_an_object_nobody_else_sees() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.put(POD, "one", "a")
        scope = await w.cache.open(w.owner(), POD)
        mine = scope.get(POD, "one")
        assert mine is not None
        mine["spec"] = {"changed": True}

        theirs = scope.get(POD, "one")

        assert theirs is not None
        assert "changed" not in theirs["spec"]


async def test_a_name_may_say_its_namespace() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.grant(None, NODE, DEPLOYMENT)
        w.server.put(POD, "one", "a")
        w.server.put(DEPLOYMENT, "web", "b")
        w.server.put(NODE, "n")
        scope = await w.cache.open(w.owner(), POD, NODE)
        async with w.cache.informer(DEPLOYMENT) as handle:
            await handle.wait_synced()

            assert all(scope.get(POD, name) is not None for name in ("a/one", "one", ("a", "one")))
            assert scope.get(POD, "a/two") is None
            assert scope.get(NODE, "n") is not None
            assert handle.get("b/web") is not None
            assert w.cache.cluster.get(DEPLOYMENT, "b/web") is not None
            with pytest.raises(NotWatchedError):
                scope.get(POD, "b/one")
            with pytest.raises(ValueError, match="a/b/one"):
                scope.get(POD, "a/b/one")
            for nameless in ("web", ("", "web"), ObjectKey("", "web")):
                with pytest.raises(ValueError, match="namespace"):
                    w.cache.cluster.get(DEPLOYMENT, nameless)
