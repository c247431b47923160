"""A cluster that is used from several threads: whoever changes something keeps the others out meanwhile."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from scopedcache import Client
from scopedcache.testing import EmbeddedCluster, virtual_time

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}


def others_are_kept_out(cluster: EmbeddedCluster) -> bool:
    """Tell whether another thread would have to wait now."""
    entered: list[bool] = []

    def enter() -> None:
        entered.append(cluster.lock.acquire(blocking=False))
        if entered[0]:
            cluster.lock.release()

    other = threading.Thread(target=enter)
    other.start()
    other.join()
    return not entered[0]


def when_closed(cluster: EmbeddedCluster) -> Future[bool]:
    """Return what tells, once the one open watch is being closed, whether others are kept out."""
    told: Future[bool] = Future()
    with cluster.lock:
        (watch,) = cluster.server.watches.of(cluster.registry["configmaps"])
        watch.closed.append(lambda: told.set_result(others_are_kept_out(cluster)))
    return told


@pytest.mark.parametrize("whole", [True, False])
def test_nobody_writes_while_a_watch_is_closed(embedded_cluster: EmbeddedCluster, whole: bool) -> None:
    embedded_cluster.create(MAP, "default")

    async def main() -> bool:
        async with embedded_cluster.client().open_watch("configmaps", namespace="default", timeout=4) as stream:
            kept_out = when_closed(embedded_cluster)
            if whole:
                assert [chunk async for chunk in stream.chunks()]
        return kept_out.result(timeout=0)

    assert virtual_time.run(main())


async def test_nobody_writes_while_a_watch_over_http_is_closed() -> None:
    with EmbeddedCluster.start(http=True) as cluster:
        cluster.create(MAP, "default")
        async with Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
            async with client.open_watch("configmaps", namespace="default") as stream:
                assert await anext(stream.chunks())
                kept_out = when_closed(cluster)
            assert await asyncio.wrap_future(kept_out)
