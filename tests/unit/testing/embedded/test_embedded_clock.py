"""The wall clock of the cluster jumps: what it stamps and what expires follows it, and whatever waits does not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from scopedcache import UnauthorizedError
from scopedcache.testing import EmbeddedCluster, virtual_time

HOUR = 3600.0
jumps = pytest.mark.parametrize("seconds", [HOUR, -HOUR])


def created(cluster: EmbeddedCluster, name: str) -> float:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "value"}}
    made = cluster.create(body, "default")
    return datetime.fromisoformat(made["metadata"]["creationTimestamp"]).timestamp()


@jumps
def test_what_is_created_after_a_jump_bears_the_new_time(embedded_cluster: EmbeddedCluster, seconds: float) -> None:
    before = created(embedded_cluster, "before")
    embedded_cluster.clock.jump(seconds)
    assert created(embedded_cluster, "after") - before == pytest.approx(seconds, abs=1.1)


@jumps
def test_whoever_manages_a_field_after_a_jump_does_so_at_the_new_time(
    embedded_cluster: EmbeddedCluster, seconds: float
) -> None:
    expected = datetime.fromtimestamp(embedded_cluster.now() + seconds, UTC)
    embedded_cluster.clock.jump(seconds)
    created(embedded_cluster, "one")
    stored = embedded_cluster.get("configmaps", "one", "default")
    assert stored is not None
    told = datetime.fromisoformat(stored["metadata"]["managedFields"][0]["time"])
    assert abs((told - expected).total_seconds()) < 1.1


def test_a_jump_forward_ends_tokens_and_a_jump_back_gives_them_time(embedded_cluster: EmbeddedCluster) -> None:
    operator = embedded_cluster.service_account("system", "operator", expiration_seconds=600)

    def is_known() -> bool:
        try:
            embedded_cluster.request("GET", "/version", user=operator)
        except UnauthorizedError:
            return False
        return True

    def known_after(seconds: float) -> bool:
        embedded_cluster.clock.jump(seconds)
        return is_known()

    assert [known_after(590), known_after(20), known_after(-HOUR)] == [True, False, True]


@jumps
def test_watches_bookmarks_and_controllers_keep_their_time_across_a_jump(
    embedded_cluster: EmbeddedCluster, seconds: float
) -> None:
    embedded_cluster.create_namespace("going")

    async def main() -> tuple[list[int], float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        bookmarks: list[int] = []

        async def watch() -> float:
            version = str(embedded_cluster.storage.version)
            watch = embedded_cluster.client().open_watch("configmaps", timeout=90, resource_version=version)
            async with watch as stream:
                async for chunk in stream.chunks():
                    bookmarks.extend([round(loop.time() - begun)] * chunk.count(b'"BOOKMARK"'))
            return loop.time() - begun

        watching = asyncio.create_task(watch())
        await virtual_time.after(3.0)
        embedded_cluster.delete("namespaces", "going")
        embedded_cluster.clock.jump(seconds)
        await virtual_time.after(4.9)
        assert embedded_cluster.get("namespaces", "going") is not None
        await virtual_time.after(0.2)
        assert embedded_cluster.get("namespaces", "going") is None
        return bookmarks, await watching

    bookmarks, ended = virtual_time.run(main())
    assert [*bookmarks, round(ended)] == [1, 61, 88, 90]


def test_a_loop_whose_time_cannot_be_read_is_not_passed_over(embedded_cluster: EmbeddedCluster) -> None:
    class Loop(virtual_time.VirtualTimeLoop):
        broken = False

        def time(self) -> float:
            if self.broken:
                raise RuntimeError("no time")
            return super().time()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        loop.broken = True
        try:
            with pytest.raises(RuntimeError, match="no time"):
                embedded_cluster.client()
        finally:
            loop.broken = False

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
