"""What `open` does not wait for: first lists that hang, reviews that hang, optional needs that lack something."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import ForbiddenError, Need, NotSyncedError, ScopeClosedError
from tests.unit.cache.world import KINDS, world
from tests.unit.clock import after, idle, now
from tests.unit.cluster import DEPLOYMENT, POD, REVIEWS


async def test_a_first_list_that_hangs_is_waited_for_a_while_and_then_told_of() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        trouble = w.server.trouble(POD, code=503)
        started = now()
        with pytest.raises(NotSyncedError, match="pods in namespace a") as late:
            await w.cache.open(owner, POD)
        waited = now() - started
        before = (w.causes(owner), w.state(owner))
        trouble.over()
        await w.until(lambda: w.causes(owner))

        assert (round(waited, 3), late.value.awaited) == (5.0, True)
        assert "503" in str(late.value)
        assert before == ([], "opening")
        assert w.causes(owner) == ["synced"]
        assert (await w.cache.open(owner, POD)).list(POD) == []


async def test_many_owners_wait_for_one_hanging_list_no_longer_than_one_does() -> None:
    async with world() as w:
        owners = [w.owner(f"m{number}") for number in range(20)]
        w.server.grant("a", POD)
        w.server.silence(POD)
        started = now()
        for owner in owners:
            with pytest.raises(NotSyncedError):
                await w.cache.open(owner, POD)

        assert now() - started == pytest.approx(5.0, abs=0.1)


async def test_how_long_is_said_by_the_cache_and_by_each_call() -> None:
    async with world(sync_timeout=1.0) as w:
        w.server.grant("a", POD)
        w.server.grant("b", POD)
        w.server.silence(POD)
        waited = []
        for namespace, options in (("a", {}), ("b", {"sync_timeout": 3.0})):
            started = now()
            with pytest.raises(NotSyncedError):
                await w.cache.open(w.owner("m", namespace), POD, **options)  # type: ignore[arg-type]
            waited.append(now() - started)

        assert waited == [pytest.approx(1.0), pytest.approx(3.0)]


async def test_a_denial_that_comes_after_nobody_waits_any_more_is_told() -> None:
    async with world(sync_timeout=1.0) as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)
        trouble = w.server.trouble(*REVIEWS, latency=3.0)
        with pytest.raises(NotSyncedError, match="rights"):
            await w.cache.open(owner, *KINDS)
        await w.until(lambda: w.causes(owner))
        trouble.over()
        told = w.causes(owner)
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, *KINDS)
        w.server.grant("a", POD)
        await w.until(lambda: len(w.causes(owner)) == 2)

        assert told == ["denied"]
        assert w.causes(owner) == ["denied", "granted"]


async def test_closing_ends_an_opening_that_nobody_waits_for() -> None:
    async with world(sync_timeout=1.0) as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        w.server.silence()
        with pytest.raises(NotSyncedError):
            await w.cache.open(owner, POD, Need(DEPLOYMENT, optional=True))
        waiting = asyncio.ensure_future(w.cache.open(owner, POD, Need(DEPLOYMENT, optional=True), sync_timeout=60))
        await after(1)
        w.cache.close(owner)

        with pytest.raises(ScopeClosedError):
            await waiting
        await idle()
        w.nothing_is_left()


# -- optional needs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["lists hang", "lists fail", "reviews of the cluster hang"])
async def test_an_optional_need_that_has_no_answers_keeps_nobody_waiting_and_is_told_of_once_it_is_there(
    what: str,
) -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        optional = Need(DEPLOYMENT, optional=True)
        match what:
            case "lists hang":
                trouble = w.server.trouble(DEPLOYMENT, latency=20.0)
            case "lists fail":
                trouble = w.server.trouble(DEPLOYMENT, code=503)
            case _:
                trouble = w.server.trouble("selfsubjectrulesreviews.authorization.k8s.io", latency=4.0, skip=1)
                optional = Need("nodes", optional=True)
                w.server.embedded.grant(w.server.operator, ["list", "watch"], ["nodes"])
        started = now()
        scope = await w.cache.open(owner, POD, optional)
        waited = now() - started
        readable = scope.list(POD)
        with pytest.raises(NotSyncedError):
            scope.list(optional.kind)
        again = await w.cache.open(owner, POD, optional)
        looked_up = now() - started - waited
        trouble.over()
        await w.until(lambda: w.causes(owner))

        assert waited <= 0.5
        assert (readable, again is scope, looked_up) == ([], True, 0.0)
        assert (w.causes(owner), scope.list(optional.kind)) == (["synced"], [])


async def test_an_optional_need_that_lacks_nothing_is_there_when_open_returns_and_nobody_is_told() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)

        scope = await w.cache.open(owner, POD, Need(DEPLOYMENT, optional=True))
        shown = scope.list(DEPLOYMENT)
        await after(30)

        assert (shown, w.causes(owner)) == ([], [])


async def test_one_optional_need_waits_for_no_other() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        w.server.silence(POD)
        optional = [Need(kind, optional=True) for kind in KINDS]

        scope = await w.cache.open(owner, *optional)

        assert scope.list(DEPLOYMENT) == []


async def test_reads_of_a_scope_whose_opening_takes_long_say_so() -> None:
    async with world(sync_timeout=0.5) as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, POD)
        w.server.silence(DEPLOYMENT)

        for _ in range(2):  # the second time there is nothing new in it
            with pytest.raises(NotSyncedError):
                await w.cache.open(owner, POD, DEPLOYMENT)

        assert scope.list(POD) == []
