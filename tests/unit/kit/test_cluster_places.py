"""One owner at work in several clusters: each by itself, and nothing forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import pytest

from scopedcache import Clusters, Need, NotSyncedError, Object, ResourceCache
from scopedcache.kit import Placed, in_each, place_in_each, placed_in, selected_places
from scopedcache.testing import eventually
from tests.unit.clock import now
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, MEMCACHED, NEVER_SECONDS, Cluster
from tests.unit.kit.scopes import Scopes, scopes

NEEDS = (Need(CONFIG_MAP, verbs=("create",)),)
BLUE = {"colour": "blue"}


@attrs.define
class Fleet:
    """An owner at home, and a cluster `east`."""

    home: Scopes
    east: Cluster
    clusters: Clusters

    @property
    def owner(self) -> Object:
        found = self.home.server.find(MEMCACHED, "m", "home")
        assert found is not None
        return Object.from_dict(found)

    def selected(self) -> set[str]:
        return selected_places(self.home.cache, self.owner, [BLUE], self.clusters)

    async def run(self, *wanted: str) -> Placed[str]:
        placed = await place_in_each(
            self.home.cache, self.owner, NEEDS, wanted, name_of, name_of, finalizer="example.com/f",
            clusters=self.clusters,
        )  # fmt: skip
        await placed.report(self.home.client)
        return placed


@asynccontextmanager
async def fleet_of(home: Cluster, east: Cluster) -> AsyncIterator[Fleet]:
    home.grant("home", MEMCACHED, verbs=ALL_VERBS)
    home.embedded.grant(home.operator, ["patch"], [f"{MEMCACHED}/status"], namespace="home")
    for server in (home, east):
        server.grant("app", CONFIG_MAP, verbs=ALL_VERBS)
        server.embedded.grant(server.operator, ["list", "watch"], ["namespaces"])
    async with AsyncExitStack() as stack:
        at_home = await stack.enter_async_context(scopes(home))
        client = await stack.enter_async_context(east.client())
        clusters = Clusters(cache_options={"rbac_watch": False})
        await stack.enter_async_context(clusters.add("east", client).cache)
        yield Fleet(at_home, east, clusters)


@pytest.fixture
async def fleet(server: Cluster, east: Cluster) -> AsyncIterator[Fleet]:
    async with fleet_of(server, east) as running:
        yield running


@pytest.fixture
def east() -> Iterator[Cluster]:
    with Cluster.running() as cluster:
        yield cluster


async def name_of(scope: ResourceCache) -> str:
    return ",".join(found.name for found in scope.list(CONFIG_MAP) if found.name.startswith("here"))


async def test_a_place_names_its_cluster_and_the_work_is_done_there(fleet: Fleet) -> None:
    fleet.home.server.put(CONFIG_MAP, "here-at-home", "app")
    fleet.east.put(CONFIG_MAP, "here-in-east", "app")

    places = await in_each(
        fleet.home.cache, fleet.owner, NEEDS, ["app", "east/app"], name_of, clusters=fleet.clusters
    )  # fmt: skip

    assert dict(places.done) == {"app": "here-at-home", "east/app": "here-in-east"}


async def test_what_is_missing_in_a_cluster_is_named_with_it(fleet: Fleet) -> None:
    fleet.east.embedded.create_namespace("denied")

    places = await in_each(
        fleet.home.cache, fleet.owner, NEEDS, ["app", "east/denied"], name_of, clusters=fleet.clusters
    )  # fmt: skip

    assert places.message == "east/denied: may not list configmaps, watch configmaps, create configmaps"
    assert list(places.done) == ["app"]


async def test_what_is_not_named_any_more_is_closed_in_its_own_cluster_alone(fleet: Fleet) -> None:
    for names in (["app", "east/app"], ["app"]):
        await in_each(fleet.home.cache, fleet.owner, NEEDS, names, name_of, clusters=fleet.clusters)

    in_east = fleet.clusters["east"].cache.snapshot().scopes
    assert (fleet.home.open_in, in_east) == ({"app"}, [])


async def test_a_cluster_that_is_not_there_has_failed_and_the_others_go_on(fleet: Fleet) -> None:
    places = await in_each(
        fleet.home.cache, fleet.owner, NEEDS, ["app", "west/app"], name_of, clusters=fleet.clusters
    )  # fmt: skip

    assert (list(places.done), places.failures) == (["app"], "west/app: there is no cluster 'west' now")
    with pytest.raises(ExceptionGroup) as failed:
        places.check()
    assert failed.group_contains(NotSyncedError)


async def test_a_cluster_that_does_not_answer_has_failed_at_once(fleet: Fleet) -> None:
    await in_each(fleet.home.cache, fleet.owner, NEEDS, ["east/app"], name_of, clusters=fleet.clusters)
    fleet.east.trouble(latency=NEVER_SECONDS)
    await eventually(lambda: fleet.clusters["east"].cache.monitor.server_away, within=60.0)
    began = now()

    places = await in_each(
        fleet.home.cache, fleet.owner, NEEDS, ["app", "east/app"], name_of, clusters=fleet.clusters
    )  # fmt: skip

    assert places.failures == "east/app: the API server of cluster 'east' does not answer"
    assert (list(places.done), now() - began < 1.0) == (["app"], True)


async def test_what_is_in_a_cluster_that_left_is_not_forgotten_and_keeps_its_owner(fleet: Fleet) -> None:
    await fleet.run("app", "east/app")
    east = fleet.clusters["east"]
    fleet.clusters.remove("east")
    fleet.home.server.remove(MEMCACHED, "m", "home")

    with pytest.raises(ExceptionGroup):
        await fleet.run()
    assert fleet.owner.at("status", "namespaces") == ["east/app"]
    async with fleet.clusters.add("east", east.client).cache:
        placed = await fleet.run()
    assert (placed.is_over, fleet.home.server.find(MEMCACHED, "m", "home")) == (True, None)


async def test_namespaces_are_selected_in_each_cluster(fleet: Fleet) -> None:
    for server in (fleet.home.server, fleet.east):
        server.embedded.create_namespace("blue", BLUE)
    async with (
        fleet.home.cache.informer("namespaces", metadata_only=True) as here,
        fleet.clusters["east"].cache.informer("namespaces", metadata_only=True) as there,
    ):
        await here.wait_synced()
        await there.wait_synced()
        assert fleet.selected() == {"blue", "east/blue"}


async def test_where_namespaces_cannot_be_seen_nothing_is_taken_away(fleet: Fleet) -> None:
    await fleet.run("app", "east/app", "east/other")
    async with fleet.home.cache.informer("namespaces", metadata_only=True) as here:
        await here.wait_synced()
        assert fleet.selected() == {"east/app", "east/other"}
        fleet.clusters.remove("east")
        assert fleet.selected() == {"east/app", "east/other"}


async def test_the_manager_s_own_cluster_watches_for_what_is_in_it_alone(fleet: Fleet) -> None:
    await fleet.run("app", "east/app")

    assert placed_in(fleet.owner) == [{"kubernetes.io/metadata.name": "app"}]
