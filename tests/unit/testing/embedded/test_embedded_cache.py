"""Our own client and cache on the embedded cluster, in process and in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scopedcache import ForbiddenError, Object, ScopedCache, TooManyRequestsError, UnauthorizedError
from scopedcache.testing import EmbeddedCluster, Identity, eventually, virtual_time

CRD = Path(__file__).parents[4] / "examples" / "memcached_operator" / "config" / "crd.yaml"
MEMCACHEDS = "memcacheds.cache.example.com"
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}}
POD |= {"spec": {"containers": [{"name": "c", "image": "i"}]}}


def memcached(cluster: EmbeddedCluster) -> Object:
    cluster.create_namespace("a")
    cluster.apply(CRD)
    made = cluster.apply(
        {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "metadata": {"name": "m", "namespace": "a"},
            "spec": {"size": 1},
        }
    )
    return Object.from_dict(made[0])


@pytest.fixture
def operator(embedded_cluster: EmbeddedCluster) -> Identity:
    return embedded_cluster.service_account("system", "operator")


def test_a_revoked_right_closes_the_cache_and_a_grant_heals_it(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    owner = memcached(embedded_cluster)
    grant = embedded_cluster.grant(operator, ["list", "watch"], ["pods"], namespace="a")

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        async with embedded_cluster.client(operator) as client, ScopedCache(client) as cache:
            scope = await cache.open(owner, "pods")
            embedded_cluster.create(POD)
            await virtual_time.idle()
            assert [pod.at("status", "phase") for pod in scope.list("pods")] == ["Running"]

            revoked = loop.time()
            grant.revoke()
            await eventually(lambda: not is_readable(cache))
            lost = loop.time() - revoked
            assert embedded_cluster.audit.open_watches(user=operator.username) == []

            granted = loop.time()
            grant.restore()
            await eventually(lambda: is_readable(cache))
            return lost, loop.time() - granted

    lost, healed = virtual_time.run(main())

    assert 1.0 < lost < 10.0
    assert healed < 10.0


def is_readable(cache: ScopedCache) -> bool:
    scopes: list[Any] = list(cache.namespaces["a"].values()) if "a" in cache.namespaces else []
    try:
        return [pod.name for scope in scopes for pod in scope.list("pods")] == ["p"]
    except ForbiddenError:
        return False


def test_an_hour_of_probing_costs_a_moment(embedded_cluster: EmbeddedCluster, operator: Identity) -> None:
    owner = memcached(embedded_cluster)
    embedded_cluster.grant(operator, ["list", "watch"], ["pods"], namespace="a")

    async def main() -> None:
        async with embedded_cluster.client(operator) as client, ScopedCache(client) as cache:
            await cache.open(owner, "pods")
            await asyncio.sleep(3000)

    virtual_time.run(main())

    reviews = embedded_cluster.audit.count(resource="selfsubjectrulesreviews.authorization.k8s.io")
    assert 1000 < reviews < 1500


def test_a_watch_outlives_the_right_it_was_opened_with(embedded_cluster: EmbeddedCluster, operator: Identity) -> None:
    embedded_cluster.create_namespace("a")
    grant = embedded_cluster.grant(operator, ["list", "watch"], ["pods"], namespace="a")

    async def main() -> list[str]:
        client = embedded_cluster.client(operator)
        seen: list[str] = []

        async def watch() -> None:
            async for type_, pod in client.watch("pods", namespace="a", timeout=12):
                seen.append(f"{type_} {pod.name}")

        watching = asyncio.create_task(watch())
        await virtual_time.after(1.0)
        grant.revoke()
        embedded_cluster.create(POD)
        await watching
        with pytest.raises(ForbiddenError):
            await watch()
        return seen

    assert virtual_time.run(main())[0] == "ADDED p"


def test_a_deleted_account_is_refused_when_its_token_is_forgotten(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    async def main() -> float:
        client = embedded_cluster.client(operator)
        loop = asyncio.get_running_loop()
        await client.version()
        embedded_cluster.delete("serviceaccounts", "operator", "system")
        deleted = loop.time()
        with pytest.raises(UnauthorizedError):
            while True:
                await client.version()
                await asyncio.sleep(0.5)
        return loop.time() - deleted

    assert virtual_time.run(main()) == pytest.approx(10.0, abs=0.6)


def test_a_changed_definition_ends_its_watches_a_second_later(embedded_cluster: EmbeddedCluster) -> None:
    memcached(embedded_cluster)

    async def main() -> float:
        client = embedded_cluster.client()
        loop = asyncio.get_running_loop()

        async def watch() -> None:
            async for _ in client.watch(MEMCACHEDS):
                pass

        watching = asyncio.create_task(watch())
        await virtual_time.after(5.0)
        crd = embedded_cluster.get("customresourcedefinitions.apiextensions.k8s.io", MEMCACHEDS)
        assert crd is not None
        versions = crd["spec"]["versions"]
        del versions[0]["additionalPrinterColumns"]
        embedded_cluster.patch(
            "customresourcedefinitions.apiextensions.k8s.io", MEMCACHEDS, {"spec": {"versions": versions}}
        )
        changed = loop.time()
        with pytest.raises(TooManyRequestsError, match="initializing"):
            await watch()
        await watching
        return loop.time() - changed

    assert virtual_time.run(main()) == pytest.approx(1.0, abs=0.1)


def test_a_silent_watch_has_its_bookmarks(embedded_cluster: EmbeddedCluster) -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        came: list[float] = []
        begun = loop.time()
        watch = embedded_cluster.client().open_watch(
            "configmaps", timeout=150, resource_version=str(embedded_cluster.storage.version)
        )
        async with watch as stream:
            async for chunk in stream.chunks():
                came += [round(loop.time() - begun)] * chunk.count(b'"BOOKMARK"')
        return [*came, round(loop.time() - begun)]

    assert virtual_time.run(main()) == [1, 61, 121, 148, 150]
