"""An identity per owner, over HTTP, on both servers: by impersonation and by a token, apart from each other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from typing import Any

import pytest

from scopedcache import (
    As,
    Controller,
    ForbiddenError,
    LeaderElection,
    Manager,
    Need,
    NotLeaderError,
    NotSyncedError,
    Object,
    OwnerChanged,
    Request,
    ScopedCache,
    ServiceAccount,
    Sharding,
    sync,
)
from scopedcache.api.client import Client
from scopedcache.controller import by_annotation
from scopedcache.testing import ControlPlane, EmbeddedCluster, Grant, Identity, eventually
from tests.unit.managers import running

Plane = ControlPlane | EmbeddedCluster
READ, ALL = ("list", "watch"), ("get", "list", "watch", "create", "update", "delete")
MAPS, SECRETS, LEASES = "configmaps", "secrets", "leases.coordination.k8s.io"
BOUND = 4.0
_numbers = itertools.count(1)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def plane(request: pytest.FixtureRequest) -> Iterator[Plane]:
    """Yield a server, reached over HTTP."""
    with ExitStack() as stack:
        if request.param == "real":
            yield request.getfixturevalue("control_plane")
        else:
            yield stack.enter_context(EmbeddedCluster.start(http=True))


class World:
    """A namespace that nobody else uses, and the operator's account in it."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.namespace = f"identities-{next(_numbers)}"
        plane.create_namespace(self.namespace)
        self.operator = plane.service_account(self.namespace, "operator")
        self.told: list[OwnerChanged] = []

    def owner(self, name: str, served_as: str, namespace: str | None = None) -> Object:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": {"as": served_as}}}
        return Object.from_dict(self.plane.create(body, namespace or self.namespace))

    def grant(self, who: Identity, verbs: tuple[str, ...] = READ, resource: str = MAPS) -> Grant:
        return self.plane.grant(who, verbs, [resource], namespace=self.namespace)

    def cache(self) -> ScopedCache:
        """Return a cache of the operator's, over HTTP, that serves each owner as its annotation says."""
        client = Client.connect(kubeconfig=self.operator.kubeconfig)
        cache = ScopedCache(client, identity=self.identity, detection_bound=BOUND, rbac_watch=False)
        cache.subscribe(self.told.append)
        return cache

    def identity(self, owner: Object) -> As | ServiceAccount | None:
        kind, _, name = (owner.annotations or {}).get("as", "").partition("=")
        return ServiceAccount(self.namespace, name) if kind == "account" else As(name) if kind == "user" else None

    def causes(self, owner: Object) -> list[str]:
        return [change.cause for change in self.told if change.uid == owner.uid]

    def watching(self) -> set[str]:
        """Return as whom ConfigMaps of the namespace are watched now."""
        return {one.user for one in self.plane.audit.open_watches(resource=MAPS, namespace=self.namespace)}


@pytest.fixture
def world(plane: Plane) -> World:
    return World(plane)


def refused(read: Callable[[], object]) -> ForbiddenError | None:
    try:
        read()
    except ForbiddenError as error:
        return error
    return None


async def test_two_users_see_what_each_may_see_and_one_loses_it_alone(world: World) -> None:
    alice, bob = world.plane.user("alice"), world.plane.user("bob")
    world.plane.grant(world.operator, ["impersonate"], ["users"], names=[alice.username, bob.username])
    alices = world.grant(alice)
    world.grant(bob, ALL)
    one = world.owner("one", f"user={alice.username}")
    two = world.owner("two", f"user={bob.username}")
    cache = world.cache()
    async with cache.client, cache:
        scope_one, scope_two = await cache.open(one, MAPS), await cache.open(two, MAPS)
        await eventually(lambda: world.watching() == {alice.username, bob.username})
        with pytest.raises(ForbiddenError, match=f"as {alice.username}"):
            await scope_one.client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}},
                                          namespace=world.namespace)  # fmt: skip
        made = await scope_two.client.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}, namespace=world.namespace
        )
        assert scope_two.get(MAPS, made.key) is not None
        alices.revoke()
        await eventually(lambda: refused(lambda: scope_one.list(MAPS)) is not None, within=30.0)
        assert scope_two.list(MAPS)
        assert (world.causes(one), world.causes(two)) == (["denied"], [])
        alices.restore()
        await eventually(lambda: "granted" in world.causes(one), within=30.0)


async def test_the_right_to_impersonate_is_named_where_it_is_missing_and_heals(world: World) -> None:
    alice = world.plane.user("alice")
    world.grant(alice)
    owner = world.owner("one", f"user={alice.username}")
    cache = world.cache()
    async with cache.client, cache:
        with pytest.raises(ForbiddenError, match=f'may not impersonate users "{alice.username}" at the cluster scope'):
            await cache.open(owner, MAPS)
        acting = world.plane.grant(world.operator, ["impersonate"], ["users"], names=[alice.username])
        await eventually(lambda: "granted" in world.causes(owner), within=30.0)
        scope = await cache.open(owner, MAPS)
        acting.revoke()
        await eventually(lambda: refused(lambda: scope.list(MAPS)) is not None, within=30.0)
        error = refused(lambda: scope.list(MAPS))
        assert error is not None
        assert (error.verb, error.name, error.identity) == ("impersonate", alice.username, None)


