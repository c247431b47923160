"""Two API servers on one storage: what the one that lags behind knows, and when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from scopedcache import Client
from scopedcache.access.rule_matching import allows
from scopedcache.api.permission import Permission
from scopedcache.testing import EmbeddedCluster, Identity, virtual_time

LAG = 2.0
LIST = Permission("list", "", "configmaps", "default")
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def create(cluster: EmbeddedCluster, name: str, **data: str) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return str(cluster.apply(body, "default")[0]["metadata"]["resourceVersion"])


async def answer(client: Client, **query: str) -> tuple[int, Any]:
    response = await client.transport.request("GET", CONFIGMAPS, list(query.items()))
    return response.status, json.loads(response.body)


async def may_list(client: Client) -> bool:
    return (await answer(client))[0] == 200


async def names(client: Client, **query: str) -> list[str]:
    return [one["metadata"]["name"] for one in (await answer(client, **query))[1]["items"]]


@pytest.fixture
def operator(embedded_cluster: EmbeddedCluster) -> Identity:
    return embedded_cluster.user("operator")


def test_rights_are_as_they_were_a_while_ago_in_both_directions(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> list[tuple[bool, bool]]:
        clients = embedded_cluster.client(operator), behind.client(operator)

        async def both() -> tuple[bool, bool]:
            return await may_list(clients[0]), await may_list(clients[1])

        grant = embedded_cluster.grant(operator, ["list"], ["configmaps"], namespace="default")
        seen = [await both()]
        for change in (grant.revoke, lambda: None):
            await virtual_time.after(LAG - 0.1)
            seen.append(await both())
            await virtual_time.after(0.2)
            seen.append(await both())
            change()
        return seen

    assert virtual_time.run(main()) == [
        (True, False),
        (True, False),
        (True, True),
        (False, True),
        (False, False),
    ]


def test_reviews_of_oneself_answer_by_the_same_old_rights(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> list[tuple[bool, bool]]:
        client = behind.client(operator)

        async def seen() -> tuple[bool, bool]:
            rules = await client.review_rules("default")
            return await client.review_access(LIST), allows(rules, LIST) is True

        embedded_cluster.grant(operator, ["list"], ["configmaps"], namespace="default")
        first = await seen()
        await virtual_time.after(LAG)
        return [first, await seen()]

    assert virtual_time.run(main()) == [(False, False), (True, True)]


def test_watches_hear_of_a_change_later(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        client = behind.client()
        version = str(embedded_cluster.storage.version)

        async def first() -> float:
            async for _ in client.watch("configmaps", namespace="default", resource_version=version):
                break
            return loop.time()

        watching = asyncio.create_task(first())
        await virtual_time.after(1.0)
        create(embedded_cluster, "one")
        written = loop.time()
        return await watching - written

    assert virtual_time.run(main()) == pytest.approx(LAG)


def test_any_version_is_the_old_one_and_no_version_the_newest(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> list[Any]:
        client = behind.client()
        create(embedded_cluster, "one")
        await virtual_time.after(LAG)
        create(embedded_cluster, "two")
        seen = [await names(client, resourceVersion="0"), await names(client)]
        await virtual_time.after(LAG)
        return [*seen, await names(client, resourceVersion="0")]

    assert virtual_time.run(main()) == [["one"], ["one", "two"], ["one", "two"]]


def test_a_list_of_any_version_carries_the_old_version(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end(lag=LAG)
    old = embedded_cluster.storage.version
    create(embedded_cluster, "one")

    async def main() -> tuple[str, str]:
        client = behind.client()
        _, any_ = await answer(client, resourceVersion="0")
        _, newest = await answer(client)
        return any_["metadata"]["resourceVersion"], newest["metadata"]["resourceVersion"]

    assert virtual_time.run(main()) == (str(old), str(embedded_cluster.storage.version))


@pytest.mark.parametrize(("lag", "waited"), [(2.0, 2.0), (60.0, None)])
@pytest.mark.parametrize("streaming", [True, False])
def test_a_version_not_seen_yet_is_waited_for_three_seconds(
    embedded_cluster: EmbeddedCluster, lag: float, waited: float | None, streaming: bool
) -> None:
    behind = embedded_cluster.front_end(lag=lag)

    async def main() -> tuple[float, int, bool]:
        client, loop = behind.client(), asyncio.get_running_loop()
        version = create(embedded_cluster, "one")
        begun = loop.time()
        query = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
        if streaming:
            query |= {"watch": "true", "sendInitialEvents": "true"}
        async with client.transport.stream(CONFIGMAPS, list(query.items()), idle_timeout=10) as stream:
            told = b"" if stream.status == 200 else await stream.read()
            return loop.time() - begun, stream.status, b'"reason":"ResourceVersionTooLarge"' in told

    took, *told = virtual_time.run(main())
    assert (round(took, 3), *told) == ((3.0, 504, True) if waited is None else (waited, 200, False))


def test_a_streaming_list_of_the_newest_state_is_not_an_old_one(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end(lag=LAG)
    create(embedded_cluster, "one")

    async def main() -> bytes:
        told = b""
        watch = behind.client().open_watch("configmaps", namespace="default", initial_events=True, timeout=4)
        async with watch as stream:
            async for chunk in stream.chunks():
                told += chunk
                if b"initial-events-end" in chunk:
                    break
        return told

    assert b'"name":"one"' in virtual_time.run(main())


def test_a_watch_from_a_version_not_seen_yet_hears_neither_the_past_nor_an_older_bookmark(
    embedded_cluster: EmbeddedCluster,
) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> bytes:
        create(embedded_cluster, "one")
        version = create(embedded_cluster, "one", key="value")
        watch = behind.client().open_watch("configmaps", namespace="default", resource_version=version, timeout=4)
        async with watch as stream:
            return b"".join([chunk async for chunk in stream.chunks()])

    told = virtual_time.run(main())
    assert told.count(b"\n") == told.count(b"BOOKMARK") == 1


def test_writes_go_through_at_once(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> str:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}}
        made = await behind.client().create(body)
        return (await embedded_cluster.client().get("configmaps", made.name, namespace="default")).uid

    assert virtual_time.run(main())


def test_a_front_end_catches_up_when_its_lag_is_taken_away(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    behind = embedded_cluster.front_end(lag=3600.0)
    embedded_cluster.grant(operator, ["list"], ["configmaps"], namespace="default")

    async def main() -> list[bool]:
        client = behind.client(operator)
        before = await may_list(client)
        behind.lag = 0.0
        return [before, await may_list(client)]

    assert virtual_time.run(main()) == [False, True]


def test_time_that_a_test_lets_pass_by_itself_counts_too(embedded_cluster: EmbeddedCluster, operator: Identity) -> None:
    behind = embedded_cluster.front_end(lag=LAG)
    embedded_cluster.grant(operator, ["list"], ["configmaps"], namespace="default")
    embedded_cluster.advance(LAG)

    async def main() -> bool:
        return await may_list(behind.client(operator))

    assert virtual_time.run(main())


def test_a_forgotten_version_is_410_on_every_front_end(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end()
    version = create(embedded_cluster, "one")
    create(embedded_cluster, "two")
    embedded_cluster.compact()

    async def main() -> bytes:
        watch = behind.client().open_watch("configmaps", namespace="default", resource_version=version)
        async with watch as stream:
            return b"".join([chunk async for chunk in stream.chunks()])

    assert b'"code":410' in virtual_time.run(main())


@pytest.mark.parametrize("lag", [0.0, LAG])
def test_the_version_at_which_history_was_forgotten_is_known_to_every_front_end(
    embedded_cluster: EmbeddedCluster, lag: float
) -> None:
    behind = embedded_cluster.front_end(lag=lag)

    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        create(embedded_cluster, "one")
        embedded_cluster.compact()
        version = str(embedded_cluster.storage.version)
        code, _ = await answer(behind.client(), resourceVersion=version, resourceVersionMatch="NotOlderThan")
        return code, loop.time() - begun

    assert virtual_time.run(main()) == pytest.approx((200, lag), abs=0.01)


def test_a_version_from_before_a_front_end_came_is_410_there_too_of_a_kind_without_objects(
    embedded_cluster: EmbeddedCluster,
) -> None:
    added = embedded_cluster.front_end()

    async def main() -> bytes:
        watch = added.client().open_watch("leases.coordination.k8s.io", resource_version="1", timeout=4)
        async with watch as stream:
            return b"".join([chunk async for chunk in stream.chunks()])

    assert b'"code":410' in virtual_time.run(main())


def test_a_server_that_lags_has_caught_up_when_it_restarts_and_tells_nothing_from_before(
    embedded_cluster: EmbeddedCluster,
) -> None:
    behind = embedded_cluster.front_end(lag=LAG)

    async def main() -> tuple[list[str], list[bytes]]:
        client = behind.client()
        versions = [create(embedded_cluster, "one"), create(embedded_cluster, "two")]
        behind.restart(down=0.0, unready=0.0)
        seen = await names(client, resourceVersion="0")
        told = []
        for version in versions:
            watch = client.open_watch("configmaps", namespace="default", resource_version=version, timeout=4)
            async with watch as stream:
                told.append(b"".join([chunk async for chunk in stream.chunks() if b"BOOKMARK" not in chunk]))
        return seen, told

    seen, (before, since) = virtual_time.run(main())
    assert seen == ["one", "two"]
    assert b'"code":410' in before
    assert since == b""


def test_what_a_front_end_has_seen_can_only_be_read(embedded_cluster: EmbeddedCluster) -> None:
    seen = embedded_cluster.front_end().seen
    assert [verb for verb in ("create", "update", "delete", "compact") if hasattr(seen, verb)] == []


def test_a_changed_definition_ends_the_watches_of_every_front_end(embedded_cluster: EmbeddedCluster) -> None:
    behind = embedded_cluster.front_end(lag=LAG)
    crd = "customresourcedefinitions.apiextensions.k8s.io"
    embedded_cluster.apply("examples/memcached_operator/config/crd.yaml")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await virtual_time.after(LAG)

        async def watch() -> float:
            async for _ in behind.client().watch("memcacheds.cache.example.com"):
                pass
            return loop.time()

        watching = asyncio.create_task(watch())
        await virtual_time.after(5.0)
        found = embedded_cluster.get(crd, "memcacheds.cache.example.com")
        assert found is not None
        del found["spec"]["versions"][0]["additionalPrinterColumns"]
        embedded_cluster.patch(crd, found["metadata"]["name"], {"spec": {"versions": found["spec"]["versions"]}})
        changed = loop.time()
        return await watching - changed

    assert virtual_time.run(main()) == pytest.approx(1.0)


def test_a_balanced_client_goes_to_each_front_end_in_turn(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    ahead, behind = embedded_cluster.front_end(), embedded_cluster.front_end(lag=LAG)
    embedded_cluster.grant(operator, ["list"], ["configmaps"], namespace="default")

    async def main() -> list[bool]:
        client = embedded_cluster.balanced_client(operator, [ahead, behind])
        return [await may_list(client) for _ in range(4)]

    assert virtual_time.run(main()) == [True, False, True, False]
    asked = embedded_cluster.audit.requests(user="operator")
    assert [(r.server, r.code) for r in asked] == [(1, 200), (2, 403), (1, 200), (2, 403)]
