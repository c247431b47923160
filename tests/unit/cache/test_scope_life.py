"""The life of a scope: opened, refused, waiting, granted, lost, closed; and what each answer means."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Literal

import pytest

from scopedcache import (
    ForbiddenError,
    NotSyncedError,
    NotWatchedError,
    ScopeClosedError,
    UnauthorizedError,
    UnknownKindError,
)
from tests.unit.cache.world import KINDS, world
from tests.unit.clock import after, idle, now
from tests.unit.cluster import DEPLOYMENT, POD, RBAC, REVIEWS

# -- four different answers (G4) -------------------------------------------------------------------------------------


async def test_found_absent_not_watched_forbidden_and_closed_are_five_answers() -> None:
    async with world() as w:
        given = w.server.grant("a", *KINDS)
        w.server.put(POD, "one", "a")
        scope = await w.cache.open(w.owner(), POD)

        found, absent = scope.get(POD, "one"), scope.get(POD, "two")
        with pytest.raises(NotWatchedError):
            scope.get(DEPLOYMENT, "one")
        with pytest.raises(NotWatchedError):
            scope.get(POD, ("b", "one"))
        w.server.revoke(given)
        await w.until(lambda: w.cache.snapshot().waiting)
        with pytest.raises(ForbiddenError) as denied:
            scope.get(POD, "one")
        with pytest.raises(ForbiddenError):
            scope.list(POD)

        assert found is not None
        assert (found.name, absent) == ("one", None)
        error = denied.value
        assert (error.verb, error.resource, error.namespace, error.by) == ("list", "pods", "a", "authorizer")


async def test_a_kind_on_its_way_is_not_synced_and_not_unwatched() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(w.owner(), POD)
        w.server.silence(namespace="a")
        more = asyncio.ensure_future(w.cache.open(w.owner(), DEPLOYMENT))
        await after(1)

        with pytest.raises(NotSyncedError):
            w.cache.namespaces["a"][w.owner().uid].get(DEPLOYMENT, "d")

        assert scope.list(POD) == []
        more.cancel()


async def test_a_refused_open_raises_waits_and_sends_no_list_and_no_watch() -> None:
    async with world() as w:
        with pytest.raises(ForbiddenError) as refused:
            await w.cache.open(w.owner(), POD)
        await after(30)

        assert (refused.value.verb, refused.value.namespace, refused.value.cached) == ("list", "a", True)
        assert w.server.requests("list", "watch") == 0
        (waiting,) = w.cache.snapshot().waiting
        assert (waiting.namespace, waiting.kinds, waiting.missing) == ("a", ("Pod",), ("list pods", "watch pods"))


async def test_an_unknown_kind_leaves_nothing_behind_once_its_owner_is_closed() -> None:
    async with world() as w:
        owner = w.owner()
        with pytest.raises(UnknownKindError):
            await w.cache.open(owner, "unicorns.example.com")
        waiting = [scope.missing for scope in w.cache.snapshot().waiting]
        w.cache.close(owner)
        await idle()

        assert waiting == [("the kind unicorns.example.com",)]
        w.nothing_is_left()


# -- both edges ------------------------------------------------------------------------------------------------------


async def test_a_waiting_scope_opens_by_itself_within_the_bound_of_its_grant_and_tells_its_owner() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.put(POD, "one", "a")
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, POD)
        await after(33)
        w.server.grant("a", POD)
        granted = now()

        took = await w.until(lambda: "granted" in w.causes(owner))

        assert took <= w.cache.bound
        assert w.causes(owner, granted) == ["granted"]
        assert [pod.name for pod in w.cache.namespaces["a"][owner.uid].list(POD)] == ["one"]


async def test_a_revocation_closes_streams_purges_and_tells_within_the_bound() -> None:
    async with world() as w:
        owner = w.owner()
        given = w.server.grant("a", *KINDS)
        w.server.put(POD, "one", "a")
        await w.cache.open(owner, *KINDS)
        await after(33)
        w.server.revoke(given)

        took = await w.until(lambda: "denied" in w.causes(owner))
        objects = sum(informer.objects for informer in w.cache.snapshot().informers)
        await idle()

        assert took <= w.cache.bound
        assert (objects, w.server.open()) == (0, 0)
        assert w.causes(owner) == ["denied"]
        assert dict(w.cache.namespaces) == {}


async def test_the_handle_of_before_raises_forbidden_while_denied_and_closed_after_the_grant() -> None:
    async with world() as w:
        owner = w.owner()
        given = w.server.grant("a", POD)
        before = await w.cache.open(owner, POD)
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting")
        with pytest.raises(ForbiddenError):
            before.check()
        w.server.grant("a", POD)
        await w.until(lambda: w.state(owner) == "open")

        for read in (before.check, lambda: before.list(POD), lambda: before.get(POD, "x"), lambda: before.owned(POD)):
            with pytest.raises(ScopeClosedError):
                read()
        assert (await w.cache.open(owner, POD)) is not before


async def test_flapping_rights_end_in_the_right_state_with_one_cache_and_nothing_leaked() -> None:
    async with world() as w:
        owner = w.owner()
        given = w.server.grant("a", *KINDS)
        await w.cache.open(owner, *KINDS)
        tasks = w.cache.snapshot().tasks
        for _ in range(10):
            await after(1)
            w.server.revoke(given)
            await after(1)
            given = w.server.grant("a", *KINDS)
        await after(2 * w.cache.bound)

        shot = w.cache.snapshot()
        assert (w.state(owner), w.server.open(), len(shot.scopes), shot.tasks) == ("open", 2, 1, tasks)


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_losing_one_of_list_and_watch_closes_and_the_error_names_it(verb: str) -> None:
    async with world() as w:
        owner = w.owner()
        both = w.server.grant("a", POD)
        scope = await w.cache.open(owner, POD)
        w.server.grant("a", POD, verbs=["list" if verb == "watch" else "watch"])
        w.server.revoke(both)
        await w.until(lambda: w.state(owner) == "waiting")

        with pytest.raises(ForbiddenError) as denied:
            scope.list(POD)

        assert denied.value.verb == verb
        assert w.server.open() == 0


@pytest.mark.parametrize("reviews", ["refused", "answered"])
async def test_a_server_that_restarts_closes_nothing(reviews: Literal["refused", "answered"]) -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, *KINDS)
        w.server.embedded.restart(down=4, unready=2, reviews=reviews)

        await after(66)

        assert w.causes(owner) == []
        assert scope.list(POD) == []
        assert w.server.open() == 2


async def test_credentials_refused_for_the_bound_close_as_unauthorized_and_a_new_token_heals() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        scope = await w.cache.open(owner, POD)
        expired = w.server.trouble(code=401)
        w.server.cut()
        lost = await w.until(lambda: w.state(owner) == "waiting")
        with pytest.raises(UnauthorizedError):
            scope.list(POD)
        with pytest.raises(UnauthorizedError):
            await w.cache.open(owner, POD)
        expired.over()
        healed = await w.until(lambda: w.state(owner) == "open")

        assert w.cache.bound <= lost <= 2 * w.cache.bound + 1
        assert healed <= w.cache.bound
        assert w.causes(owner) == ["denied", "granted"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_where_reviews_are_refused_both_edges_are_found_by_trying(streaming: bool) -> None:
    async with world() as w:
        w.server.trouble(*REVIEWS, code=403)
        w.proxy.streaming_lists = streaming
        owner = w.owner()
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, POD)
        await after(20)
        given = w.server.grant("a", POD)
        healed = await w.until(lambda: w.state(owner) == "open")
        await after(20)
        w.server.revoke(given)
        lost = await w.until(lambda: w.state(owner) == "waiting")

        assert (w.cache.snapshot().attempting, w.server.open()) == (True, 0)
        assert max(healed, lost) <= w.cache.bound
        # Each verb is found out by itself: more is missing then.
        assert [cause for cause, _ in groupby(w.causes(owner))] == ["denied", "granted", "denied"]
        assert w.causes(owner).count("granted") == 1


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_where_reviews_are_refused_one_verb_lost_alone_closes_once_and_stays_closed(verb: str) -> None:
    async with world() as w:
        w.server.trouble(*REVIEWS, code=403)
        w.proxy.streaming_lists = False
        owner = w.owner()
        both = w.server.grant("a", POD)
        await w.cache.open(owner, POD)
        w.server.grant("a", POD, verbs=["list" if verb == "watch" else "watch"])
        w.server.revoke(both)
        lost = await w.until(lambda: w.state(owner) == "waiting")
        await after(60)

        assert lost <= w.cache.bound
        assert w.causes(owner) == ["denied"]
        assert w.server.open() == 0


async def test_with_the_rbac_watch_both_edges_take_two_seconds_at_most() -> None:
    async with world(rbac_watch=True) as w:
        w.server.grant(None, *RBAC)
        owner = w.owner()
        given = w.server.grant("a", POD)
        await w.cache.open(owner, POD)
        await after(10)
        w.server.revoke(given)
        lost = await w.until(lambda: w.state(owner) == "waiting")
        await after(10)
        w.server.grant("a", POD)
        healed = await w.until(lambda: w.state(owner) == "open")

        assert (lost <= 2, healed <= 2) == (True, True)
