"""A write through the cache's client is seen by the next read, and never brings back what is gone (G11)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedcache import EventHandler, ForbiddenError, Need
from scopedcache.kinds import Resource
from tests.unit.cache.world import world
from tests.unit.clock import idle
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, MEMCACHED, POD, manifest, reference
from tests.unit.memory import strings_in


def pod(name: str = "one", **metadata: Any) -> dict[str, Any]:
    return manifest(POD, name, "a", **metadata)


@pytest.mark.parametrize("kind", [POD, CONFIG_MAP], ids=str)  # the deletion of one answers with it, of the other not
async def test_a_created_an_updated_and_a_deleted_object_are_seen_at_once(kind: Resource) -> None:
    async with world() as w:
        w.server.grant("a", kind, verbs=ALL_VERBS)
        scope = await w.cache.open(w.owner(), kind)

        created = await w.client.create(manifest(kind, "one", "a"))
        after_create = scope.get(kind, "one")
        await w.client.patch(kind, "one", {"metadata": {"labels": {"app": "x"}}}, namespace="a")
        after_patch = scope.get(kind, "one")
        await w.client.delete(created)
        after_delete = scope.get(kind, "one")

        assert after_create is not None
        assert after_patch is not None
        assert (after_create.uid, after_patch.labels["app"], after_delete) == (created.uid, "x", None)


@pytest.mark.parametrize("kind", [POD, CONFIG_MAP], ids=str)
@pytest.mark.parametrize(
    ("need", "options"),
    [
        ({"metadata_only": True}, {}),
        ({"name": "one"}, {}),
        ({"name": "one", "metadata_only": True}, {}),
        ({}, {"transforms": {"pods": dict, "configmaps": dict}}),
        ({"metadata_only": True}, {"selectors": {"pods": "own=yes", "configmaps": "own=yes"}}),
        ({}, {"cluster_wide": ["pods", "configmaps"]}),
        ({}, {"compress": True}),
        ({}, {"compress": {"pods"}}),
    ],
    ids=[
        "metadata",
        "named",
        "named metadata",
        "transformed",
        "selected metadata",
        "cluster-wide",
        "compressed",
        "compressed in part",
    ],
)
async def test_own_writes_are_read_at_once_whatever_the_need_looks_like(
    kind: Resource, need: dict[str, Any], options: dict[str, Any]
) -> None:
    async with world(**options) as w:
        w.server.grant(None, kind, verbs=ALL_VERBS)
        scope = await w.cache.open(w.owner(), Need(kind, **need))

        await w.client.create(manifest(kind, "one", "a", labels={"own": "yes"}))
        created = scope.get(kind, "one")
        await w.client.patch(kind, "one", {"metadata": {"labels": {"app": "x"}}}, namespace="a")
        patched = scope.get(kind, "one")
        await w.client.delete(kind, "one", namespace="a")
        deleted = scope.get(kind, "one")
        await idle()

        assert created is not None
        assert patched is not None
        assert (patched.labels["app"], deleted, scope.get(kind, "one")) == ("x", None, None)


async def test_an_own_write_that_leaves_the_selection_is_gone_at_once_and_its_return_seen_at_once() -> None:
    async with world(selectors={POD: "app=x"}) as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        scope = await w.cache.open(w.owner(), POD)
        await w.client.create(pod(labels={"app": "x"}))
        seen = []
        for app in ("y", "x", "y"):
            await w.client.patch(POD, "one", {"metadata": {"labels": {"app": app}}}, namespace="a")
            seen.append(scope.get(POD, "one") is not None)
        await idle()
        seen.append(scope.get(POD, "one") is not None)

        assert seen == [False, True, False, False]


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_is_written_during_a_first_list_is_there_when_open_returns(streaming: bool) -> None:
    async with world() as w:
        w.proxy.streaming_lists = streaming
        w.server.grant("a", POD, verbs=ALL_VERBS)
        gone = w.server.put(POD, "gone", "a")
        late = w.server.trouble(POD, verb="watch" if streaming else "list", latency=2.0)
        opening = asyncio.ensure_future(w.cache.open(w.owner(), POD))
        await asyncio.sleep(1)
        await w.client.create(pod("new"))
        await w.client.delete(gone)
        scope = await opening

        assert {one.name for one in scope.list(POD)} == {"new"}
        late.over()


async def test_a_write_is_one_change_for_handlers_and_owners_although_its_event_comes_too() -> None:
    async with world() as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        owner = w.owner()
        await w.cache.open(owner, POD)
        heard: list[str] = []
        async with w.cache.informer(POD, namespace="a") as handle:
            handle.add_handler(EventHandler(on_add=lambda new, initial: heard.append(new.name)))
            await w.client.create(pod(ownerReferences=[reference(owner)]))
            await idle()

        assert heard == ["one"]
        assert w.causes(owner) == ["child"]


async def test_a_write_of_another_namespace_or_outside_the_selector_is_not_shown() -> None:
    async with world(selectors={POD: "app=x"}) as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        scope = await w.cache.open(w.owner(), POD)

        await w.client.create(pod())

        assert scope.list(POD) == []


async def test_an_answer_that_comes_after_the_object_was_deleted_does_not_bring_it_back() -> None:
    async with world() as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        scope = await w.cache.open(w.owner(), POD)
        w.proxy.late = asyncio.Event()
        writing = asyncio.ensure_future(w.client.create(pod()))
        await idle()
        w.server.remove(POD, "one", "a")
        await idle()
        w.proxy.late.set()
        await writing

        assert scope.get(POD, "one") is None


async def test_an_answer_that_comes_after_tear_down_and_re_opening_does_not_bring_back_what_was_deleted() -> None:
    async with world() as w:
        given = w.server.grant("a", POD, verbs=ALL_VERBS)
        owner = w.owner()
        await w.cache.open(owner, POD)
        w.proxy.late = asyncio.Event()
        writing = asyncio.ensure_future(w.client.create(pod()))
        await idle()
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting", limit=20)
        w.server.remove(POD, "one", "a")
        w.server.grant("a", POD, verbs=ALL_VERBS)
        await w.until(lambda: w.state(owner) == "open", limit=20)
        w.proxy.late.set()
        await writing

        assert (await w.cache.open(owner, POD)).list(POD) == []


async def test_an_answer_that_comes_while_the_kind_is_denied_is_not_shown() -> None:
    async with world() as w:
        given = w.server.grant("a", POD, verbs=ALL_VERBS)
        owner = w.owner()
        scope = await w.cache.open(owner, POD)
        w.proxy.late = asyncio.Event()
        writing = asyncio.ensure_future(w.client.create(pod()))
        await idle()
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting", limit=20)
        w.proxy.late.set()
        await writing

        with pytest.raises(ForbiddenError):
            scope.get(POD, "one")
        assert w.cache.snapshot().informers == []


async def test_an_older_answer_never_rolls_back_a_newer_event() -> None:
    async with world() as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        w.server.put(POD, "one", "a")
        scope = await w.cache.open(w.owner(), POD)
        w.proxy.late = asyncio.Event()
        writing = asyncio.ensure_future(
            w.client.patch(POD, "one", {"metadata": {"labels": {"by": "us"}}}, namespace="a")
        )
        await idle()
        w.server.put(POD, "one", "a", labels={"by": "somebody"})
        await idle()
        w.proxy.late.set()
        await writing

        found = scope.get(POD, "one")
        assert found is not None
        assert found.labels["by"] == "somebody"


async def test_a_write_seen_through_a_selector_in_memory_is_shown_to_whom_it_concerns() -> None:
    async with world() as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        narrow = await w.cache.open(w.owner("one"), Need(POD, selector="app=x"))
        wide = await w.cache.open(w.owner("two"), POD)

        await w.client.create(pod())

        assert (narrow.list(POD), len(wide.list(POD))) == ([], 1)


async def test_a_write_of_a_named_object_is_seen_by_who_opened_that_name() -> None:
    async with world() as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        scope = await w.cache.open(w.owner(), Need(POD, name="one"))

        await w.client.create(pod("one"))
        await w.client.create(pod("two"))

        assert [found.name for found in scope.list(POD)] == ["one"]


async def test_a_write_of_a_kind_that_nobody_opened_costs_nothing() -> None:
    async with world() as w:
        w.server.grant("a", MEMCACHED, verbs=ALL_VERBS)

        written = await w.client.patch(MEMCACHED, w.owner().key, {"metadata": {"labels": {"x": "y"}}})

        assert "metadata" not in strings_in(written)  # not even decoded


async def test_a_field_selector_is_the_servers_to_judge_and_a_write_is_shown_when_its_event_says_so() -> None:
    async with world(field_selectors={POD: "spec.nodeName="}) as w:
        w.server.grant("a", POD, verbs=ALL_VERBS)
        w.server.write({**manifest(POD, "bound", "a"), "spec": {**manifest(POD, "x")["spec"], "nodeName": "node"}})
        scope = await w.cache.open(w.owner(), POD)
        before = [found.name for found in scope.list(POD)]
        made = await w.client.create(pod())
        await w.until(lambda: scope.list(POD))
        after_create = [found.name for found in scope.list(POD)]
        w.server.embedded.patch(str(POD), made.name, {"metadata": {"labels": {"a": "b"}}}, "a")
        await w.client.delete(made)

        assert (before, after_create) == ([], [made.name])
        await w.until(lambda: not scope.list(POD))


async def test_a_field_selector_and_a_name_select_together() -> None:
    async with world(field_selectors={POD: "spec.nodeName="}) as w:
        w.server.grant("a", POD, names=["one"])
        for name in ("one", "two"):
            w.server.put(POD, name, "a")
        scope = await w.cache.open(w.owner(), Need(POD, name="one"))

        assert [found.name for found in scope.list(POD)] == ["one"]
