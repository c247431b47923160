"""One owner at work in many namespaces."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import ForbiddenError, Need, Object, ResourceCache
from scopedcache.controller.reporting.event_recorder import EventRecorder
from scopedcache.kit import Places, find_condition, in_each
from scopedcache.testing import eventually
from tests.unit.clock import now
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, Cluster
from tests.unit.kit.scopes import scopes

NEEDS = (Need(CONFIG_MAP, verbs=("create",)),)


async def count(scope: ResourceCache) -> int:
    return len(scope.list(CONFIG_MAP))


async def test_a_denied_namespace_is_named_and_heals_and_the_others_go_on(server: Cluster) -> None:
    for place in ("app", "web"):
        server.grant(place, CONFIG_MAP, verbs=ALL_VERBS)
    server.embedded.create_namespace("denied")
    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, ["app", "denied", "web"], count)

        assert (places.done, list(places.denied)) == ({"app": 0, "web": 0}, ["denied"])
        assert places.message == ("denied: may not list configmaps, watch configmaps, create configmaps")
        server.grant("denied", CONFIG_MAP, verbs=ALL_VERBS)
        await eventually(lambda: "granted" in w.causes, within=10)
        places = await in_each(w.cache, w.owner, NEEDS, ["app", "denied", "web"], count)
        assert (sorted(places.done), places.denied, places.message) == (["app", "denied", "web"], {}, "")


async def test_work_does_not_begin_where_a_declared_verb_is_missing_and_the_owner_hears_of_it(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP)
    began: list[str | None] = []

    async def work(scope: ResourceCache) -> None:
        began.append(scope.namespace)

    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, ["app"], work)
        assert (began, places.message) == ([], "app: may not create configmaps")
        server.grant("app", CONFIG_MAP, verbs=("create",))
        await eventually(lambda: "granted" in w.causes, within=10)


async def test_a_verb_that_nobody_declared_is_named_and_awaited_too(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP)

    async with scopes(server) as w:

        async def work(scope: ResourceCache) -> None:
            await w.client.delete(CONFIG_MAP, "c", namespace=scope.namespace)

        places = await in_each(w.cache, w.owner, (CONFIG_MAP,), ["app"], work)
        assert places.message == 'app: may not delete configmaps "c"'
        server.grant("app", CONFIG_MAP, verbs=("delete",))
        await eventually(lambda: "granted" in w.causes, within=10)


async def test_what_fails_in_one_namespace_is_raised_when_all_have_had_their_turn(server: Cluster) -> None:
    for place in ("app", "web"):
        server.grant(place, CONFIG_MAP, verbs=ALL_VERBS)

    async def work(scope: ResourceCache) -> str:
        if scope.namespace == "app":
            raise LookupError("nothing there")
        return "well"

    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, ["app", "web"], work)

    assert (places.done, places.denied) == ({"web": "well"}, {})
    with pytest.raises(ExceptionGroup, match="failed in app") as raised:
        places.check()
    assert raised.value.exceptions[0].__notes__ == ["in namespace app"]


async def test_a_refusal_by_admission_is_a_failure_and_no_missing_right(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP, verbs=ALL_VERBS)

    async def work(scope: ResourceCache) -> None:
        raise ForbiddenError("exceeded quota", verb="create", resource="configmaps", namespace="app", by="admission")

    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, ["app"], work)

    assert (places.denied, list(places.failed)) == ({}, ["app"])


async def test_so_many_work_at_the_same_time_and_no_more(server: Cluster) -> None:
    names = [f"n{number}" for number in range(10)]
    for name in names:
        server.grant(name, CONFIG_MAP, verbs=ALL_VERBS)
    busy, most = 0, 0

    async def work(scope: ResourceCache) -> None:
        nonlocal busy, most
        busy, most = busy + 1, max(most, busy + 1)
        await asyncio.sleep(1)
        busy -= 1

    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, names, work, at_once=3)
        with pytest.raises(ValueError, match="at least 1"):
            await in_each(w.cache, w.owner, NEEDS, names, work, at_once=0)

    assert (most, len(places.done)) == (3, 10)


async def test_a_namespace_that_is_named_no_longer_is_closed_denied_or_not_and_its_own_stays(server: Cluster) -> None:
    for place in ("home", "app", "web"):
        server.grant(place, CONFIG_MAP, verbs=ALL_VERBS)
    server.embedded.create_namespace("denied")
    async with scopes(server) as w:
        await w.cache.open(w.owner, CONFIG_MAP)
        await in_each(w.cache, w.owner, NEEDS, ["app", "web", "denied"], count)
        before = w.open_in
        await in_each(w.cache, w.owner, NEEDS, ["web"], count)
        after = w.open_in
        await in_each(w.cache, w.owner, NEEDS, ["app"], count, exclusive=False)

        assert (before, after) == ({"home", "app", "web", "denied"}, {"home", "web"})
        assert (w.open_in, w.cache.missing_permissions(w.owner)) == ({"home", "web", "app"}, [])


async def test_nothing_to_do_is_done_at_once(server: Cluster) -> None:
    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, [], count)

    assert places == Places({}, {}, {})


OWNER = Object.from_dict(
    {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "namespace": "home", "uid": "u", "generation": 3},
        "status": {"conditions": [{"type": "Other", "status": "True"}]},
    }
)
DENIAL = ForbiddenError(verb="list", resource="secrets", namespace="app")


def test_the_condition_says_what_is_missing_where_and_leaves_the_others_alone() -> None:
    conditions = Places({}, {"app": DENIAL}).condition(OWNER)
    found = find_condition(conditions, "Permitted")

    assert found is not None
    assert (found["status"], found["reason"], found["message"]) == ("False", "Forbidden", "app: may not list secrets")
    assert (found["observedGeneration"], len(conditions)) == (3, 2)


def test_the_condition_is_true_where_nothing_is_missing() -> None:
    found = find_condition(Places({"app": 1}, {}).condition(OWNER, "Copied", otherwise="AllCopied"), "Copied")

    assert found is not None
    assert (found["status"], found["reason"], found["message"]) == ("True", "AllCopied", "")


async def test_a_kind_without_conditions_is_told_by_an_Event(server: Cluster) -> None:
    server.embedded.create_namespace("home")
    server.embedded.grant(server.operator, ["create"], ["events.events.k8s.io"], namespace="home")
    async with server.client() as client:
        recorder = EventRecorder(client)
        Places({}, {"app": DENIAL}).record(recorder, OWNER)
        Places({"app": 1}, {}).record(recorder, OWNER)
        posting = asyncio.create_task(recorder.run())
        await recorder.flush()
        posting.cancel()

    events = server.embedded.list("events.events.k8s.io", "home")
    assert [(event["type"], event["note"]) for event in events] == [("Warning", "app: may not list secrets")]


async def test_a_namespace_whose_list_hangs_delays_a_run_for_a_moment_and_its_owner_is_told(server: Cluster) -> None:
    for place in ("app", "slow"):
        server.grant(place, CONFIG_MAP, verbs=ALL_VERBS)
    hanging = server.silence(CONFIG_MAP, namespace="slow")
    async with scopes(server) as w:
        took: list[float] = []
        for _ in range(3):
            began = now()
            places = await in_each(w.cache, w.owner, NEEDS, ["app", "slow"], count)
            took.append(now() - began)
        assert (list(places.done), list(places.failed), max(took) < 2.5) == (["app"], ["slow"], True)
        with pytest.raises(ExceptionGroup, match="failed in slow"):
            places.check()
        hanging.over()
        await eventually(lambda: "synced" in w.causes, within=300)


async def test_namespaces_that_come_one_after_the_other_are_all_done_in_one_run(server: Cluster) -> None:
    names = [f"n{number}" for number in range(8)]
    for name in names:
        server.grant(name, CONFIG_MAP, verbs=ALL_VERBS)
    for number, name in enumerate(names):
        server.trouble(CONFIG_MAP, namespace=name, verb="watch", latency=0.7 * number)
        server.trouble(CONFIG_MAP, namespace=name, verb="list", latency=0.7 * number)
    async with scopes(server) as w:
        places = await in_each(w.cache, w.owner, NEEDS, names, count)

    assert list(places.done) == names


async def test_who_is_cancelled_goes_at_once(server: Cluster) -> None:
    server.grant("slow", CONFIG_MAP, verbs=ALL_VERBS)
    server.silence(CONFIG_MAP, namespace="slow")
    async with scopes(server) as w:
        began = now()
        run = asyncio.create_task(in_each(w.cache, w.owner, NEEDS, ["slow"], count))
        await asyncio.sleep(0.5)
        run.cancel()
        await asyncio.wait([run])

        assert (run.cancelled(), now() - began) == (True, 0.5)


def test_many_failures_are_not_all_named() -> None:
    places = Places[None]({}, {}, {f"n{number}": ValueError() for number in range(1000)})

    with pytest.raises(ExceptionGroup, match=r"failed in n0, n1, n10, n100, n101 and 995 more"):
        places.check()
