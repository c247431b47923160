"""What a scope needs: groups, optional needs, other verbs; and what opening again adds."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import ForbiddenError, Need, NotWatchedError
from tests.unit.cache.world import KINDS, world
from tests.unit.clock import after, idle, now
from tests.unit.cluster import DEPLOYMENT, POD, REVIEWS

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
        asked = w.server.requests()
        at_once = await w.cache.open(second, *needs)

        for handle in (scope, at_once):
            with pytest.raises(ForbiddenError):
                handle.list(POD)
        assert w.server.requests() == asked


async def test_an_optional_need_granted_while_the_others_sync_is_shown_too() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)
        silence = w.server.silence(namespace="a")
        needs = (DEPLOYMENT, Need(POD, optional=True))
        opening = asyncio.ensure_future(w.cache.open(owner, *needs, sync_timeout=120))
        await after(1)
        w.server.grant("a", POD)
        await after(w.cache.bound)
        silence.over()

        scope = await opening
        await w.until(lambda: w.causes(owner))

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
        during = (w.state(owner), scope.list(DEPLOYMENT), [error.verb for error in scope.missing_permissions])
        w.server.grant("a", DEPLOYMENT, verbs=["create"])
        await w.until(lambda: len(w.causes(owner)) == 2)

        assert (denied.value.verb, denied.value.resource) == ("create", "deployments.apps")
        assert during == ("open", [], ["create"])
        assert w.causes(owner) == ["denied", "granted"]
        assert scope.missing_permissions == []


async def test_a_verb_that_was_never_there_is_shown_by_denied_and_told_to_nobody() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)

        scope = await w.cache.open(owner, Need(DEPLOYMENT, verbs=("create",)))
        await after(20)

        assert [error.verb for error in scope.missing_permissions] == ["create"]
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
        asked = w.server.requests()

        again = [await w.cache.open(owner, *needs) for _ in range(10)]

        assert {id(handle) for handle in again} == {id(scope)}
        assert w.server.requests() == asked


async def test_opening_again_with_more_adds_it_to_the_same_handle() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        scope = await w.cache.open(owner, POD)
        added = now() + 0.001
        await after(0.002)

        again = await w.cache.open(owner, DEPLOYMENT)

        assert again is scope
        assert scope.kinds == ("Deployment", "Pod")
        assert "pods" not in [one.resource for one in w.server.asked(added)]


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
        overload = w.server.trouble(*REVIEWS, code=429)
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, DEPLOYMENT)
        during = (w.state(owner), scope.list(POD))
        overload.over()
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
        deployments = w.server.grant("a", DEPLOYMENT)
        scope = await w.cache.open(owner, *KINDS)
        w.server.revoke(deployments)
        await w.until(lambda: w.state(owner) == "waiting")
        scope.release(DEPLOYMENT)

        await w.until(lambda: w.state(owner) == "open")

        assert w.causes(owner) == ["denied", "granted"]


async def test_a_kind_released_while_it_syncs_does_not_fail_the_opening() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", *KINDS)
        held = await w.cache.open(owner, DEPLOYMENT)
        silence = w.server.silence(namespace="a")
        opening = asyncio.ensure_future(w.cache.open(owner, *KINDS))
        await after(1)
        held.release(POD)
        await after(1)
        silence.over()

        scope = await opening

        assert scope.kinds == ("Deployment",)
