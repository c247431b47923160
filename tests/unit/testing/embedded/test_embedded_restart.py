"""A restart of the API server: lost watches, refused connections, and a moment in which it knows no rights."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from scopedcache import Client, ForbiddenError, TransportError
from scopedcache.access.rule_matching import allows
from scopedcache.api.permission import Permission
from scopedcache.testing import EmbeddedCluster, Identity, virtual_time
from scopedcache.testing.embedded import Fault

LIST = Permission("list", "", "configmaps", "default")


@pytest.fixture
def operator(embedded_cluster: EmbeddedCluster) -> Identity:
    operator = embedded_cluster.user("operator")
    embedded_cluster.grant(operator, ["list", "watch"], ["configmaps"], namespace="default")
    return operator


async def outcome(call: Any) -> str:
    try:
        await call
    except Exception as error:
        return type(error).__name__
    return "ok"


async def listed(client: Client) -> str:
    return await outcome(client.list("configmaps", namespace="default"))


async def reviewed(client: Client) -> tuple[str, ...]:
    """Return what both reviews of oneself say."""
    try:
        access, rules = await client.review_access(LIST), await client.review_rules("default")
    except ForbiddenError:
        return ("refused",)
    return "yes" if access else "no", "yes" if allows(rules, LIST) else f"{len(rules.rules)} rules"


def test_a_restart_is_refused_connections_then_false_refusals_then_over(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    async def main() -> list[str]:
        client = embedded_cluster.client(operator)
        seen = [await listed(client)]
        embedded_cluster.restart(down=2.0, unready=1.0)
        for seconds in (0.0, 1.9, 0.2, 0.8, 0.2):
            await virtual_time.after(seconds)
            seen.append(await listed(client))
        return seen

    down, unready = "TransportError", "ForbiddenError"
    assert virtual_time.run(main()) == ["ok", down, down, unready, unready, "ok"]


def test_an_admin_is_refused_nothing_by_a_server_that_has_just_started(embedded_cluster: EmbeddedCluster) -> None:
    async def main() -> str:
        client = embedded_cluster.client()
        embedded_cluster.restart(down=0.0, unready=1.0)
        return await listed(client)

    assert virtual_time.run(main()) == "ok"


@pytest.mark.parametrize(("reviews", "expected"), [("answered", ("no", "0 rules")), ("refused", ("refused",))])
def test_reviews_are_answered_with_no_or_refused_like_everything_else(
    embedded_cluster: EmbeddedCluster, operator: Identity, reviews: Any, expected: tuple[str, ...]
) -> None:
    async def main() -> list[tuple[str, ...]]:
        client = embedded_cluster.client(operator)
        embedded_cluster.restart(down=0.0, unready=1.0, reviews=reviews)
        meanwhile = await reviewed(client)
        await virtual_time.after(1.0)
        return [meanwhile, await reviewed(client)]

    assert virtual_time.run(main()) == [expected, ("yes", "yes")]


def test_every_watch_is_lost_and_does_not_end_in_good_order(embedded_cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        client = embedded_cluster.client()

        async def watch() -> None:
            async for _ in client.watch("configmaps"):
                pass

        watching = asyncio.create_task(watch())
        await virtual_time.after(5.0)
        embedded_cluster.restart()
        with pytest.raises(TransportError, match="lost"):
            await watching

    virtual_time.run(main())
    assert embedded_cluster.audit.open_watches() == []


def test_what_happened_before_is_too_old_for_a_watch_and_what_is_now_is_not(embedded_cluster: EmbeddedCluster) -> None:
    def create(name: str) -> str:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        return str(embedded_cluster.create(body, "default")["metadata"]["resourceVersion"])

    async def main() -> list[str]:
        client = embedded_cluster.client()

        async def first(version: str) -> str:
            async with aclosing(client.watch("configmaps", resource_version=version, timeout=4)) as watch:
                return (await anext(watch))[1].name

        versions = [create("one"), create("two")]
        embedded_cluster.restart(down=0.0, unready=0.0)
        watching = [asyncio.create_task(outcome(first(version))) for version in versions]
        await virtual_time.after(1.0)
        create("three")
        return [await task for task in watching]

    assert virtual_time.run(main()) == ["GoneError", "ok"]


def test_a_test_without_a_loop_can_restart_the_server_and_let_the_time_pass(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    def allowed() -> bool:
        try:
            embedded_cluster.request("GET", "/api/v1/namespaces/default/configmaps", user=operator)
        except ForbiddenError:
            return False
        return True

    embedded_cluster.restart(down=2.0, unready=1.0)
    seen = [allowed()]
    embedded_cluster.advance(2.9)
    seen.append(allowed())
    embedded_cluster.advance(0.2)
    assert [*seen, allowed()] == [False, False, True]


def test_one_of_two_servers_restarts_while_the_other_serves(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    other = embedded_cluster.front_end()

    async def main() -> list[str]:
        first, second = embedded_cluster.client(operator), other.client(operator)
        for client in (first, second):
            assert await listed(client) == "ok"  # so that what the server serves is known
        other.restart(down=2.0, unready=1.0)
        seen = [await listed(first), await listed(second)]
        await virtual_time.after(2.0)
        return [*seen, await listed(first), await listed(second)]

    assert virtual_time.run(main()) == ["ok", "TransportError", "ok", "ForbiddenError"]


@pytest.mark.parametrize("fault", [Fault(latency=5.0), Fault(latency=5.0, code=500), None])
def test_a_server_that_has_restarted_answers_nothing_that_it_was_asked_before(
    embedded_cluster: EmbeddedCluster, fault: Fault | None
) -> None:
    server = embedded_cluster.front_end(lag=2.0)
    if fault is not None:
        embedded_cluster.faults.add(fault)

    async def main() -> list[str]:
        client = server.client()
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
        version = embedded_cluster.create(body, "default")["metadata"]["resourceVersion"]
        query = [("resourceVersion", version), ("resourceVersionMatch", "NotOlderThan")]
        initial = [("watch", "true"), ("sendInitialEvents", "true"), ("timeoutSeconds", "4")]

        async def watch() -> None:
            async with client.transport.stream("/api/v1/configmaps", [*query, *initial], idle_timeout=75.0) as stream:
                async for _ in stream.chunks():
                    pass

        asked = [client.transport.request("GET", "/api/v1/configmaps", query), watch()]
        waiting = [asyncio.create_task(outcome(call)) for call in asked]
        await virtual_time.after(1.0)
        server.restart(down=0.0, unready=0.0)
        return [await task for task in waiting]

    assert virtual_time.run(main()) == ["TransportError", "TransportError"]
    assert embedded_cluster.audit.open_watches() == []
    assert len(server.server.watches) == 0


def test_clients_over_http_lose_their_connection_too() -> None:
    async def main(cluster: EmbeddedCluster) -> str:
        async with Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
            async with client.open_watch("configmaps", initial_events=True) as stream:
                chunks = stream.chunks()
                await anext(chunks)
                cluster.restart(down=60.0)
                return await outcome(anext(chunks)) + " " + await listed(client)

    with EmbeddedCluster.start(http=True) as cluster:
        assert asyncio.run(main(cluster)) == "TransportError TransportError"
