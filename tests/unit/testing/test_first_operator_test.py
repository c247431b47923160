"""The first operator test of docs/testing.md, and what comes with it: assertions that wait, and the second run."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scopedcache as sc
from scopedcache.testing import EmbeddedCluster, Grant, Twice, eventually, never, virtual_time

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello"}}


def test_the_first_test_on_the_page_passes_and_is_short(
    embedded_cluster: EmbeddedCluster, twice: Callable[[Any, sc.Client], Twice]
) -> None:
    [block, *_] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    page: dict[str, Any] = {}
    exec(compile(block, "page", "exec"), page)

    page["test_a_memcached_gets_its_pods"](embedded_cluster, twice)

    assert len([line for line in block.partition("\ndef ")[2].splitlines() if line.strip()]) < 20


class Careless:
    """Writes its mark whether it is there or not."""

    def __init__(self, client: sc.Client, *, always: bool) -> None:
        self.client, self.always = client, always

    async def reconcile(self, request: sc.Request) -> None:
        found = await self.client.get("configmaps", request.key)
        if self.always or not found.labels:
            await self.client.patch("configmaps", request.key, {"metadata": {"labels": {"seen": "yes"}}})


@pytest.mark.parametrize("always", [False, True])
def test_who_writes_again_and_again_is_named(embedded_cluster: EmbeddedCluster, always: bool) -> None:
    embedded_cluster.create(CONFIG_MAP, "default")

    async def main() -> list[str]:
        client = embedded_cluster.client()
        checked = Twice(Careless(client, always=always), client)
        await checked.reconcile(sc.Request(sc.ObjectKey("default", "hello")))
        if always:
            with pytest.raises(AssertionError, match="wrote: patch configmaps default/hello"):
                checked.check()
        else:
            checked.check()
        return checked.complaints

    assert virtual_time.run(main()) == (["patch configmaps default/hello"] if always else [])


def test_after_ten_writes_it_is_clear_and_everything_runs_once(embedded_cluster: EmbeddedCluster) -> None:
    embedded_cluster.create(CONFIG_MAP, "default")

    async def main() -> Twice:
        client = embedded_cluster.client()
        checked = Twice(Careless(client, always=True), client)
        for _ in range(40):
            await checked.reconcile(sc.Request(sc.ObjectKey("default", "hello")))
        return checked

    checked = virtual_time.run(main())

    assert checked.complaints == ["patch configmaps default/hello"] * 10
    with pytest.raises(AssertionError, match=r"(patch configmaps default/hello, ){9}patch configmaps default/hello …$"):
        checked.check()


def test_what_happens_in_an_hour_is_waited_for_in_no_time() -> None:
    async def main() -> tuple[list[float], float]:
        happened: list[float] = []
        loop = asyncio.get_running_loop()
        loop.call_later(3600, lambda: happened.append(loop.time()))
        began = loop.time()
        await never(lambda: happened, within=3599)
        await eventually(lambda: happened, within=10)
        return happened, began

    [moment], start = virtual_time.run(main())

    assert moment - start == pytest.approx(3600)


def test_what_does_not_happen_in_time_is_told() -> None:
    async def main() -> None:
        with pytest.raises(AssertionError, match=r"waited 5 s for rain; the last answer was 0"):
            await eventually(lambda: 0, within=5, what="rain")
        with pytest.raises(AssertionError, match="rain was not to happen; the answer was 1"):
            await never(lambda: 1, within=5, what="rain")

    virtual_time.run(main())


def test_a_flicker_between_two_timers_is_not_missed() -> None:
    async def main() -> None:
        state = {"on": False}
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, lambda: state.update(on=True))
        loop.call_later(1.001, lambda: state.update(on=False))
        await eventually(lambda: state["on"], within=2)

    virtual_time.run(main())


def test_rights_come_and_go_by_the_name_of_a_user(
    as_user: Callable[[str], sc.Client],
    grant: Callable[..., Grant],
    revoke: Callable[[str], None],
) -> None:
    async def main() -> None:
        async with as_user("carol") as carol:
            with pytest.raises(sc.ForbiddenError):
                await carol.list("configmaps", namespace="default")
            grant("carol", ["list"], ["configmaps"], namespace="default")
            assert len(await carol.list("configmaps", namespace="default")) == 0
            revoke("carol")
            with pytest.raises(sc.ForbiddenError):
                await carol.list("configmaps", namespace="default")

    virtual_time.run(main())


def test_a_cache_notices_a_revocation_within_its_bound_and_a_grant_after_it(embedded_cluster: EmbeddedCluster) -> None:
    operator = embedded_cluster.user("operator")
    granted = embedded_cluster.grant(operator, ("get", "list", "watch"), ("configmaps",), namespace="default")
    owner = sc.Object.from_dict(embedded_cluster.create(CONFIG_MAP, "default"))

    async def main() -> tuple[list[str], float, float]:
        loop = asyncio.get_running_loop()
        causes: list[str] = []
        async with sc.ScopedCache(embedded_cluster.client(operator)) as cache:
            cache.subscribe(lambda change: causes.append(change.cause))
            scope = await cache.open(owner, "configmaps")
            assert [found.name for found in scope.list("configmaps")] == ["hello"]

            async def seen_again() -> bool:
                try:
                    return bool((await cache.open(owner, "configmaps")).list("configmaps"))
                except (sc.ForbiddenError, sc.ScopeClosedError):
                    return False

            began = loop.time()
            granted.revoke()
            await eventually(lambda: "denied" in causes, within=60)
            took = loop.time() - began
            granted.restore()
            await eventually(seen_again, within=60)
            return causes, took, cache.bound

    causes, took, bound = virtual_time.run(main())

    assert "denied" in causes
    assert took <= bound


def test_both_servers_are_used_in_the_same_words(api_server: Any) -> None:
    name = f"both-{time.time_ns()}"
    api_server.create_namespace(name)
    api_server.create(CONFIG_MAP, name)
    assert api_server.get("configmaps", "hello", name)["metadata"]["namespace"] == name
    api_server.delete_namespace(name)
