"""Who was refused a call hears when it may make it: what is waited for, for how long, and how much of it at most."""

from __future__ import annotations

import pytest

from scopedcache import ForbiddenError, Need, Object
from scopedcache.api.permission import Permission
from scopedcache.cache.pending_grants import NAMES_AT_ONCE, TOLD_APART_SECONDS, WAITS_OF_OWNER
from tests.unit.cache.world import World, world
from tests.unit.clock import after, now
from tests.unit.cluster import POD

DELETE = ["delete"]


async def refused(w: World, owner: Object, verb: str, name: str = "one", namespace: str = "a") -> ForbiddenError:
    """Let an owner's reconcile end with a refused call."""
    with pytest.raises(ForbiddenError) as caught:
        if verb == "create":
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
            await w.client.create(body, namespace=namespace)
        elif verb == "get":
            await w.client.get(POD, name, namespace=namespace)
        else:
            await w.client.delete(POD, name, namespace=namespace)
    w.cache.await_grant(owner, caught.value)
    return caught.value


def waited_for(w: World) -> list[str]:
    return [wait.permission for wait in w.cache.snapshot().pending]


async def test_who_was_refused_a_declared_verb_is_not_told_of_it_again_and_everybody_else_is() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        given = w.server.grant("a", POD, verbs=DELETE)
        refused_one, other = w.owner("m"), w.owner("n")
        for owner in (refused_one, other):
            await w.cache.open(owner, Need(POD, verbs=("delete",)))
        start = now()
        w.server.revoke(given)
        await refused(w, refused_one, "delete")
        await after(30)
        told = w.causes(refused_one, start), w.causes(other, start)
        given.restore()
        await after(30)

        assert told == ([], ["denied"])
        assert "granted" in w.causes(refused_one, start)


# -- how much --------------------------------------------------------------------------------------------------------


async def test_calls_on_ever_new_names_leave_one_wait_for_the_last() -> None:
    async with world() as w:
        owner = w.owner()
        for number in range(300):
            await refused(w, owner, "delete", f"pod-{number}")

        assert waited_for(w) == ['delete pods "pod-299" in namespace a']
        assert len(w.cache.monitor.verdicts) == 1


async def test_many_owners_wait_for_few_names_and_then_for_the_right_on_all_of_them() -> None:
    async with world() as w:
        owners = [w.owner(f"m{number}") for number in range(20)]
        for number, owner in enumerate(owners):
            await refused(w, owner, "delete", f"pod-{number}")
        probed = set(w.cache.monitor.verdicts)
        w.server.grant("a", POD, verbs=DELETE)
        await w.until(lambda: all(w.causes(owner) == ["granted"] for owner in owners))

        assert len(probed) == NAMES_AT_ONCE + 1
        assert Permission("delete", "", "pods", "a") in probed


async def test_an_owner_waits_for_so_many_rights_and_gives_up_the_oldest() -> None:
    async with world() as w:
        owner = w.owner()
        for number in range(3 * WAITS_OF_OWNER):
            await refused(w, owner, "create", namespace=f"n{number}")
        kept = len(w.cache.snapshot().pending)
        w.server.grant(f"n{3 * WAITS_OF_OWNER - 1}", POD, verbs=["create"])
        await w.until(lambda: w.causes(owner))

        assert kept == WAITS_OF_OWNER
        assert w.causes(owner) == ["granted"]


async def test_what_is_waited_for_goes_with_its_owner() -> None:
    async with world() as w:
        for number in range(6):
            owner = w.owner(f"m{number}")
            await refused(w, owner, "delete", f"pod-{number}")
            await refused(w, owner, "create")
            w.cache.close(owner)

        assert waited_for(w) == []
        w.nothing_is_left()


# -- what for --------------------------------------------------------------------------------------------------------


async def test_a_right_on_the_name_that_was_refused_last_is_told_of_and_one_on_another_name_is_not() -> None:
    async with world() as w:
        owner = w.owner()
        for name in ("one", "two"):
            await refused(w, owner, "delete", name)
        w.server.grant("a", POD, verbs=DELETE, names=["one"])
        await after(20)
        before = w.causes(owner)
        w.server.grant("a", POD, verbs=DELETE, names=["two"])
        await after(20)

        assert (before, w.causes(owner)) == ([], ["granted"])


async def test_a_create_is_waited_for_without_a_name_that_no_review_would_allow() -> None:
    async with world() as w:
        owner = w.owner()
        await refused(w, owner, "create", "one")
        w.server.grant("a", POD, verbs=["create"], names=["one"])
        await after(20)
        before = (w.causes(owner), waited_for(w))
        w.server.grant("a", POD, verbs=["create"])
        await after(20)

        assert before == ([], ["create pods in namespace a"])
        assert w.causes(owner) == ["granted"]


# -- the next yes ----------------------------------------------------------------------------------------------------


async def test_a_call_that_is_refused_for_a_moment_is_told_of_although_its_right_is_declared_and_never_was_lost() -> (
    None
):
    """The right comes back before anybody has confirmed its loss: the reconcile waits for nothing else."""
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        given = w.server.grant("a", POD, verbs=DELETE)
        await w.cache.open(owner, Need(POD, verbs=("delete",)))
        given.revoke()
        await refused(w, owner, "delete")
        given.restore()

        await w.until(lambda: w.causes(owner), limit=w.cache.bound)

        assert w.causes(owner) == ["granted"]
        assert waited_for(w) == []


async def test_a_refusal_that_was_kept_for_later_is_over_at_once_where_the_right_is_there() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        await w.cache.open(owner, POD)
        w.cache.await_grant(
            owner, ForbiddenError(verb="list", resource="pods", namespace="a", by="authorizer", cached=True)
        )

        assert w.causes(owner) == ["granted"]


async def test_who_raises_an_old_refusal_again_and_again_is_not_told_again_and_again() -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        await w.cache.open(owner, POD)
        old = ForbiddenError(verb="list", resource="pods", namespace="a", by="authorizer", cached=True)
        started, told = now(), 0
        w.cache.await_grant(owner, old)
        while now() < started + 60:
            if len(w.causes(owner)) > told:
                told = len(w.causes(owner))
                w.cache.await_grant(owner, old)
            await after(0.1)

        assert 3 <= told <= 60 / TOLD_APART_SECONDS + 1


@pytest.mark.parametrize("verb", ["get", "delete"])
async def test_a_server_that_contradicts_its_reviews_makes_no_hot_loop(verb: str) -> None:
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD, verbs=["get", "delete"])
        w.server.trouble(POD, verb=verb, code=403)
        started, told = now(), 0
        error = ForbiddenError(verb=verb, resource="pods", namespace="a", name="one", by="authorizer")
        w.cache.await_grant(owner, error)
        while now() < started + 60:
            if len(w.causes(owner)) > told:
                told = len(w.causes(owner))
                with pytest.raises(ForbiddenError):
                    await (w.client.get if verb == "get" else w.client.delete)(POD, "one", namespace="a")
                w.cache.await_grant(owner, error)
            await after(0.1)

        assert told <= 60 / TOLD_APART_SECONDS + 1