async def test_the_name_of_a_service_account_is_impersonated_by_a_right_of_its_own(world: World) -> None:
    account = world.plane.service_account(world.namespace, "builder")
    world.grant(account)
    world.plane.grant(world.operator, ["impersonate"], ["users"])
    owner = world.owner("one", f"user={account.username}")
    cache = world.cache()
    async with cache.client, cache:
        with pytest.raises(ForbiddenError, match='may not impersonate serviceaccounts "builder" in namespace'):
            await cache.open(owner, MAPS)
        world.grant(world.operator, ("impersonate",), "serviceaccounts")
        await eventually(lambda: "granted" in world.causes(owner), within=30.0)
        assert world.watching() == {account.username}


async def test_a_service_account_is_served_by_a_token_and_its_audit_names_nobody_else(world: World) -> None:
    account = world.plane.service_account(world.namespace, "builder")
    world.grant(account)
    owner = world.owner("one", "account=builder")
    cache = world.cache()
    async with cache.client, cache:
        with pytest.raises(ForbiddenError, match='may not create serviceaccounts/token "builder" in namespace'):
            await cache.open(owner, MAPS)
        world.grant(world.operator, ("create",), "serviceaccounts/token")
        await eventually(lambda: "granted" in world.causes(owner), within=30.0)
        scope = await cache.open(owner, Need(MAPS))
        assert [found.name for found in scope.list(MAPS) if found.name == "one"] == ["one"]
        assert world.watching() == {account.username}
        assert scope.client.identity == ServiceAccount(world.namespace, "builder")


async def test_an_account_that_is_not_there_is_told_and_its_owner_is_served_once_it_is(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.grant(world.operator, ("create",), "serviceaccounts/token")
    owner = world.owner("one", "account=builder")
    cache = world.cache()
    async with cache.client, cache:
        with pytest.raises(NotSyncedError):
            await cache.open(owner, MAPS, sync_timeout=3.0)
        told = [record for record in caplog.records if record.getMessage().startswith("identity.no_token")]
        assert [f"{world.namespace}:builder" in record.getMessage() for record in told] == [True]
        account = world.plane.service_account(world.namespace, "builder")
        world.grant(account)
        await eventually(lambda: {"synced", "granted"} & set(world.causes(owner)), within=45.0)
        assert world.watching() == {account.username}


# -- in company ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def managed(
    cache: ScopedCache,
    reconcile: Any,
    world: World,
    *,
    owns: Iterable[str] = (),
    everywhere: bool = False,
    **options: Any,
) -> AsyncIterator[Manager]:
    """Run a controller of the ConfigMaps that are owners, in the world's namespace or everywhere."""
    places, owners = None if everywhere else [world.namespace], by_annotation("as")
    controller = Controller(for_=MAPS, reconcile=reconcile, namespaces=places, predicates=[owners], owns=owns)
    async with running(Manager(cache, controllers=[controller], **options)) as manager:
        yield manager


async def test_what_a_controller_owns_is_the_program_s_and_what_an_owner_opens_its_identity_s(world: World) -> None:
    alice, bob = world.plane.user("alice"), world.plane.user("bob")
    world.plane.grant(world.operator, ["impersonate"], ["users"], names=[alice.username, bob.username])
    world.grant(world.operator)
    world.grant(world.operator, resource=SECRETS)
    alices = world.grant(alice, resource=SECRETS)
    one, two = world.owner("one", f"user={alice.username}"), world.owner("two", f"user={bob.username}")
    seen: dict[str, list[str] | str] = {}
    cache = world.cache()

    async def reconcile(request: Request) -> None:
        owner = cache.cluster.get(MAPS, request.key)
        if owner is not None:
            try:
                scope = await cache.open(owner, SECRETS)
                seen[request.name] = [found.name for found in scope.owned(SECRETS)]
            except ForbiddenError as error:
                seen[request.name] = str(error)
                raise

    async with cache.client, cache, managed(cache, reconcile, world, owns=[SECRETS]):
        for owner in (one, two):
            reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name, "uid": owner.uid}
            metadata = {"name": f"of-{owner.name}", "ownerReferences": [reference]}
            world.plane.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}, world.namespace)
        await eventually(lambda: seen.get("one") == ["of-one"] and "as bob" in seen.get("two", ""), within=30.0)
        watching = {one.user for one in world.plane.audit.open_watches(resource=SECRETS, namespace=world.namespace)}
        assert {alice.username, world.operator.username} <= watching
        assert bob.username not in watching
        alices.revoke()
        await eventually(lambda: "as alice" in seen["one"], within=30.0)
        assert "alice" not in seen["two"]


