"""A cache in trouble: API servers that disagree or restart, and a wall clock that jumps. It denies what is denied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

import attrs
import pytest

from scopedcache import ForbiddenError, LeaderElection, Object, OwnerChanged, ScopedCache
from scopedcache.controller.manager.leader_elector import LeaderElector
from scopedcache.testing import EmbeddedCluster, Grant, Identity, eventually, never, virtual_time
from scopedcache.testing.embedded import FrontEnd

LAG = 2.0
HOUR = 3600.0
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}


@attrs.define
class World:
    """A cluster with one running cache of the Pods in namespace `a`, and what it told."""

    cluster: EmbeddedCluster
    operator: Identity
    grant: Grant
    owner: Object
    cache: ScopedCache
    told: list[str]

    def pod(self, name: str) -> None:
        self.cluster.create({**POD, "metadata": {"name": name}}, "a")

    def pods(self) -> list[str] | None:
        """Return the Pods that are served, None where none are."""
        scope = self.cache.namespaces.get("a", {}).get(self.owner.uid)
        try:
            return None if scope is None else [pod.name for pod in scope.list("pods")]
        except ForbiddenError:
            return None

    async def live_within(self, seconds: float, name: str) -> None:
        """Create a Pod, and wait until it is served."""
        self.pod(name)
        await eventually(lambda: name in (self.pods() or ()), within=seconds, what=f"Pod {name}")


@asynccontextmanager
async def world(cluster: EmbeddedCluster, *front_ends: FrontEnd, phase: float = 0.0) -> AsyncIterator[World]:
    """Yield a world whose client goes to these front ends in turn, `phase` seconds after it has synced."""
    cluster.create_namespace("a")
    operator = cluster.user("operator")
    grant = cluster.grant(operator, ["list", "watch"], ["pods"], namespace="a")
    made = cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}, "a")
    told: list[str] = []

    def tell(change: OwnerChanged) -> None:
        if change.cause != "child":
            told.append(change.cause)

    client = cluster.balanced_client(operator, front_ends or cluster.front_ends[:1])
    await virtual_time.after(2 * LAG)
    async with client, ScopedCache(client, chance=lambda: 0.5) as cache:
        cache.subscribe(tell)
        one = World(cluster, operator, grant, Object.from_dict(made), cache, told)
        one.pod("first")
        await cache.open(one.owner, "pods")
        await eventually(lambda: one.pods() == ["first"])
        await virtual_time.after(phase)
        yield one


phases = pytest.mark.parametrize("phase", [0.0, 0.7, 1.4, 2.1, 2.8, 3.5, 4.2, 4.9])


@phases
def test_a_revocation_is_noticed_although_one_server_does_not_know_of_it_yet(
    embedded_cluster: EmbeddedCluster, phase: float
) -> None:
    front_ends = embedded_cluster.front_end(), embedded_cluster.front_end(lag=LAG)

    async def main() -> None:
        async with world(embedded_cluster, *front_ends, phase=phase) as w:
            scope = w.cache.namespaces["a"][w.owner.uid]
            w.grant.revoke()
            # The bound counts from the moment at which the API server refuses; as long as one of two allows, it does
            # not: every other answer is a yes.
            await eventually(lambda: w.pods() is None, within=LAG + w.cache.bound)
            with pytest.raises(ForbiddenError):
                scope.list("pods")
            w.pod("unseen")
            await never(lambda: w.pods() is not None, within=300.0)
            assert w.told == ["denied"]
            assert w.cluster.audit.open_watches(user="operator") == []

    virtual_time.run(main())


@phases
def test_a_grant_heals_although_one_server_does_not_know_of_it_yet(
    embedded_cluster: EmbeddedCluster, phase: float
) -> None:
    front_ends = embedded_cluster.front_end(), embedded_cluster.front_end(lag=LAG)

    async def main() -> None:
        async with world(embedded_cluster, *front_ends) as w:
            w.grant.revoke()
            await eventually(lambda: w.pods() is None, within=20.0)
            await virtual_time.after(30.0 + phase)
            w.told.clear()
            w.grant.restore()
            await eventually(lambda: w.pods() == ["first"], within=w.cache.bound)
            await never(lambda: w.pods() is None, within=300.0)
            assert w.told == ["granted"]

    virtual_time.run(main())


def test_servers_that_disagree_about_objects_take_nothing_from_a_cache(embedded_cluster: EmbeddedCluster) -> None:
    front_ends = embedded_cluster.front_end(), embedded_cluster.front_end(lag=LAG)

    async def main() -> None:
        async with world(embedded_cluster, *front_ends) as w:

            async def write() -> None:
                for number in range(600):
                    w.pod(f"pod-{number}")
                    if number:
                        w.cluster.delete("pods", f"pod-{number - 1}", "a")
                    await asyncio.sleep(1.0)

            writing = asyncio.create_task(write())
            await never(lambda: "first" not in (w.pods() or ()), within=620.0)
            await writing
            assert (w.pods(), w.told) == (["first", "pod-599"], [])

    virtual_time.run(main())


def test_no_other_right_that_changes_disturbs_a_cache(embedded_cluster: EmbeddedCluster) -> None:
    front_ends = embedded_cluster.front_end(), embedded_cluster.front_end(lag=LAG)

    async def main() -> None:
        async with world(embedded_cluster, *front_ends) as w:
            other = w.cluster.grant(w.operator, ["list", "watch"], ["services"], namespace="a")

            async def change() -> None:
                for _ in range(100):
                    other.revoke()
                    await asyncio.sleep(1.5)
                    other.restore()
                    await asyncio.sleep(1.5)

            changing = asyncio.create_task(change())
            await never(lambda: w.pods() is None, within=310.0)
            await changing
            assert w.told == []

    virtual_time.run(main())


@phases
@pytest.mark.parametrize("reviews", ["answered", "refused"])
def test_a_restart_tears_nothing_down_and_everything_is_live_again(
    embedded_cluster: EmbeddedCluster, phase: float, reviews: Literal["answered", "refused"]
) -> None:
    async def main() -> None:
        async with world(embedded_cluster, phase=phase) as w:
            embedded_cluster.restart(down=2.0, unready=1.0, reviews=reviews)
            gone = asyncio.create_task(never(lambda: w.pods() is None, within=60.0))
            await w.live_within(30.0, "second")
            await gone
            assert w.told == []

    virtual_time.run(main())


@phases
def test_a_restart_of_one_server_of_two_tears_nothing_down(embedded_cluster: EmbeddedCluster, phase: float) -> None:
    front_ends = embedded_cluster.front_end(), embedded_cluster.front_end(lag=LAG)

    async def main() -> None:
        async with world(embedded_cluster, *front_ends, phase=phase) as w:
            front_ends[0].restart(down=2.0, unready=1.0)
            gone = asyncio.create_task(never(lambda: w.pods() is None, within=60.0))
            await w.live_within(30.0, "second")
            await gone
            assert w.told == []

    virtual_time.run(main())


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_jump_of_the_servers_clock_does_not_disturb_an_open_cache(
    embedded_cluster: EmbeddedCluster, seconds: float
) -> None:
    async def main() -> None:
        async with world(embedded_cluster) as w:
            before = embedded_cluster.audit.open_watches(user="operator")
            embedded_cluster.clock.jump(seconds)
            await never(lambda: w.pods() is None, within=60.0)
            await w.live_within(1.0, "second")
            assert embedded_cluster.audit.open_watches(user="operator") == before
            assert w.told == []

    virtual_time.run(main())


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_lease_that_is_renewed_is_not_stolen_because_of_its_time(
    embedded_cluster: EmbeddedCluster, seconds: float
) -> None:
    """Whether it is renewed is judged by what is seen to change, not by what the holder's clock says."""
    clock = embedded_cluster.clock

    async def main() -> None:
        def elector(name: str, time: Callable[[], float]) -> LeaderElector:
            election = LeaderElection(name="lease", namespace="default", identity=name)
            client = embedded_cluster.client()
            return LeaderElector(client, election, chance=lambda: 0.5, wall=lambda: datetime.fromtimestamp(time(), UTC))

        holder, other = elector("holder", lambda: clock.now().wall), elector("other", clock.now)
        await holder.acquire()
        holding, waiting = asyncio.create_task(holder.hold()), asyncio.create_task(other.acquire())
        await virtual_time.after(60.0)
        clock.jump(seconds)
        await never(lambda: other.leading or not holder.leading, within=300.0)
        holding.cancel()
        await eventually(lambda: other.leading, within=30.0)
        await waiting

    virtual_time.run(main())
