"""Faults: each does what it says, to the requests it names, as often as it was told."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import Client, ForbiddenError, ServerError, TooManyRequestsError, TransportError
from scopedcache.testing import EmbeddedCluster, virtual_time
from scopedcache.testing.embedded import Fault

PODS = "/api/v1/namespaces/default/pods"
IDLE = 75.0


async def outcome(client: Client) -> str:
    try:
        await client.list("configmaps", namespace="default")
    except Exception as error:
        return type(error).__name__
    return "ok"


def outcomes(cluster: EmbeddedCluster, fault: Fault, requests: int = 4) -> list[str]:
    cluster.faults.add(fault)

    async def main() -> list[str]:
        client = cluster.client()
        return [await outcome(client) for _ in range(requests)]

    return virtual_time.run(main())


def test_a_fault_strikes_so_often_after_so_many(embedded_cluster: EmbeddedCluster) -> None:
    fault = Fault(verb="list", resource="configmaps", code=503, skip=1, times=2)
    assert outcomes(embedded_cluster, fault) == ["ok", "ServerError", "ServerError", "ok"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(resource="pods", code=503), "ok"),
        (Fault(user="somebody", code=503), "ok"),
        (Fault(verb="list", namespace="other", code=503), "ok"),
        (Fault(verb="list", namespace="default", code=503), "ServerError"),
        (Fault(verb="list", code=429, retry_after=3), "TooManyRequestsError"),
        (Fault(verb="list", code=403), "ForbiddenError"),
        (Fault(verb="list", code=502, html=True), "ServerError"),
        (Fault(verb="list", refuse=True), "TransportError"),
        (Fault(verb="list", latency=40.0), "TransportError"),
        (Fault(verb="list", latency=20.0), "ok"),
    ],
)
def test_a_fault_is_what_it_says(embedded_cluster: EmbeddedCluster, fault: Fault, expected: str) -> None:
    assert outcomes(embedded_cluster, fault, 1) == [expected]


def test_chance_repeats_with_the_seed() -> None:
    def run(seed: int) -> list[str]:
        with EmbeddedCluster.start(seed=seed) as cluster:
            return outcomes(cluster, Fault(verb="list", code=503, chance=0.5), 20)

    assert run(1) == run(1) != run(2)


def test_a_window_of_false_refusals_ends_by_itself(embedded_cluster: EmbeddedCluster) -> None:
    embedded_cluster.faults.add(Fault(code=403, resource="configmaps", until=embedded_cluster.now() + 1.0))

    async def main() -> list[str]:
        client = embedded_cluster.client()
        first = await outcome(client)
        await virtual_time.after(1.0)
        return [first, await outcome(client)]

    assert virtual_time.run(main()) == ["ForbiddenError", "ok"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(verb="watch", cut_after=1), TransportError),
        (Fault(verb="watch", silence_after=1), TransportError),
        (Fault(verb="watch", code=403, message="false"), ForbiddenError),
        (Fault(verb="watch", code=500), ServerError),
        (Fault(verb="watch", code=429, retry_after=1), TooManyRequestsError),
    ],
)
def test_a_watch_is_lost(embedded_cluster: EmbeddedCluster, fault: Fault, expected: type[Exception]) -> None:
    embedded_cluster.faults.add(fault)
    for name in ("one", "two"):
        embedded_cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}, "default")

    async def main() -> int:
        seen = 0
        with pytest.raises(expected):
            async with embedded_cluster.client().open_watch("configmaps", namespace="default") as stream:
                async for chunk in stream.chunks():
                    seen += chunk.count(b"\n")
        return seen

    assert virtual_time.run(main()) == (0 if fault.code else 1)
    assert embedded_cluster.audit.open_watches() == []


def test_a_slow_drip_carries_every_byte(embedded_cluster: EmbeddedCluster) -> None:
    embedded_cluster.faults.add(Fault(verb="watch", drip=0.01, oversize=100))
    embedded_cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}, "default")

    async def main() -> list[bytes]:
        watch = embedded_cluster.client().open_watch("configmaps", namespace="default", timeout=60)
        async with watch as stream:
            return b"".join([chunk async for chunk in stream.chunks()]).splitlines()

    first, second, *_ = virtual_time.run(main())
    assert len(first) > 100
    assert b'"name":"one"' in second


@pytest.mark.parametrize("fault", [Fault(verb="watch", silence_after=1), Fault(verb="watch", drip=200.0)])
@pytest.mark.parametrize("writes", [[1.0], [1.0, 61.0], [1.0, 30.0, 60.0, 75.0]])
def test_a_watch_is_cut_a_while_after_its_last_byte_whatever_is_written_later(
    embedded_cluster: EmbeddedCluster, fault: Fault, writes: list[float]
) -> None:
    embedded_cluster.faults.add(fault)
    version = str(embedded_cluster.storage.version)
    query = [("watch", "true"), ("resourceVersion", version), ("timeoutSeconds", "3000")]

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        begun, last = loop.time(), 0.0

        async def write() -> None:
            for number, when in enumerate(writes):
                await asyncio.sleep(begun + when - loop.time())
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"map-{number}"}}
                embedded_cluster.create(body, "default")

        writing = asyncio.create_task(write())
        path = "/api/v1/namespaces/default/configmaps"
        with pytest.raises(TransportError, match="no byte"):
            async with embedded_cluster.client().transport.stream(path, query, idle_timeout=IDLE) as stream:
                async for _ in stream.chunks():
                    last = loop.time() - begun
        await writing
        return last, loop.time() - begun

    assert virtual_time.run(main()) == pytest.approx((1.0, 1.0 + IDLE))


async def end_of(cluster: EmbeddedCluster, seconds: int) -> tuple[str, float]:
    """Return how a watch of ConfigMaps that lasts so long ends, and when."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    query = [("watch", "true"), ("timeoutSeconds", str(seconds))]
    path = "/api/v1/namespaces/default/configmaps"
    try:
        async with cluster.client().transport.stream(path, query, idle_timeout=IDLE) as stream:
            async for _ in stream.chunks():
                pass
    except TransportError as error:
        return str(error), loop.time() - begun
    return "in good order", loop.time() - begun


