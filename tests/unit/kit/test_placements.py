"""What an owner has in many namespaces is never forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

from scopedcache import ForbiddenError, Need, Object, ResourceCache
from scopedcache.kit import LabelRoute, Placed, find_condition, new_object, place_in_each, placed_in, prune
from scopedcache.testing import eventually
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, MEMCACHED, OPERATOR, Cluster
from tests.unit.kit.scopes import Scopes, scopes

FINALIZER = "example.com/copies"


@attrs.define
class Placing:
    """Has a ConfigMap in each of some namespaces."""

    w: Scopes
    breaks: str = ""  # the namespace in which it fails

    @property
    def ours(self) -> LabelRoute:
        return LabelRoute("example.com/owner", uid=self.w.owner.uid)

    @property
    def owner(self) -> Object:
        found = self.w.server.find(MEMCACHED, "m", "home")
        assert found is not None
        return Object.from_dict(found)

    @property
    def left(self) -> list[str]:
        return [one["kubernetes.io/metadata.name"] for one in placed_in(self.owner)]

    async def place(self, scope: ResourceCache) -> str:
        if scope.namespace == self.breaks:
            raise LookupError(self.breaks)
        if scope.get(CONFIG_MAP, "mine") is None:
            wanted = new_object(CONFIG_MAP.gvk, "mine", scope.namespace)
            await self.w.client.create(self.ours.mark(wanted))
        return "there"

    async def remove(self, scope: ResourceCache) -> None:
        await prune(self.w.client, scope, CONFIG_MAP, [], ours=self.ours)

    async def run(self, *wanted: str) -> Placed[str]:
        needs = [Need(CONFIG_MAP, verbs=("create", "delete"), route=self.ours)]
        placed = await place_in_each(
            self.w.cache, self.owner, needs, wanted, self.place, self.remove, finalizer=FINALIZER
        )
        await placed.report(self.w.client, {"Ready": (True, "There", "")}, phase="Ready")
        return placed

    def places(self) -> list[str]:
        found = self.w.server.embedded.list(str(CONFIG_MAP))
        return sorted(one["metadata"]["namespace"] for one in found if one["metadata"]["name"] == "mine")


@pytest.fixture
async def p(server: Cluster) -> AsyncIterator[Placing]:
    server.grant("home", MEMCACHED, verbs=ALL_VERBS)
    server.embedded.grant(server.operator, ["patch"], [f"{MEMCACHED}/status"], namespace="home")
    for place in ("a", "b"):
        server.grant(place, CONFIG_MAP, verbs=ALL_VERBS)
    async with scopes(server) as w:
        yield Placing(w)


async def test_it_is_written_down_before_it_is_made_and_kept_by_a_finalizer(p: Placing) -> None:
    p.breaks = "a"
    with pytest.raises(ExceptionGroup):
        await p.run("a", "b")
    requests = [(one.verb, one.subresource) for one in p.w.server.embedded.audit.requests(user=OPERATOR)]
    first_write = next(one for one in requests if one[0] in ("create", "patch") and one[1] in (None, "status"))
    assert (p.left, p.places(), p.owner.finalizers) == (["a", "b"], ["b"], (FINALIZER,))
    assert first_write == ("patch", None)  # the finalizer
    assert requests.index(("patch", "status")) < requests.index(("create", None), requests.index(first_write))


async def test_what_is_wanted_no_longer_is_taken_away_and_forgotten(p: Placing) -> None:
    await p.run("a", "b")
    placed = await p.run("b")

    assert (p.places(), p.left, dict(placed.done), sorted(placed.left)) == (["b"], ["b"], {"b": "there"}, ["b"])
    assert p.owner.at("status", "phase") == "Ready"


async def test_a_second_run_writes_nothing(p: Placing) -> None:
    await p.run("a", "b")
    asked = len(p.w.server.sent())
    await p.run("a", "b")

    assert p.w.server.sent()[asked:] == []


async def test_where_taking_away_is_denied_it_is_not_forgotten_and_the_owner_stays(p: Placing) -> None:
    denied = p.w.server.grant("denied", CONFIG_MAP, verbs=ALL_VERBS)
    await p.run("a", "denied")
    denied.revoke()
    await eventually(lambda: "denied" in p.w.causes, within=20)
    p.w.server.remove(MEMCACHED, "m", "home")
    placed = await p.run("a")
    found = find_condition(p.owner.at("status", "conditions"), "Permitted")

    assert (p.places(), p.left, placed.is_over) == (["denied"], ["denied"], False)
    assert found is not None
    assert found["message"].startswith("denied: may not list configmaps")
    p.w.server.grant("denied", CONFIG_MAP, verbs=ALL_VERBS)
    await eventually(lambda: "granted" in p.w.causes, within=20)
    placed = await p.run("a")
    assert (p.places(), placed.is_over, p.w.server.find(MEMCACHED, "m", "home")) == ([], True, None)


async def test_a_status_that_was_lost_is_put_right(p: Placing) -> None:
    await p.run("a", "b")
    status: dict[str, Any] = {"status": {"namespaces": None, "conditions": None}}
    p.w.server.embedded.patch(str(MEMCACHED), "m", status, "home", subresource="status")
    await p.run("a", "b")

    assert p.left == ["a", "b"]


async def test_a_namespace_that_is_gone_is_forgotten_where_namespaces_are_watched(p: Placing) -> None:
    await p.run("a", "b")
    p.w.server.embedded.grant(p.w.server.operator, ["list", "watch"], ["namespaces"])
    async with p.w.cache.informer("namespaces", metadata_only=True) as namespaces:
        await namespaces.wait_synced()
        status = {"status": {"namespaces": ["a", "b", "gone"]}}
        p.w.server.embedded.patch(str(MEMCACHED), "m", status, "home", subresource="status")
        p.w.server.remove(MEMCACHED, "m", "home")
        placed = await p.run("a")

    assert (placed.is_over, p.w.server.find(MEMCACHED, "m", "home")) == (True, None)


async def test_where_watched_namespaces_may_not_be_seen_any_more_nothing_is_made_and_the_right_is_named(
    p: Placing,
) -> None:
    grant = p.w.server.embedded.grant(p.w.server.operator, ["list", "watch"], ["namespaces"])
    async with p.w.cache.informer("namespaces", metadata_only=True) as namespaces:
        await namespaces.wait_synced()
        grant.revoke()
        await namespaces.wait_denied()
        with pytest.raises(ForbiddenError, match="may not list namespaces"):
            await p.run("a")

    assert p.left == []
