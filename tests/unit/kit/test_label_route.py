"""An owner named by a label."""

from __future__ import annotations

import pytest

from scopedcache import Need, Object
from scopedcache.kit import LabelRoute
from scopedcache.testing import eventually
from tests.unit.cluster import CONFIG_MAP, MEMCACHED, Cluster
from tests.unit.kit.scopes import scopes

LABEL = "example.com/owner"


def test_what_is_marked_is_ours_and_nothing_else_is() -> None:
    route = LabelRoute(LABEL, uid="u")
    marked = route.mark(Object.from_dict({"metadata": {"name": "x", "labels": {"app": "web"}}}))
    theirs = Object.from_dict({"metadata": {"labels": {LABEL: "other"}}})

    assert marked["metadata"]["labels"] == {"app": "web", LABEL: "u"}
    assert [route.is_ours(Object.from_dict(obj.to_dict())) for obj in (marked, theirs)] == [True, False]
    assert not route.is_ours(Object.from_dict({}))


def test_routes_of_one_label_are_one_to_an_informer() -> None:
    assert len({LabelRoute(LABEL, uid="a"), LabelRoute(LABEL, uid="b"), LabelRoute("other", uid="a")}) == 2


@pytest.mark.parametrize("uid", ["", "u" * 64])
def test_what_no_label_can_hold_is_refused(uid: str) -> None:
    with pytest.raises(ValueError, match="uid= is the UID"):
        LabelRoute(LABEL, uid=uid)


async def test_an_owner_hears_of_what_carries_its_UID_in_another_namespace_and_owns_it(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP)
    other = server.put(MEMCACHED, "other", "home")
    async with scopes(server) as w:
        route = LabelRoute(LABEL, uid=w.owner.uid)
        scope = await w.cache.open(w.owner, Need(CONFIG_MAP, route=route), namespace="app")
        theirs = Need(CONFIG_MAP, route=LabelRoute(LABEL, uid=other.uid))
        await w.cache.open(other, theirs, namespace="app")
        server.put(CONFIG_MAP, "c", "app", labels={LABEL: w.owner.uid})
        server.put(CONFIG_MAP, "stranger", "app")
        await eventually(lambda: w.told, within=5)

        assert {change.uid for change in w.told} == {w.owner.uid}
        assert [obj.name for obj in scope.owned(CONFIG_MAP)] == ["c"]


async def test_an_owner_hears_of_who_has_the_name_that_it_wants_and_of_no_other(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP)
    async with scopes(server) as w:
        route = LabelRoute(LABEL, uid=w.owner.uid)
        for name in ("before", "mine"):
            scope = await w.cache.open(w.owner, Need(CONFIG_MAP, route=route, told_of=name), namespace="app")
        server.put(CONFIG_MAP, "before", "app")
        server.put(CONFIG_MAP, "mine", "app")
        await eventually(lambda: w.told, within=5)
        server.remove(CONFIG_MAP, "mine", "app")
        await eventually(lambda: len(w.told) > 1, within=5)

        assert (w.causes, list(scope.owned(CONFIG_MAP))) == (["child", "child"], [])


async def test_who_opens_one_object_by_name_hears_of_it(server: Cluster) -> None:
    server.grant("app", CONFIG_MAP, names=["groups"])
    async with scopes(server) as w:
        scope = await w.cache.open(w.owner, Need(CONFIG_MAP, name="groups"), namespace="app")
        server.put(CONFIG_MAP, "other", "app")
        server.put(CONFIG_MAP, "groups", "app")
        await eventually(lambda: w.told, within=5)

        assert (w.causes, scope.get(CONFIG_MAP, "groups") is not None) == (["child"], True)
