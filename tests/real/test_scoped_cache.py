"""The scoped cache on a real API server: both edges, the ways to learn of them, and what is no denial."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import pytest

from scopedcache import (
    Client,
    ForbiddenError,
    Object,
    OwnerChanged,
    ResourceCache,
    ScopeClosedError,
    ScopedCache,
    UnauthorizedError,
    UnknownKindError,
)
from scopedcache.testing import ControlPlane, Identity

pytestmark = pytest.mark.real

CONFIG_MAP = "configmaps"
READ = ("list", "watch")
BOUND = 4.0
RBAC = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
RBAC_KINDS = [f"{plural}.rbac.authorization.k8s.io" for plural in RBAC]


@pytest.fixture(scope="module")
def own_plane() -> Iterator[ControlPlane]:
    """Return a control plane that may be broken."""
    with ControlPlane.start(controllers=()) as running:
        yield running


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class World:
    """A cache that runs as one identity, its owner, and what it told."""

    def __init__(self, plane: ControlPlane, who: Identity, namespace: str, cache: ScopedCache) -> None:
        self.plane = plane
        self.who = who
        self.namespace = namespace
        self.cache = cache
        self.told: list[OwnerChanged] = []
        self.owner = Object.from_dict(plane.create(config_map("the-owner"), namespace))
        cache.subscribe(self.told.append)

    @property
    def edges(self) -> list[str]:
        """Return the causes, those in a row once: where only trying tells, each verb is found missing by itself."""
        return [cause for cause, _ in groupby(self.causes)]

    @property
    def causes(self) -> list[str]:
        return [change.cause for change in self.told if change.cause != "child"]

    async def open(self) -> ResourceCache:
        return await self.cache.open(self.owner, CONFIG_MAP)

    async def do(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(function, *args, **options)

    async def grant(self, *verbs: str) -> Any:
        given = await self.do(self.plane.grant, self.who, verbs or READ, [CONFIG_MAP], namespace=self.namespace)
        await self.do(self.plane.wait_allowed, self.who, (verbs or READ)[0], CONFIG_MAP, self.namespace)
        return given

    async def until(self, true: Callable[[], Any], limit: float) -> float:
        """Wait until something is true; return how long that took."""
        started = time.monotonic()
        async with asyncio.timeout(limit):
            while True:
                if true():
                    return time.monotonic() - started
                await asyncio.sleep(0.01)
        raise AssertionError

    def state(self) -> str:
        return next((scope.state for scope in self.cache.snapshot().scopes), "closed")


@asynccontextmanager
async def world(
    plane: ControlPlane, namespace: str, who: Identity | None = None, **options: Any
) -> AsyncIterator[World]:
    await asyncio.to_thread(plane.create_namespace, namespace)
    if who is None:
        who = await asyncio.to_thread(plane.service_account, namespace, "operator")
    async with Client.connect(kubeconfig=who.kubeconfig) as client:
        async with ScopedCache(client, **{"detection_bound": BOUND, "rbac_watch": False} | options) as cache:
            yield World(plane, who, namespace, cache)


async def test_a_grant_a_revocation_and_another_grant_are_each_noticed_within_the_bound(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with world(control_plane, namespace) as w:
        with pytest.raises(ForbiddenError) as refused:
            await w.open()
        given = await w.grant()
        took = [await w.until(lambda: w.causes == ["granted"], BOUND + 1)]
        before = await w.open()
        seen = before.get(CONFIG_MAP, "the-owner")
        await w.do(given.revoke)
        took.append(await w.until(lambda: w.causes[1:] == ["denied"], BOUND + 1))
        with pytest.raises(ForbiddenError):
            before.get(CONFIG_MAP, "the-owner")
        await w.cache.wait_closed()
        watches = w.cache.snapshot().open_watches
        await w.do(control_plane.delete, CONFIG_MAP, "the-owner", namespace)
        await w.do(given.restore)
        took.append(await w.until(lambda: w.causes[2:] == ["granted"], BOUND + 1))

        assert (refused.value.verb, refused.value.namespace, refused.value.by) == ("list", namespace, "authorizer")
        assert max(took) <= BOUND
        assert (seen is not None, watches) == (True, 0)
        assert (await w.open()).get(CONFIG_MAP, "the-owner") is None
        with pytest.raises(ScopeClosedError):
            before.get(CONFIG_MAP, "the-owner")


@pytest.mark.parametrize("kept", ["list", "watch"])
async def test_one_of_list_and_watch_is_not_enough(control_plane: ControlPlane, namespace: str, kept: str) -> None:
    async with world(control_plane, namespace) as w:
        given = await w.grant()
        scope = await w.open()
        await w.do(given.change, verbs=[kept], resources=[CONFIG_MAP])
        await w.until(lambda: w.causes == ["denied"], BOUND + 1)

        with pytest.raises(ForbiddenError) as denied:
            scope.list(CONFIG_MAP)

        assert denied.value.verb != kept
        await w.cache.wait_closed()
        assert w.cache.snapshot().open_watches == 0


async def test_where_rbac_objects_may_be_watched_both_edges_take_two_seconds_at_most(
    control_plane: ControlPlane, namespace: str
) -> None:
    who = await asyncio.to_thread(control_plane.service_account, namespace, "operator")
    seeing = await asyncio.to_thread(control_plane.grant, who, READ, RBAC_KINDS)
    try:
        async with world(control_plane, namespace, who, detection_bound=60.0, rbac_watch=True) as w:
            given = await w.grant()
            await w.open()
            await w.until(lambda: w.cache.snapshot().open_watches == 5, 10)
            await w.do(given.revoke)
            lost = await w.until(lambda: w.causes == ["denied"], 5)
            await w.do(given.restore)
            healed = await w.until(lambda: w.causes == ["denied", "granted"], 5)

            assert (lost <= 2, healed <= 2) == (True, True), (lost, healed)
    finally:
        await asyncio.to_thread(seeing.revoke)


async def test_where_reviews_are_refused_both_edges_are_learnt_by_trying(own_plane: ControlPlane) -> None:
    binding = ("clusterrolebindings.rbac.authorization.k8s.io", "system:basic-user")
    everybody = (await asyncio.to_thread(own_plane.get, *binding) or {})["subjects"]
    await asyncio.to_thread(own_plane.patch, *binding, {"subjects": []})
    try:
        async with world(own_plane, "attempts") as w:
            given = await w.grant()
            scope = await w.open()
            mode = w.cache.snapshot().attempting
            limit = w.cache.bound
            await w.do(given.revoke)
            lost = await w.until(lambda: w.edges == ["denied"], limit + 1)
            with pytest.raises(ForbiddenError):
                scope.list(CONFIG_MAP)
            await w.do(given.restore)
            healed = await w.until(lambda: w.edges == ["denied", "granted"], limit + 1)
            await w.do(own_plane.patch, *binding, {"subjects": everybody})
            await w.until(lambda: not w.cache.snapshot().attempting, limit + 1)

            assert mode
            assert max(lost, healed) <= limit
            assert w.state() == "open"
    finally:
        await asyncio.to_thread(own_plane.patch, *binding, {"subjects": everybody})


async def test_a_server_that_restarts_tears_nothing_down(own_plane: ControlPlane) -> None:
    async with world(own_plane, "restarts") as w:
        await w.grant()
        scope = await w.open()
        await w.do(own_plane.apiserver.restart)
        await asyncio.sleep(BOUND)
        await w.do(own_plane.create, config_map("later"), "restarts")
        await w.until(lambda: scope.get(CONFIG_MAP, "later"), 10)

        assert (w.causes, w.state()) == ([], "open")
        assert not w.cache.snapshot().attempting


async def test_a_token_that_is_refused_for_the_bound_closes_and_a_new_one_heals(own_plane: ControlPlane) -> None:
    async with world(own_plane, "tokens") as w:
        await w.grant()
        scope = await w.open()
        await w.do(own_plane.delete, "serviceaccounts", "operator", "tokens")
        await w.until(lambda: w.causes == ["denied"], 10.1 + 2 * BOUND + 2)  # the server remembers a token for 10 s
        with pytest.raises(UnauthorizedError):
            scope.list(CONFIG_MAP)
        await w.do(
            own_plane.apply, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}, "tokens"
        )
        await w.do(w.who.refresh)
        healed = await w.until(lambda: w.causes == ["denied", "granted"], BOUND + 2)

        assert healed <= BOUND + 1


async def test_a_kind_that_is_installed_later_opens_later(control_plane: ControlPlane, namespace: str) -> None:
    name = "lates.cache.testing.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": "cache.testing.example.com",
            "scope": "Namespaced",
            "names": {"plural": "lates", "singular": "late", "kind": "Late", "listKind": "LateList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    async with world(control_plane, namespace) as w:
        given = await w.do(control_plane.grant, w.who, READ, [name], namespace=namespace)
        with pytest.raises(UnknownKindError):
            await w.cache.open(w.owner, name)
        await w.do(control_plane.apply, crd)
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        scope = await w.cache.open(w.owner, name)
                        break
                    except UnknownKindError:
                        await asyncio.sleep(0.2)

            assert scope.list(name) == []
        finally:
            await w.do(control_plane.delete, "customresourcedefinitions.apiextensions.k8s.io", name)
            await w.do(given.revoke)
