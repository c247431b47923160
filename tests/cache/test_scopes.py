"""The life of a scope: opened, refused, waiting, granted, lost, closed; and what each answer means."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import (
    ForbiddenError,
    Need,
    NotSyncedError,
    NotWatchedError,
    ScopeClosedError,
    UnauthorizedError,
    UnknownKindError,
)
from tests.cache.api_server import DEPLOYMENT, MEMCACHED, NODE, POD, ApiServer
from tests.cache.world import KINDS, world
from tests.clock import after, idle, now

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
        w.server.silent.add("a")
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


async def test_an_unknown_kind_leaves_nothing_behind() -> None:
    async with world() as w:
        with pytest.raises(UnknownKindError):
            await w.cache.open(w.owner(), "unicorns.example.com")

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


async def test_a_server_that_restarts_closes_nothing() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, *KINDS)
        w.server.down = True
        w.server.cut()
        await after(4)
        w.server.down, w.server.restarting = False, True
        await after(2)
        w.server.restarting = False

        await after(60)

        assert w.causes(owner) == []
        assert scope.list(POD) == []
        assert w.server.open() == 2


async def test_credentials_refused_for_the_bound_close_as_unauthorized_and_a_new_token_heals() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        scope = await w.cache.open(owner, POD)
        w.server.expired = True
        w.server.cut()
        lost = await w.until(lambda: w.state(owner) == "waiting")
        with pytest.raises(UnauthorizedError):
            scope.list(POD)
        with pytest.raises(UnauthorizedError):
            await w.cache.open(owner, POD)
        w.server.expired = False
        healed = await w.until(lambda: w.state(owner) == "open")

        assert w.cache.bound <= lost <= 2 * w.cache.bound + 1
        assert healed <= w.cache.bound
        assert w.causes(owner) == ["denied", "granted"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_where_reviews_are_refused_both_edges_are_found_by_trying(streaming: bool) -> None:
    server = ApiServer()
    server.reviews, server.streaming_lists = "refuse", streaming
    async with world(server) as w:
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
        assert w.causes(owner) == ["granted", "denied"]


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_where_reviews_are_refused_one_verb_lost_alone_closes_once_and_stays_closed(verb: str) -> None:
    server = ApiServer()
    server.reviews, server.streaming_lists = "refuse", False
    async with world(server) as w:
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
        from tests.cache.api_server import RBAC

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


# -- groups, optional needs, other verbs -----------------------------------------------------------------------------


async def test_required_needs_close_as_a_group() -> None:
    async with world() as w:
        owner = w.owner()
        pods = w.server.grant("a", POD)
        w.server.grant("a", DEPLOYMENT)
        scope = await w.cache.open(owner, *KINDS)
        w.server.revoke(pods)
        await w.until(lambda: w.state(owner) == "waiting")
        await idle()

        with pytest.raises(ForbiddenError) as denied:
            scope.list(DEPLOYMENT)

        assert denied.value.resource == "pods"
        assert w.server.open() == 0


async def test_an_optional_need_closes_alone_and_comes_back_alone() -> None:
    async with world() as w:
        owner = w.owner()
        pods = w.server.grant("a", POD)
        w.server.grant("a", DEPLOYMENT)
        scope = await w.cache.open(owner, DEPLOYMENT, Need(POD, optional=True))
        w.server.revoke(pods)
        await w.until(lambda: w.causes(owner))
        with pytest.raises(ForbiddenError):
            scope.list(POD)
        (state,) = w.cache.snapshot().scopes
        during = (state.state, state.kinds, state.missing, scope.list(DEPLOYMENT))
        w.server.grant("a", POD)
        await w.until(lambda: len(w.causes(owner)) == 2)

        assert during == ("open", ("Deployment",), ("list pods", "watch pods"), [])
        assert w.causes(owner) == ["denied", "granted"]
        assert scope.list(POD) == []


async def test_an_optional_need_that_was_never_allowed_does_not_keep_a_scope_from_opening() -> None:
    async with world() as w:
        w.server.grant("a", DEPLOYMENT)
        first, second = w.owner("one"), w.owner("two")
        needs = (DEPLOYMENT, Need(POD, optional=True))
        scope = await w.cache.open(first, *needs)
        asked = len(w.server.asked)
        at_once = await w.cache.open(second, *needs)

        for handle in (scope, at_once):
            with pytest.raises(ForbiddenError):
                handle.list(POD)
        assert len(w.server.asked) == asked


async def test_an_optional_need_granted_while_the_others_sync_is_shown_too() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)
        w.server.silent.add("a")
        opening = asyncio.ensure_future(w.cache.open(owner, DEPLOYMENT, Need(POD, optional=True)))
        await after(1)
        w.server.grant("a", POD)
        await after(w.cache.bound)
        w.server.silent.clear()

        scope = await opening
        await idle()

        assert scope.list(POD) == []


async def test_losing_another_verb_keeps_the_cache_and_tells_both_times() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)
        create = w.server.grant("a", DEPLOYMENT, verbs=["create"])
        scope = await w.cache.open(owner, Need(DEPLOYMENT, verbs=("create",)))
        scope.check()
        w.server.revoke(create)
        await w.until(lambda: w.causes(owner))
        with pytest.raises(ForbiddenError) as denied:
            scope.check()
        during = (w.state(owner), scope.list(DEPLOYMENT), [error.verb for error in scope.denied])
        w.server.grant("a", DEPLOYMENT, verbs=["create"])
        await w.until(lambda: len(w.causes(owner)) == 2)

        assert (denied.value.verb, denied.value.resource) == ("create", "deployments.apps")
        assert during == ("open", [], ["create"])
        assert w.causes(owner) == ["denied", "granted"]
        assert scope.denied == []


async def test_a_verb_that_was_never_there_is_shown_by_denied_and_told_to_nobody() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)

        scope = await w.cache.open(owner, Need(DEPLOYMENT, verbs=("create",)))
        await after(20)

        assert [error.verb for error in scope.denied] == ["create"]
        assert w.causes(owner) == []


async def test_a_refusal_of_a_moment_ago_is_no_news_to_owners_of_another_verb() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)
        create = w.server.grant("a", DEPLOYMENT, verbs=["create"])
        await w.cache.open(owner, Need(DEPLOYMENT, verbs=("create",)))
        w.server.revoke(create)
        await w.until(lambda: "create deployments.apps" in w.cache.snapshot().scopes[0].missing)
        w.server.grant("a", DEPLOYMENT, verbs=["create"])
        await after(20)

        assert w.causes(owner) == []


# -- opening again ---------------------------------------------------------------------------------------------------


async def test_opening_again_is_a_look_up() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        needs = (POD, Need(DEPLOYMENT, verbs=("create", "update"), selector="app=x"))
        scope = await w.cache.open(owner, *needs)
        asked = len(w.server.asked)

        again = [await w.cache.open(owner, *needs) for _ in range(10)]

        assert {id(handle) for handle in again} == {id(scope)}
        assert len(w.server.asked) == asked


async def test_opening_again_with_more_adds_it_to_the_same_handle() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, POD)
        tail = len(w.server.asked)

        again = await w.cache.open(owner, DEPLOYMENT)

        assert again is scope
        assert scope.kinds == ("Deployment", "Pod")
        assert "pods" not in [one.plural for one in w.server.asked[tail:]]


async def test_asking_for_more_verbs_keeps_the_informer_that_runs() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        w.server.grant("a", DEPLOYMENT, verbs=["create"])
        w.server.put(DEPLOYMENT, "d", "a")
        scope = await w.cache.open(owner, DEPLOYMENT)
        opening = asyncio.ensure_future(w.cache.open(owner, Need(DEPLOYMENT, verbs=("create",), selector="app=x")))
        await asyncio.sleep(0)
        readable = scope.list(DEPLOYMENT)
        await opening

        assert w.server.requests("watch") == 1
        assert isinstance(readable, list)
        w.server.put(DEPLOYMENT, "mine", "a", labels={"app": "x"})
        await idle()
        assert [found.name for found in scope.list(DEPLOYMENT)] == ["mine"]
        assert w.causes(owner) == ["child"]


async def test_asking_for_less_takes_nothing_away() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        w.server.put(POD, "one", "a")
        w.server.put(POD, "two", "a")
        scope = await w.cache.open(owner, Need(POD, verbs=("delete",)))

        await w.cache.open(owner, Need(POD, name="one", optional=True, metadata_only=True))

        assert sorted(pod.name for pod in scope.list(POD)) == ["one", "two"]
        assert scope.get(POD, "one").partial is False  # type: ignore[union-attr]


async def test_needs_that_differ_in_their_name_see_both() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        w.server.put(POD, "one", "a")
        w.server.put(POD, "two", "a")
        scope = await w.cache.open(owner, Need(POD, name="one"))
        with pytest.raises(NotWatchedError):
            scope.get(POD, "two")
        await w.cache.open(owner, Need(POD, name="two"))

        assert sorted(pod.name for pod in scope.list(POD)) == ["one", "two"]


async def test_a_need_added_while_rights_are_only_suspected_takes_nothing_away_and_comes_later() -> None:
    async with world() as w:
        owner = w.owner()
        given = w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, POD)
        w.server.revoke(given)
        await w.until(lambda: "list pods" in w.cache.snapshot().scopes[0].missing)
        w.server.grant("a", *KINDS)
        w.server.reviews = "overload"
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, DEPLOYMENT)
        during = (w.state(owner), scope.list(POD))
        w.server.reviews = "answer"
        await after(20)

        assert during == ("open", [])
        assert w.causes(owner) == ["granted"]
        assert scope.list(DEPLOYMENT) == []


async def test_a_need_added_that_is_denied_closes_the_group_and_heals_as_one() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        scope = await w.cache.open(owner, POD)
        with pytest.raises(ForbiddenError) as refused:
            await w.cache.open(owner, DEPLOYMENT)
        with pytest.raises(ForbiddenError):
            scope.list(POD)
        w.server.grant("a", DEPLOYMENT)
        await w.until(lambda: w.state(owner) == "open")

        assert refused.value.resource == "deployments.apps"
        assert (await w.cache.open(owner)).kinds == ("Deployment", "Pod")
        assert w.causes(owner) == ["denied", "granted"]


async def test_a_kind_released_shows_no_longer_and_the_others_do() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, *KINDS)
        scope.release(POD)
        await idle()

        with pytest.raises(NotWatchedError):
            scope.list(POD)
        assert scope.list(DEPLOYMENT) == []
        assert (w.server.open(POD), w.server.open(DEPLOYMENT)) == (0, 1)
        await w.cache.open(owner, POD)
        assert scope.list(POD) == []


async def test_releasing_the_kind_that_is_missing_opens_the_rest() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, *KINDS)
        scope = next(iter(w.cache._scopes))
        scope.handle.release(DEPLOYMENT)

        await w.until(lambda: w.state(owner) == "open")

        assert w.causes(owner) == ["granted"]


async def test_a_kind_released_while_it_syncs_does_not_fail_the_opening() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        w.server.silent.add("a")
        opening = asyncio.ensure_future(w.cache.open(owner, *KINDS))
        await after(1)
        next(iter(w.cache._scopes)).handle.release(POD)
        await after(1)
        w.server.silent.clear()

        scope = await opening

        assert scope.kinds == ("Deployment",)


# -- owners ----------------------------------------------------------------------------------------------------------


async def test_two_owners_share_an_informer_and_the_second_open_sends_nothing() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        first, second = w.owner("one"), w.owner("two")
        await w.cache.open(first, *KINDS)
        asked = len(w.server.asked)
        scope = await w.cache.open(second, *KINDS)
        w.cache.close(first)
        await after(1)

        assert len(w.server.asked) == asked
        assert (w.server.open(), scope.list(POD)) == (2, [])


async def test_ten_owners_that_open_at_once_share_one_sync() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        owners = [w.owner(f"m{n}") for n in range(10)]

        await asyncio.gather(*(w.cache.open(owner, POD) for owner in owners))

        assert (w.server.requests("watch"), w.server.requests("review")) == (1, 1)


async def test_a_recreated_owner_gets_a_cache_of_its_own() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        old = w.owner()
        before = await w.cache.open(old, POD)
        w.server.remove(MEMCACHED, "m", "a")
        new = w.owner()
        w.cache.close(old)
        scope = await w.cache.open(new, POD)

        assert (old.uid != new.uid, scope is not before) == (True, True)
        assert list(w.cache.namespaces["a"]) == [new.uid]
        with pytest.raises(ScopeClosedError):
            before.list(POD)


async def test_an_owner_seen_deleted_closes_and_cannot_open_any_more() -> None:
    async with world() as w:
        w.server.grant("a", POD, MEMCACHED)
        owner = w.owner()
        async with w.cache.informer(MEMCACHED, namespace="a") as lease:
            await lease.wait_synced()
            await w.cache.open(owner, POD)
            w.server.remove(MEMCACHED, "m", "a")
            await idle()

            with pytest.raises(ScopeClosedError):
                await w.cache.open(owner, POD)
        await idle()
        w.nothing_is_left()


async def test_an_owner_that_left_the_selection_and_came_back_may_open_again() -> None:
    async with world(selectors={MEMCACHED: "on=yes"}) as w:
        w.server.grant("a", POD, MEMCACHED)
        owner = w.owner(labels={"on": "yes"})
        async with w.cache.informer(MEMCACHED, namespace="a") as lease:
            await lease.wait_synced()
            w.cache._owner_deleted(owner, False)  # what the server's DELETED for "left the selection" does

            scope = await w.cache.open(owner, POD)

        assert scope.list(POD) == []


async def test_closing_ends_reads_streams_and_probing() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        scope = await w.cache.open(owner, *KINDS)
        w.cache.close(owner)
        with pytest.raises(ScopeClosedError):
            scope.list(POD)
        await w.cache.wait_closed()
        closed = now()
        await after(30)

        w.nothing_is_left()
        assert w.server.requests(since=closed + 0.001) == 0


@pytest.mark.parametrize("turns", range(14))
async def test_closing_at_any_moment_of_an_opening_ends_it_as_closed_and_leaves_nothing(turns: int) -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        waiters = [asyncio.ensure_future(w.cache.open(owner, "pods", "deployments.apps")) for _ in range(2)]
        for _ in range(turns):
            await asyncio.sleep(0)
        w.cache.close(owner)
        ends = await asyncio.gather(*waiters, return_exceptions=True)
        w.cache.close(owner)  # who had opened already
        await idle()

        for end in ends:
            assert not isinstance(end, BaseException) or isinstance(end, ScopeClosedError)
        w.nothing_is_left()
        assert not [task for task in asyncio.all_tasks() if "open" in task.get_name()]


async def test_closing_while_discovery_is_asked_leaves_no_scope_behind() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        opening = asyncio.ensure_future(w.cache.open(owner, "pods"))
        await asyncio.sleep(0)
        w.cache.close(owner)

        with pytest.raises(ScopeClosedError):
            await opening
        w.nothing_is_left()


@pytest.mark.parametrize("turns", range(12))
async def test_one_waiter_that_is_cancelled_does_not_end_the_others_opening(turns: int) -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        owner = w.owner()
        first, second = (asyncio.ensure_future(w.cache.open(owner, *KINDS)) for _ in range(2))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()

        scope = await second

        assert scope.kinds == ("Deployment", "Pod")


async def test_many_namespaces_open_at_once_and_each_gets_its_own_answer() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.grant("b", POD)

        opened = await w.cache.open_all(w.owner(), POD, namespaces=["a", "b", "c"])

        assert [type(found).__name__ for found in opened.values()] == [
            "ResourceCache", "ResourceCache", "ForbiddenError",
        ]  # fmt: skip
        assert list(opened) == ["a", "b", "c"]


async def test_an_owner_without_a_namespace_must_name_one() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        node = w.server.put(NODE, "n")

        with pytest.raises(ValueError, match="namespace"):
            await w.cache.open(node, POD)
        scope = await w.cache.open(node, POD, namespace="a")

        assert scope.list(POD) == []


# -- isolation (G7) --------------------------------------------------------------------------------------------------


async def test_a_slow_and_a_denied_namespace_delay_nobody() -> None:
    async with world() as w:
        w.server.grant("slow", POD)
        w.server.grant("a", POD)
        w.server.silent.add("slow")
        slow = asyncio.ensure_future(w.cache.open(w.owner("s", "slow"), POD))
        with pytest.raises(ForbiddenError):
            await w.cache.open(w.owner("d", "denied"), POD)
        started = now()

        scope = await w.cache.open(w.owner(), POD)

        assert (now() - started, scope.list(POD)) == (0, [])
        slow.cancel()


async def test_a_subscriber_that_raises_is_contained() -> None:
    async with world() as w:

        def clumsy(change: object) -> None:
            raise LookupError("a subscriber of ours")

        end = w.cache.subscribe(clumsy)
        owner = w.owner()
        given = w.server.grant("a", POD)
        await w.cache.open(owner, POD)
        w.server.put(POD, "one", "a", owner=owner)
        await idle()
        w.server.revoke(given)
        await w.until(lambda: w.state(owner) == "waiting")
        end()

        assert w.causes(owner) == ["child", "denied"]


async def test_a_subscriber_that_closes_the_owner_it_hears_of_leaves_nothing() -> None:
    async with world() as w:
        owner, other = w.owner("one"), w.owner("two")
        end = w.cache.subscribe(lambda change: w.cache.close(owner))
        given = w.server.grant("a", *KINDS)
        await w.cache.open(owner, *KINDS)
        await w.cache.open(other, *KINDS)
        w.server.revoke(given)
        await w.until(lambda: w.state(other) == "waiting")
        w.cache.close(other)
        end()
        await idle()

        w.nothing_is_left()
