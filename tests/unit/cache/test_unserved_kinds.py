"""Kinds that are not served, not any more, or in another version: a wait like a missing right."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from scopedcache import (
    EventHandler,
    ForbiddenError,
    Need,
    NotSyncedError,
    NotWatchedError,
    Object,
    ResourceCache,
    ScopedCacheError,
    UnknownKindError,
)
from tests.unit.cache.world import World, world
from tests.unit.clock import after, idle, now
from tests.unit.cluster import POD, definition, served

WIDGET = served("toys.example.org", "widgets", "Widget")
ALPHA = served("toys.example.org", "widgets", "Widget", version="v1alpha1")
NAME = str(WIDGET)
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
# Discovery is asked every few seconds; a watch ends a second after its CRD has gone.
SOON = 10.0


def install(w: World, *versions: str) -> None:
    w.server.embedded.create(definition(WIDGET, *versions or ("v1",)))


def uninstall(w: World) -> None:
    w.server.embedded.delete(CRDS, NAME)


def names(scope: ResourceCache) -> set[str]:
    return {one.name for one in scope.list(NAME)}


def shown(w: World, *owners: Object) -> list[str]:
    return [w.state(owner) for owner in owners]


async def test_a_required_kind_that_is_not_served_is_waited_for_and_its_owner_told_once_it_is() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD, WIDGET)
        with pytest.raises(UnknownKindError, match=NAME) as refused:
            await w.cache.open(owner, POD, NAME)
        waiting = (w.state(owner), w.cache.snapshot().waiting[0].missing, w.server.open())
        await after(60)
        before = w.causes(owner)
        install(w)
        took = await w.until(lambda: w.causes(owner))

        assert refused.value.awaited
        assert (waiting, before) == (("waiting", (f"the kind {NAME}",), 0), [])
        assert w.causes(owner) == ["granted"]
        assert took <= SOON
        assert names(await w.cache.open(owner, POD, NAME)) == set()


async def test_who_waits_for_a_kind_that_is_served_by_now_and_may_not_see_it_is_refused_and_told_so() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        with pytest.raises(UnknownKindError, match=NAME):
            await w.cache.open(owner, POD, NAME)
        install(w)
        await after(60)

        assert isinstance(w.cache.snapshot().waiting[0].error, ForbiddenError)
        assert w.causes(owner) == ["denied"]


async def test_an_optional_kind_that_is_not_served_hides_itself_alone_and_comes_by_itself() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD, WIDGET)
        started = now()
        scope = await w.cache.open(owner, POD, Need(NAME, optional=True))
        took = now() - started
        with pytest.raises(UnknownKindError):
            scope.list(NAME)
        install(w)
        await w.until(lambda: w.causes(owner))

        assert took < 1
        assert w.causes(owner) == ["granted"]
        assert (names(scope), scope.list(POD)) == (set(), [])


async def test_a_kind_that_is_served_no_longer_is_purged_and_both_edges_are_told() -> None:
    async with world() as w:
        install(w)
        owner, other = w.owner("one"), w.owner("two")
        w.server.grant("a", POD, WIDGET)
        w.server.put(WIDGET, "first", "a", owner=owner)
        scope = await w.cache.open(owner, POD, NAME)
        optional = await w.cache.open(other, POD, Need(WIDGET.gvk, optional=True))
        uninstall(w)
        await w.until(lambda: "denied" in w.causes(owner) and "denied" in w.causes(other))
        during = (shown(w, owner, other), w.server.open(WIDGET))
        for read in (lambda: scope.list(NAME), lambda: scope.list(POD), lambda: optional.list(NAME)):
            with pytest.raises(UnknownKindError):
                read()
        readable = optional.list(POD)
        await after(30)
        install(w)
        w.server.put(WIDGET, "second", "a")
        await w.until(lambda: "granted" in w.causes(owner) and "granted" in w.causes(other), limit=SOON)

        assert (during, readable) == ((["waiting", "open"], 0), [])
        assert names(await w.cache.open(owner, POD, NAME)) == {"second"} == names(optional)


async def test_a_kind_that_comes_back_in_another_version_is_bound_anew_by_its_name_alone() -> None:
    async with world() as w:
        install(w, "v1alpha1")
        by_name, by_version = w.owner("one"), w.owner("two")
        w.server.grant("a", WIDGET)
        await w.cache.open(by_name, NAME)
        await w.cache.open(by_version, ALPHA.gvk)
        uninstall(w)
        await w.until(lambda: shown(w, by_name, by_version) == ["waiting", "waiting"])
        install(w, "v1")
        w.server.put(WIDGET, "new", "a")
        await w.until(lambda: "granted" in w.causes(by_name))
        await after(60)

        assert shown(w, by_name, by_version) == ["open", "waiting"]
        assert names(await w.cache.open(by_name, NAME)) == {"new"}
        with pytest.raises(UnknownKindError):
            await w.cache.open(by_version, ALPHA.gvk)


async def test_opening_a_kind_that_was_remembered_and_is_gone_says_so_at_once() -> None:
    async with world() as w:
        install(w)
        first, second = w.owner("one"), w.owner("two")
        w.server.grant("a", WIDGET)
        await w.cache.open(first, NAME)
        w.cache.close(first)
        uninstall(w)
        await after(10)
        started = now()

        with pytest.raises(UnknownKindError):
            await w.cache.open(second, NAME)

        assert now() - started < 1


@pytest.mark.parametrize("verb", ["watch", "list"])
async def test_a_404_that_discovery_does_not_confirm_takes_nothing_away(verb: str) -> None:
    async with world() as w:
        install(w)
        owner = w.owner()
        w.server.grant("a", WIDGET)
        w.server.put(WIDGET, "one", "a")
        scope = await w.cache.open(owner, NAME)
        trouble = w.server.trouble(WIDGET, verb=verb, code=404)
        w.server.cut()
        await after(30)
        during = names(scope)
        trouble.over()
        w.server.put(WIDGET, "two", "a")
        await w.until(lambda: names(scope) == {"one", "two"})

        assert (during, w.causes(owner)) == ({"one"}, [])


async def test_while_discovery_hangs_an_opening_waits_a_while_and_goes_on() -> None:
    async with world(sync_timeout=3.0) as w:
        owner, other = w.owner("one"), w.owner("two")
        w.server.grant("a", POD)
        silence = w.server.trouble(latency=20.0)
        started = now()
        with pytest.raises(NotSyncedError, match="discovery") as late:
            await w.cache.open(owner, str(POD))
        waited = now() - started
        with pytest.raises(NotSyncedError):  # what it waits for has been under way for longer already
            await w.cache.open(other, str(POD))
        again = now() - started - waited
        silence.over()
        await w.until(lambda: w.causes(owner) and w.causes(other))

        assert (late.value.awaited, round(waited, 3), round(again, 3)) == (True, 3.0, 0.0)
        assert (w.causes(owner), w.causes(other)) == (["synced"], ["synced"])


async def test_needs_of_one_kind_by_two_names_join_once_it_is_served() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", WIDGET)
        needs = (Need(NAME, verbs=("create",)), Need(WIDGET.gvk, verbs=("delete",)))
        with pytest.raises(UnknownKindError):
            await w.cache.open(owner, *needs)
        install(w)
        await w.until(lambda: "granted" in w.causes(owner))
        scope = await w.cache.open(owner, *needs)

        assert sorted(error.verb for error in scope.missing_permissions if hasattr(error, "verb")) == [
            "create", "delete",
        ]  # fmt: skip


async def test_what_was_not_there_is_forgotten_with_its_scope_and_with_its_release() -> None:
    async with world() as w:
        closed, released = w.owner("one"), w.owner("two")
        w.server.grant("a", POD)
        with pytest.raises(UnknownKindError):
            await w.cache.open(closed, POD, NAME)
        scope = await w.cache.open(released, POD, Need(NAME, optional=True))
        scope.release(NAME)
        with pytest.raises(NotWatchedError):
            scope.list(NAME)
        w.cache.close(closed)
        await idle()
        asked = w.server.requests("")
        await after(60)

        assert w.server.requests("") == asked
        w.cache.close(released)
        await idle()
        w.nothing_is_left()


# -- handles ---------------------------------------------------------------------------------------------------------


async def test_a_handle_follows_its_kind_through_removal_and_another_version_and_its_handlers_with_it() -> None:
    async with world() as w:
        install(w, "v1alpha1")
        w.server.grant(None, WIDGET)
        w.server.put(ALPHA, "old", "a")
        heard: list[tuple[str, str]] = []
        async with w.cache.informer(NAME) as handle:
            handle.add_handler(
                EventHandler(
                    on_add=lambda obj, initial: heard.append(("add", obj.name)),
                    on_delete=lambda obj, unknown: heard.append(("delete", obj.name)),
                )
            )
            await handle.wait_synced()
            version = handle.resource.gvr.version
            uninstall(w)
            denial = await handle.wait_denied()
            with pytest.raises(UnknownKindError):
                handle.list()
            during = (handle.synced, handle.resource.gvr.version)
            install(w, "v1")
            w.server.put(WIDGET, "new", "a")
            await handle.wait_synced()

            assert isinstance(denial, UnknownKindError)
            assert (version, during, handle.resource.gvr.version) == ("v1alpha1", (False, "v1alpha1"), "v1")
            assert heard == [("add", "old"), ("delete", "old"), ("add", "new")]
            assert (handle.denied, [one.name for one in handle.list()]) == (None, ["new"])
            assert [one.name for one in w.cache.cluster.list(NAME)] == ["new"]


async def test_deletions_that_nobody_saw_since_the_kind_went_are_told_once_it_is_back() -> None:
    async with world() as w:
        install(w, "v1alpha1")
        w.server.grant(None, WIDGET)
        w.server.put(ALPHA, "old", "a")
        deleted: list[tuple[str, bool]] = []
        async with w.cache.informer(NAME) as handle:
            handle.add_handler(EventHandler(on_delete=lambda obj, unknown: deleted.append((obj.name, unknown))))
            await handle.wait_synced()
            silence = w.server.trouble(WIDGET, refuse=True)  # so that nobody hears of the deletion
            w.server.cut()
            uninstall(w)
            await after(5)
            silence.over()
            await handle.wait_denied()
            before = list(deleted)
            install(w, "v1")
            await handle.wait_synced()

            assert (before, deleted) == ([], [("old", True)])


async def test_a_kind_without_watch_is_refused_by_name_and_comes_once_it_can_be_watched() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        w.proxy.hides_verbs = {"pods": {"watch"}}
        with pytest.raises(UnknownKindError, match="no watch of pods"):
            await w.cache.open(owner, "pods")
        with pytest.raises(UnknownKindError, match="no watch"):
            async with w.cache.informer("pods", namespace="a"):
                pass
        sent = w.server.requests("list", "watch")
        w.proxy.hides_verbs = {}
        await w.until(lambda: w.causes(owner), limit=SOON)

        assert (sent, w.causes(owner), w.state(owner)) == (0, ["granted"], "open")


# -- all at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["denied", "unserved"])
async def test_who_is_told_of_a_loss_can_read_of_no_scope_what_was_lost(what: str) -> None:
    async with world() as w:
        install(w)
        grant = w.server.grant("a", WIDGET)
        w.server.put(WIDGET, "one", "a")
        scopes = [await w.cache.open(w.owner(f"m{number}"), NAME) for number in range(3)]
        seen: list[Sequence[Object]] = []

        def look(_: object) -> None:
            for scope in scopes:
                with suppress(ScopedCacheError):
                    seen.append(scope.list(NAME))

        w.cache.subscribe(look)
        if what == "denied":
            w.server.revoke(grant)
        else:
            gone = w.server.trouble(WIDGET, code=404)  # before the objects are seen to go
            uninstall(w)
            await after(5)
            gone.over()
        await w.until(lambda: [cause for _, change in w.told if (cause := change.cause) == "denied"])

        assert [one for one in seen if one] == []
