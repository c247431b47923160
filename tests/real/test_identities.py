"""An identity per owner, over HTTP, on both servers: by impersonation and by a token, apart from each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from scopedcache import As, ForbiddenError, Need, Object, OwnerChanged, ScopedCache, ServiceAccount
from scopedcache.api.client import Client
from scopedcache.testing import ControlPlane, EmbeddedCluster, Grant, Identity, eventually

Plane = ControlPlane | EmbeddedCluster
READ, ALL = ("list", "watch"), ("get", "list", "watch", "create", "update", "delete")
MAPS = "configmaps"
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

    def owner(self, name: str, served_as: str) -> Object:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": {"as": served_as}}}
        return Object.from_dict(self.plane.create(body, self.namespace))

    def grant(self, who: Identity, verbs: tuple[str, ...] = READ, resource: str = MAPS) -> Grant:
        return self.plane.grant(who, verbs, [resource], namespace=self.namespace)

    def cache(self) -> ScopedCache:
        """Return a cache of the operator's, over HTTP, that serves each owner as its annotation says."""
        client = Client.connect(kubeconfig=self.operator.kubeconfig)
        cache = ScopedCache(client, identity=self.identity, detection_bound=BOUND, rbac_watch=False)
        cache.subscribe(self.told.append)
        return cache

    def identity(self, owner: Object) -> As | ServiceAccount | None:
        kind, _, name = (owner.annotations or {})["as"].partition("=")
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
