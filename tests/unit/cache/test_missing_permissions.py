"""A denial names everything that is missing, and its owner hears when that is not what it was."""

from __future__ import annotations

import pytest

from scopedcache import ForbiddenError, Need
from scopedcache.api.permission import Permission
from tests.unit.cache.world import World, world
from tests.unit.clock import after
from tests.unit.cluster import DEPLOYMENT, POD, RBAC

NEEDS = (Need(DEPLOYMENT, verbs=("create", "update")), Need(POD, optional=True))
PODS = ["list pods in namespace a", "watch pods in namespace a"]
DEPLOYMENTS = [f"{verb} deployments.apps in namespace a" for verb in ("list", "watch")]
VERBS = [f"{verb} deployments.apps in namespace a" for verb in ("create", "update")]


def told(w: World) -> list[tuple[str, list[str]]]:
    """Return what owners were told is missing, in order."""
    changes = [change for _, change in w.told if change.cause != "child"]
    errors = [change.error for change in changes]
    assert not any(error is not None and not isinstance(error, ForbiddenError) for error in errors)
    return [
        (change.cause, list(error.subjects) if isinstance(error, ForbiddenError) else [])
        for change, error in zip(changes, errors, strict=True)
    ]


async def test_a_refused_open_names_all_that_is_missing_what_nothing_is_shown_without_first() -> None:
    async with world() as w:
        owner = w.owner()
        with pytest.raises(ForbiddenError) as refused:
            await w.cache.open(owner, *NEEDS)
        await after(1)

        assert list(refused.value.subjects) == [*DEPLOYMENTS, *PODS, *VERBS]
        assert [error.verb for error in refused.value.missing] == ["list", "watch"] * 2 + ["create", "update"]
        assert told(w) == []  # it was raised


async def test_who_waits_hears_what_is_missing_now_when_part_of_it_is_granted_and_again_when_all_is() -> None:
    async with world() as w:
        owner = w.owner()
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, *NEEDS)
        w.server.grant("a", DEPLOYMENT, verbs=["list", "create"])
        await after(10)
        in_part = told(w)
        with pytest.raises(ForbiddenError) as refused:
            await w.cache.open(owner, *NEEDS)
        w.server.grant("a", DEPLOYMENT, verbs=["watch"])
        await after(10)

        assert in_part == [("denied", [DEPLOYMENTS[1], *PODS, VERBS[1]])]
        assert list(refused.value.subjects) == [DEPLOYMENTS[1], *PODS, VERBS[1]]
        assert told(w)[1:] == [("granted", [])]


async def test_who_waits_hears_when_more_is_missing() -> None:
    async with world() as w:
        owner = w.owner()
        both = w.server.grant("a", DEPLOYMENT)
        verbs = w.server.grant("a", DEPLOYMENT, verbs=["create", "update"])
        await w.cache.open(owner, NEEDS[0])
        w.server.revoke(both)
        await after(10)
        lost = told(w)
        w.server.revoke(verbs)
        await after(10)

        assert [cause for cause, _ in lost] == ["denied"]
        assert told(w)[1:] == [("denied", [*DEPLOYMENTS, *VERBS])]


async def test_a_doubt_that_goes_by_is_no_news_to_who_waits() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT, verbs=["list", "create", "update"])
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, NEEDS[0])
        with pytest.raises(ForbiddenError):
            await w.client.list(POD, namespace="a")
        w.cache.monitor.take(Permission("list", "apps", "deployments", "a"), "refused")
        await after(20)

        assert told(w) == []


async def test_what_an_owner_lacks_can_be_asked_for_by_place_with_what_its_calls_were_refused() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", DEPLOYMENT)
        await w.cache.open(owner, NEEDS[0])
        with pytest.raises(ForbiddenError):
            await w.cache.open(owner, NEEDS[0], namespace="b")
        with pytest.raises(ForbiddenError) as refused:
            await w.client.delete(POD, "one", namespace="a")
        w.cache.await_grant(owner, refused.value)

        here = [error.subject for error in w.cache.missing_permissions(owner, namespace="a")]
        everywhere = w.cache.missing_permissions(owner)

        assert here == [*VERBS, 'delete pods "one" in namespace a']
        assert len(everywhere) == len(here) + 4


async def test_check_names_every_declared_verb_that_is_missing() -> None:
    async with world() as w:
        w.server.grant("a", DEPLOYMENT)
        scope = await w.cache.open(w.owner(), NEEDS[0])

        with pytest.raises(ForbiddenError) as refused:
            scope.check()

        assert list(refused.value.subjects) == VERBS


# -- what a snapshot shows -------------------------------------------------------------------------------------------


async def test_a_snapshot_shows_every_wait_and_everything_that_is_missing() -> None:
    async with world(rbac_watch=True) as w:
        w.server.grant("a", DEPLOYMENT, *RBAC[:1])
        w.server.grant("a", DEPLOYMENT, verbs=["create", "update"])
        owner = w.owner()
        await w.cache.open(owner, *NEEDS)
        lacks_an_optional_kind = w.cache.snapshot()
        with pytest.raises(ForbiddenError) as refused:
            await w.client.delete(POD, "one", namespace="b")
        w.cache.await_grant(owner, refused.value)
        shot = w.cache.snapshot()

        assert (lacks_an_optional_kind.degraded, lacks_an_optional_kind.missing) == (True, PODS)
        assert [(wait.uid, wait.permission) for wait in shot.pending] == [
            (owner.uid, 'delete pods "one" in namespace b')
        ]
        assert shot.missing == [*PODS, 'delete pods "one" in namespace b']
        assert "delete pods" in str(shot.to_dict())


async def test_where_nothing_is_missing_nothing_is_degraded_although_rbac_objects_may_not_be_watched() -> None:
    async with world(rbac_watch=True) as w:
        w.server.grant("a", POD)
        await w.cache.open(w.owner(), POD)
        await after(10)
        shot = w.cache.snapshot()

        assert (shot.degraded, shot.missing, shot.totals.waiting, shot.totals.missing) == (False, [], 0, 0)


async def test_a_snapshot_with_a_limit_shows_what_waits_first_and_counts_everything() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        for number in range(20):
            await w.cache.open(w.owner(f"m{number}"), POD)
        for number in range(7):
            with pytest.raises(ForbiddenError):
                await w.cache.open(w.owner(f"m{number}", "b"), POD)
        shot, whole = w.cache.snapshot(limit=5), w.cache.snapshot()

        assert [len(part) for part in (shot.scopes, shot.waiting, shot.informers, shot.missing)] == [5, 5, 1, 2]
        assert shot.totals == whole.totals
        assert (shot.totals.scopes, shot.totals.waiting, shot.totals.missing) == (27, 7, 2)
        assert (len(whole.scopes), len(whole.waiting)) == (27, 7)
