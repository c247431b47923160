"""An identity per owner, together with what else a controller may be told: `owns`, threads, an election, sharding."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from scopedcache import (
    As,
    Client,
    Controller,
    ForbiddenError,
    LeaderElection,
    Manager,
    NotLeaderError,
    Object,
    Request,
    ScopedCache,
    Sharding,
    sync,
)
from scopedcache.hash_ranges import ring_hash
from scopedcache.testing import Grant, eventually
from tests.unit.cluster import (
    ALL_VERBS,
    CONFIG_MAP,
    LEASE,
    MEMCACHED,
    OPERATOR,
    POD,
    READ,
    Cluster,
    manifest,
    reference,
)
from tests.unit.managers import running

SYSTEM = "system"


def creator_of(owner: Object) -> As | None:
    name = (owner.annotations or {}).get("creator")
    return As(name) if name else None


@attrs.define
class World:
    """An operator that may read its own kind, write its status, and act as anybody."""

    server: Cluster
    client: Client
    cache: ScopedCache

    def owner(self, name: str, creator: str, namespace: str = "a") -> Object:
        return self.server.put(MEMCACHED, name, namespace, annotations={"creator": creator})

    def allow(self, user: str, *kinds: Any, namespace: str = "a", verbs: tuple[str, ...] = ALL_VERBS) -> Grant:
        self.server.embedded.create_namespace(namespace)
        who = self.server.embedded.user(user)
        return self.server.embedded.grant(who, verbs, [str(kind) for kind in kinds], namespace=namespace)

    def permitted(self, name: str, namespace: str = "a") -> list[tuple[str, str]]:
        found = self.server.find(MEMCACHED, name, namespace) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return [(one["status"], one["message"]) for one in conditions if one["type"] == "Permitted"]

    def writers(self, kind: Any = CONFIG_MAP) -> set[str]:
        asked = self.server.embedded.audit.requests(resource=str(kind))
        return {one.user for one in asked if one.verb in ("create", "update", "patch", "delete")} - {"admin"}


@asynccontextmanager
async def second(server: Cluster, name: str = OPERATOR) -> AsyncIterator[ScopedCache]:
    """Run another cache of the operator."""
    client = server.embedded.client(server.embedded.user(name))
    async with client, ScopedCache(client, identity=creator_of, rbac_watch=False, chance=lambda: 0.5) as cache:
        yield cache


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    with Cluster.running() as server:
        server.embedded.create_namespace(SYSTEM)
        server.embedded.create_namespace("a")
        for kind in (MEMCACHED, LEASE):
            server.grant(None, kind, verbs=ALL_VERBS)
        server.embedded.grant(server.operator, ["impersonate"], ["users"])
        server.embedded.grant(server.operator, ["patch"], [f"{MEMCACHED}/status"])
        server.embedded.grant(server.operator, ALL_VERBS, ["events.events.k8s.io", "namespaces"])
        async with second(server) as cache:
            yield World(server, cache.client, cache)


@pytest.fixture
async def w() -> AsyncIterator[World]:
    async with world() as running_world:
        yield running_world


def outcome(read: Callable[[], object]) -> str:
    try:
        return str(read())
    except ForbiddenError as error:
        return str(error)


# -- owns ------------------------------------------------------------------------------------------------------------


async def test_what_a_controller_owns_is_seen_as_the_program_and_what_an_owner_opens_as_its_identity(w: World) -> None:
    seen: dict[str, list[str]] = {}

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None:
            scope = await w.cache.open(owner, POD)
            seen[owner.name] = [pod.name for pod in scope.owned(POD)]

    w.server.grant("a", POD)
    alices = w.allow("alice", POD)
    one, two = w.owner("one", "alice"), w.owner("two", "bob")
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile, owns=[POD.gvk], namespaces=["a"])
    async with running(Manager(w.cache, controllers=[controller])):
        await eventually(lambda: seen == {"one": []})
        w.server.put(POD, "of-one", "a", owner=one)
        w.server.put(POD, "of-two", "a", owner=two)  # of which `owns` tells, and that Bob may not see
        await eventually(lambda: seen == {"one": ["of-one"]})
        await eventually(lambda: [status for status, _ in w.permitted("two")] == ["False"])
        assert [message.endswith("as bob") for _, message in w.permitted("two")] == [True]
        watching = {one.user for one in w.server.embedded.audit.open_watches(resource=str(POD))}
        assert watching == {OPERATOR, "alice"}
        alices.revoke()
        await eventually(lambda: [status for status, _ in w.permitted("one")] == ["False"], within=30.0)
        assert "as alice" in w.permitted("one")[0][1]
        assert "alice" not in w.permitted("two")[0][1]


async def test_losing_what_a_controller_owns_is_the_program_s_own_affair(w: World) -> None:
    scopes: dict[str, Any] = {}

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None:
            scopes[owner.name] = await w.cache.open(owner, POD)

    programs = w.server.grant("a", POD)
    w.allow("alice", POD)
    w.owner("one", "alice")
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile, owns=[POD.gvk], namespaces=["a"])
    async with running(Manager(w.cache, controllers=[controller])) as manager:
        await eventually(lambda: "one" in scopes)
        programs.revoke()
        await eventually(lambda: "may not list pods" in str(manager.summary()["reasons"]), within=30.0)
        assert "alice" not in str(manager.summary()["reasons"])
        assert scopes["one"].list(POD) == []


# -- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_factories=["real"])  # threads know no virtual time
async def test_a_reconcile_in_a_thread_reads_and_writes_as_its_owner_s_identity() -> None:
    async with world() as w:
        cache = sync.of(w.cache)
        refused: list[ForbiddenError] = []

        def reconcile(request: Request) -> None:
            owner = cache.cluster.get(MEMCACHED, request.key)
            if owner is None:
                return
            scope = cache.open(owner, CONFIG_MAP)
            if scope.get(CONFIG_MAP, ("a", owner.name)) is None:
                try:
                    scope.client.create(manifest(CONFIG_MAP, owner.name, "a"))
                    assert scope.get(CONFIG_MAP, ("a", owner.name)) is not None
                except ForbiddenError as error:
                    refused.append(error)
                    raise

        w.allow("alice", CONFIG_MAP)
        w.allow("bob", CONFIG_MAP, verbs=READ)
        w.owner("one", "alice")
        w.owner("two", "bob")
        async with running(Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)])):
            await eventually(lambda: w.server.find(CONFIG_MAP, "one", "a") and refused, within=20.0)
            assert (w.writers(), {error.identity for error in refused}) == ({"alice", "bob"}, {As("bob")})
            await eventually(lambda: [message[-6:] for _, message in w.permitted("two")] == ["as bob"], within=20.0)
            w.allow("bob", CONFIG_MAP)
            await eventually(lambda: w.server.find(CONFIG_MAP, "two", "a"), within=30.0)


# -- leader election -------------------------------------------------------------------------------------------------


async def test_who_leads_no_longer_writes_as_nobody(w: World) -> None:
    w.allow("alice", CONFIG_MAP)
    owner = w.owner("one", "alice")
    reconciled = asyncio.Event()

    async def reconcile(request: Request) -> None:
        await w.cache.open(owner, CONFIG_MAP)
        reconciled.set()

    election = LeaderElection("lease", namespace=SYSTEM)
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile)
    async with running(Manager(w.cache, controllers=[controller], leader_election=election)) as manager:
        await reconciled.wait()
        scope = await w.cache.open(owner, CONFIG_MAP)
        await scope.client.create(manifest(CONFIG_MAP, "led", "a"))
        w.server.trouble(LEASE, latency=50_000.0)
        await eventually(lambda: not manager.leading, within=60.0)
        with pytest.raises(NotLeaderError):
            await scope.client.create(manifest(CONFIG_MAP, "not-led", "a"))
        assert w.server.find(CONFIG_MAP, "not-led", "a") is None


# -- sharding --------------------------------------------------------------------------------------------------------


async def test_replicas_share_owners_and_each_serves_its_part_as_their_identities(w: World) -> None:
    places = [f"team-{number}" for number in range(8)]
    for place in places:
        w.allow("alice", CONFIG_MAP, namespace=place)
        w.owner("m", "alice", place)
    done: dict[str, set[str]] = {"one": set(), "two": set()}

    def manager_of(name: str, cache: ScopedCache) -> Manager:
        async def reconcile(request: Request) -> None:
            owner = cache.cluster.get(MEMCACHED, request.key)
            if owner is not None:
                scope = await cache.open(owner, CONFIG_MAP)
                key = (request.namespace, f"by-{name}")
                if scope.get(CONFIG_MAP, key) is None:
                    await scope.client.create(manifest(CONFIG_MAP, f"by-{name}", request.namespace))
                done[name].add(request.namespace)

        controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile)
        sharding = Sharding("operator", namespace=SYSTEM, identity=name)
        return Manager(cache, controllers=[controller], sharding=sharding)

    def opened(cache: ScopedCache) -> set[str]:
        return {scope.namespace for scope in cache.snapshot().scopes if scope.namespace}

    async with second(w.server) as other:
        async with running(manager_of("one", w.cache)):
            await eventually(lambda: done["one"] == set(places), within=60.0)
            async with running(manager_of("two", other)):
                await eventually(lambda: done["two"], within=120.0)
                await eventually(
                    lambda: opened(w.cache) | opened(other) == set(places) and not opened(w.cache) & opened(other),
                    within=120.0,
                )
                watching = w.server.embedded.audit.open_watches(resource=str(CONFIG_MAP))
                assert sorted(str(one.namespace) for one in watching) == sorted(places)
                assert {one.user for one in watching} == {"alice"}
    assert w.writers() == {"alice"}
    assert len({ring_hash(place) for place in places}) == len(places)


async def test_a_run_writes_as_an_identity_for_its_own_part_alone(w: World) -> None:
    places = [f"team-{number}" for number in range(8)]
    for place in places:
        w.allow("alice", CONFIG_MAP, namespace=place)
        w.owner("m", "alice", place)
    begun, go_on, refused = asyncio.Event(), asyncio.Event(), []

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is None:
            return
        scope = await w.cache.open(owner, CONFIG_MAP)
        client = scope.client
        begun.set()
        await go_on.wait()
        try:
            await client.create(manifest(CONFIG_MAP, "late", request.namespace))
        except NotLeaderError as error:
            refused.append(error)
            raise

    sharding = Sharding("operator", namespace=SYSTEM, identity="one")
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile, deadline=None)
    async with running(Manager(w.cache, controllers=[controller], sharding=sharding)) as manager:
        await begun.wait()
        w.server.trouble(LEASE, latency=50_000.0)
        await eventually(lambda: not manager.leading, within=120.0)
        go_on.set()
        await eventually(lambda: refused, within=60.0)
    assert w.writers() == set()


async def test_what_a_run_writes_as_its_owner_s_identity_counts_as_its_own(
    w: World, caplog: pytest.LogCaptureFixture
) -> None:
    w.allow("alice", CONFIG_MAP)
    w.owner("one", "alice")
    w.server.trouble(latency=0.05)  # or all of it happens in one instant

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None:
            scope = await w.cache.open(owner, CONFIG_MAP)
            count = scope.get(CONFIG_MAP, ("a", "mine"))
            if count is None:
                await scope.client.create(manifest(CONFIG_MAP, "mine", "a", ownerReferences=[reference(owner)]))
            else:
                count["data"] = {"runs": str(int(count.at("data", "runs", default="0")) + 1)}
                await scope.client.update(count)

    with caplog.at_level(logging.WARNING):
        async with running(Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)])):
            await eventually(lambda: "reconcile.wakes_itself" in caplog.text, within=60.0)
