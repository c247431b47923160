"""One watch where a wider one is there anyway: who is served by which informer, and what happens when that changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache import EventHandler, ForbiddenError, Need, NotSyncedError, NotWatchedError
from scopedcache.cache.informer_plan import InformerKey, cover
from scopedcache.kinds import ObjectKey
from tests.unit.cache.world import World, world
from tests.unit.clock import after, idle
from tests.unit.cluster import CONFIG_MAP, POD

NAMED = Need(CONFIG_MAP, name="one")
METADATA = Need(CONFIG_MAP, metadata_only=True)
WHOLE = Need(CONFIG_MAP)
KEYS = st.builds(InformerKey, st.just(POD), st.just("a"), st.sampled_from([None, "one", "two"]), st.booleans())


def names(scope: Any) -> list[str]:
    return sorted(obj.name for obj in scope.list(CONFIG_MAP))


def watches(w: World) -> int:
    return w.server.open(CONFIG_MAP)


# -- the rule --------------------------------------------------------------------------------------------------------


@given(KEYS, st.sets(KEYS))
def test_a_need_is_served_by_its_own_informer_or_by_one_that_holds_all_of_it(
    key: InformerKey, ready: set[InformerKey]
) -> None:
    found = cover(key, ready)

    assert found == key or found in ready
    assert found.name in (None, key.name)
    assert key.metadata_only or not found.metadata_only
    if InformerKey(POD, "a") in ready:
        assert found == InformerKey(POD, "a")


# -- one watch -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("narrow", [NAMED, METADATA], ids=["named", "metadata"])
@pytest.mark.parametrize("first", ["wide", "narrow"])
async def test_one_watch_serves_a_whole_kind_and_what_is_needed_of_it(narrow: Need, first: str) -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        for name in ("one", "two"):
            w.server.put(CONFIG_MAP, name, "a")
        wide_owner, owner = w.owner("wide"), w.owner("narrow")
        if first == "wide":
            wide = await w.cache.open(wide_owner, WHOLE)
            scope = await w.cache.open(owner, narrow)
        else:
            scope = await w.cache.open(owner, narrow)
            wide = await w.cache.open(wide_owner, WHOLE)
        await idle()
        shown = ["one"] if narrow is NAMED else ["kube-root-ca.crt", "one", "two"]

        assert watches(w) == 1
        assert ([name for name in names(scope) if name in ("one", "two")], "two" in names(wide)) == (
            [name for name in shown if name in ("one", "two")], True,
        )  # fmt: skip
        if narrow is NAMED:
            with pytest.raises(NotWatchedError):
                scope.get(CONFIG_MAP, "two")
            assert scope.list(CONFIG_MAP, labels="app=x") == []
        assert w.causes(owner) == []


async def test_what_was_served_by_a_wider_informer_goes_on_by_its_own_without_a_gap() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        w.server.put(CONFIG_MAP, "one", "a")
        wide_owner, owner = w.owner("wide"), w.owner("narrow")
        await w.cache.open(wide_owner, WHOLE)
        scope = await w.cache.open(owner, NAMED)
        w.cache.close(wide_owner)
        seen = []
        for _ in range(20):
            seen.append(names(scope))
            await after(0.01)
        w.server.put(CONFIG_MAP, "one", "a", labels={"app": "x"})
        await idle()
        found = scope.get(CONFIG_MAP, "one")

        assert seen == [["one"]] * 20
        assert (watches(w), found is not None and found.labels["app"], w.causes(owner)) == (1, "x", ["child"])


async def test_an_opening_whose_informer_gives_way_to_a_wider_one_goes_on_with_that() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        hanging = w.server.silence(CONFIG_MAP)
        opening = asyncio.ensure_future(w.cache.open(w.owner("narrow"), METADATA, sync_timeout=60))
        await after(1)
        hanging.over()
        wide = await w.cache.open(w.owner("wide"), WHOLE)
        scope = await opening

        assert (names(scope), watches(w)) == (names(wide), 1)


async def test_a_wider_informer_that_nobody_needs_ends_although_the_narrower_one_never_lists() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        wide_owner, owner = w.owner("wide"), w.owner("narrow")
        await w.cache.open(wide_owner, WHOLE)
        scope = await w.cache.open(owner, NAMED)
        w.server.silence(CONFIG_MAP)
        w.cache.close(wide_owner)
        before = names(scope)
        await after(6)

        with pytest.raises(NotSyncedError):
            scope.list(CONFIG_MAP)
        assert (before, watches(w)) == ([], 0)


async def test_a_denial_of_the_whole_kind_leaves_a_need_by_name_its_own_right() -> None:
    async with world() as w:
        wide_right = w.server.grant("a", CONFIG_MAP)
        w.server.grant("a", CONFIG_MAP, names=["one"])
        w.server.put(CONFIG_MAP, "one", "a")
        wide_owner, owner = w.owner("wide"), w.owner("narrow")
        wide = await w.cache.open(wide_owner, WHOLE)
        scope = await w.cache.open(owner, NAMED)
        shared = watches(w)
        w.server.revoke(wide_right)
        await w.until(lambda: w.causes(wide_owner))
        with pytest.raises(ForbiddenError):
            wide.list(CONFIG_MAP)
        await idle()
        during = (names(scope), w.state(owner), watches(w))
        w.server.grant("a", CONFIG_MAP)
        await w.until(lambda: "granted" in w.causes(wide_owner))
        await idle()

        assert (shared, during) == (1, (["one"], "open", 1))
        assert (watches(w), names(scope), "denied" in w.causes(owner)) == (1, ["one"], False)


async def test_a_right_by_name_alone_is_not_served_by_what_others_may_see() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP, names=["one"])
        w.server.put(CONFIG_MAP, "one", "a")
        with pytest.raises(ForbiddenError):
            await w.cache.open(w.owner("wide"), WHOLE)
        scope = await w.cache.open(w.owner("narrow"), NAMED)

        assert (names(scope), watches(w)) == (["one"], 1)


async def test_only_changes_of_its_object_are_told_to_who_needs_one_name() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        owner = w.owner("narrow")
        for name in ("one", "two"):
            w.server.put(CONFIG_MAP, name, "a", owner=owner)
        await w.cache.open(w.owner("wide"), WHOLE)
        scope = await w.cache.open(owner, NAMED)
        w.server.put(CONFIG_MAP, "two", "a", labels={"app": "x"})
        await idle()
        of_another = w.causes(owner)
        w.server.put(CONFIG_MAP, "one", "a", labels={"app": "x"})
        await idle()

        assert (of_another, w.causes(owner)) == ([], ["child"])
        assert [obj.name for obj in scope.owned(CONFIG_MAP)] == ["one"]


async def test_a_deletion_between_two_informers_is_told() -> None:
    async with world() as w:
        wide_right = w.server.grant("a", CONFIG_MAP)
        w.server.grant("a", CONFIG_MAP, names=["one"])
        owner = w.owner("narrow")
        w.server.put(CONFIG_MAP, "one", "a", owner=owner)
        await w.cache.open(w.owner("wide"), WHOLE)
        scope = await w.cache.open(owner, NAMED)
        w.server.cut()
        trouble = w.server.trouble(CONFIG_MAP, refuse=True)
        w.server.remove(CONFIG_MAP, "one", "a")
        w.server.revoke(wide_right)
        await w.until(lambda: len(w.cache.snapshot().waiting) == 1)
        trouble.over()
        await w.until(lambda: w.causes(owner))

        assert (w.causes(owner), names(scope)) == (["child", "synced"], [])


async def test_a_handle_with_handlers_has_an_informer_of_its_own() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        heard: list[str] = []
        await w.cache.open(w.owner("wide"), WHOLE)
        async with w.cache.informer(METADATA, namespace="a") as handle:
            handle.add_handler(EventHandler(on_add=lambda obj, initial: heard.append(obj.name)))
            await handle.wait_synced()
            scope = await w.cache.open(w.owner("narrow"), METADATA)
            two = watches(w)
            w.server.put(CONFIG_MAP, "one", "a")
            await idle()

        assert (two, heard.count("one"), "one" in names(scope)) == (2, 1, True)
        assert scope.get(CONFIG_MAP, ObjectKey("a", "one")) is not None


async def test_nothing_is_left_of_what_was_shared() -> None:
    async with world() as w:
        w.server.grant("a", CONFIG_MAP)
        owners = [w.owner(f"m{number}") for number in range(3)]
        for owner, need in zip(owners, (NAMED, WHOLE, METADATA), strict=True):
            await w.cache.open(owner, need)
        for owner in owners:
            w.cache.close(owner)
            await idle()
        await after(6)

        w.nothing_is_left()