@pytest.mark.parametrize("lines", [0, 1])
def test_a_silent_connection_stays_open_past_the_end_of_its_watch(
    embedded_cluster: EmbeddedCluster, lines: int
) -> None:
    embedded_cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}, "default")
    embedded_cluster.faults.add(Fault(verb="watch", silence_after=lines))
    how, when = virtual_time.run(end_of(embedded_cluster, 50))
    assert how == "no byte for 75 s"
    assert when == pytest.approx(IDLE)


def test_a_watch_that_drips_is_lost_when_its_server_restarts(embedded_cluster: EmbeddedCluster) -> None:
    embedded_cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}, "default")
    embedded_cluster.faults.add(Fault(verb="watch", drip=1.0))

    async def main() -> tuple[str, float]:
        asyncio.get_running_loop().call_later(5.5, embedded_cluster.restart)
        return await end_of(embedded_cluster, 3000)

    how, when = virtual_time.run(main())
    assert how == "connection lost"
    assert when == pytest.approx(6.0)


def test_a_rule_that_is_over_is_kept_no_longer(embedded_cluster: EmbeddedCluster) -> None:
    for fault in (Fault(name="nobody", code=503), Fault(verb="list", code=503, times=1)):
        embedded_cluster.faults.add(fault)
    embedded_cluster.restart(down=2.0)

    async def main() -> str:
        client = embedded_cluster.client()
        for seconds in (0.0, 3.0, 0.0):
            await virtual_time.after(seconds)
            await outcome(client)
        return repr(embedded_cluster.faults)

    assert virtual_time.run(main()) == "<Faults: 1 in force>"