async def test_a_reconcile_in_a_thread_writes_as_its_owner_s_identity(world: World) -> None:
    alice, bob = world.plane.user("alice"), world.plane.user("bob")
    world.plane.grant(world.operator, ["impersonate"], ["users"], names=[alice.username, bob.username])
    world.grant(world.operator)
    world.grant(alice, ALL, SECRETS)
    world.grant(bob, READ, SECRETS)
    world.owner("one", f"user={alice.username}")
    world.owner("two", f"user={bob.username}")
    refused: list[str] = []
    cache = world.cache()

    async with cache.client, cache:
        blocking = sync.of(cache)

        def reconcile(request: Request) -> None:
            owner = blocking.cluster.get(MAPS, request.key)
            if owner is None:
                return
            scope = blocking.open(owner, SECRETS)
            if scope.get(SECRETS, (world.namespace, f"by-{owner.name}")) is None:
                body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"by-{owner.name}"}}
                try:
                    scope.client.create(body, namespace=world.namespace)
                except ForbiddenError as error:
                    refused.append(str(error))
                    raise
                assert scope.get(SECRETS, (world.namespace, f"by-{owner.name}")) is not None

        async with managed(cache, reconcile, world):
            await eventually(lambda: refused and world.plane.get(SECRETS, "by-one", world.namespace), within=30.0)
            assert f"as {bob.username}" in refused[0]
            writers = world.plane.audit.requests(resource=SECRETS, verb="create", namespace=world.namespace)
            assert {one.user for one in writers} == {alice.username, bob.username}
            world.grant(bob, ALL, SECRETS)
            await eventually(lambda: world.plane.get(SECRETS, "by-two", world.namespace), within=30.0)


async def test_who_leads_no_longer_writes_as_nobody(world: World) -> None:
    alice = world.plane.user("alice")
    world.plane.grant(world.operator, ["impersonate"], ["users"], names=[alice.username])
    world.grant(world.operator)
    leases = world.grant(world.operator, ("get", "create", "update"), LEASES)
    world.grant(alice, ALL, SECRETS)
    owner = world.owner("one", f"user={alice.username}")
    election = LeaderElection(
        "lease", namespace=world.namespace, lease_duration=6.0, renew_deadline=4.0, retry_period=1.0
    )
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "led"}}
    cache, ran = world.cache(), asyncio.Event()

    async def reconcile(_: Request) -> None:
        ran.set()

    async with cache.client, cache, managed(cache, reconcile, world, leader_election=election) as manager:
        await asyncio.wait_for(ran.wait(), 30.0)
        scope = await cache.open(owner, SECRETS)
        await scope.client.create(body, namespace=world.namespace)
        leases.revoke()
        await eventually(lambda: not manager.leading, within=30.0)
        with pytest.raises(NotLeaderError):
            await scope.client.delete(SECRETS, "led", namespace=world.namespace)
        assert scope.get(SECRETS, (world.namespace, "led")) is not None


async def test_replicas_share_owners_and_each_serves_its_part_as_their_identities(world: World) -> None:
    alice = world.plane.user("alice")
    world.plane.grant(world.operator, ["impersonate"], ["users"], names=[alice.username])
    world.plane.grant(world.operator, READ, [MAPS])
    world.plane.grant(world.operator, READ, ["namespaces"])
    world.grant(world.operator, ("get", "list", "create", "update", "delete"), LEASES)
    places = [f"{number}-{world.namespace}" for number in range(6)]  # names that end alike lie apart on the ring
    for place in places:
        world.plane.create_namespace(place)
        world.plane.grant(alice, ALL, [SECRETS], namespace=place)
        world.owner("one", f"user={alice.username}", place)
    done: dict[str, set[str]] = {"first": set(), "second": set()}

    def replica(name: str, cache: ScopedCache) -> AbstractAsyncContextManager[Manager]:
        async def reconcile(request: Request) -> None:
            owner = cache.cluster.get(MAPS, request.key)
            if owner is not None and request.namespace in places:
                scope = await cache.open(owner, SECRETS)
                if scope.get(SECRETS, (request.namespace, name)) is None:
                    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
                    await scope.client.create(body, namespace=request.namespace)
                done[name].add(request.namespace)

        times = {"lease_duration": 6.0, "renew_deadline": 4.0, "retry_period": 1.0}
        sharding = Sharding("operator", namespace=world.namespace, identity=name, **times)
        return managed(cache, reconcile, world, everywhere=True, sharding=sharding)

    def opened(cache: ScopedCache) -> set[str]:
        return {scope.namespace for scope in cache.snapshot().scopes if scope.namespace} & set(places)

    first, second = world.cache(), world.cache()
    async with first.client, first, second.client, second, replica("first", first):
        await eventually(lambda: done["first"] >= set(places), within=30.0)
        async with replica("second", second):
            await eventually(
                lambda: (
                    opened(first) | opened(second) == set(places)
                    and not opened(first) & opened(second)
                    and opened(second)
                ),
                within=60.0,
            )
            watching = [one for one in world.plane.audit.open_watches(resource=SECRETS) if one.namespace in places]
            await eventually(lambda: done["second"], within=30.0)
            assert {one.user for one in watching} == {alice.username}
    writes = [one for one in world.plane.audit.requests(resource=SECRETS, verb="create") if one.namespace in places]
    assert {one.user for one in writes} == {alice.username}
