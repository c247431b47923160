"""The public API as type checkers see it; mypy and pyright read this file, nothing runs it.

A line that ends with two ignore comments must be an error to both: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import assert_type

import aiohttp.web

import scopedcache as sc
from scopedcache import sync, web
from scopedcache.controller import Controller, Manager, generation_changed
from scopedcache.kit import (
    Change,
    Copied,
    LabelRoute,
    Places,
    Program,
    Rights,
    Rule,
    Setup,
    allocate,
    apply,
    crd,
    create_or_update,
    delete_finalized,
    expire,
    in_each,
    namespaces_elsewhere,
    new_object,
    patch_status,
    place_in_each,
    prune,
    quantity,
    quantity_text,
    replicate,
    selected_places,
    set_condition,
)

POD = sc.GVK("", "v1", "Pod")


class Model:
    """What somebody decodes into."""


async def a_cache_is_connected_with_options_that_exist() -> None:
    async with sc.ScopedCache.connect(context="kind", detection_bound=10.0, cluster_wide={POD}) as cache:
        assert_type(cache, sc.ScopedCache)
    sc.ScopedCache.connect(detection_bund=3.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    sc.ScopedCache.connect(detection_bound="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sync.ScopedCache.connect(detection_bund=3.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    sync.Client.connect(contxt="kind")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def what_is_read_has_a_type(cache: sc.ScopedCache, owner: sc.Object) -> None:
    scope = await cache.open(owner, "pods", sc.Need(POD, verbs=("create",)))
    assert_type(scope, sc.ResourceCache)
    assert_type(scope.get(POD, "name"), sc.Object | None)
    assert_type(scope.get(POD, sc.ObjectKey("a", "b"), model=Model), Model | None)
    assert_type(scope.list(POD, labels="app=web"), Sequence[sc.Object])
    assert_type(scope.list(POD, model=Model), Sequence[Model])
    assert_type(scope.list(POD)[0], sc.Object)
    assert_type(scope.owned(POD)[0].labels, Mapping[str, str])
    assert_type(cache.namespaces["a"]["uid"], sc.ResourceCache)
    scope.get(POD)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    str(scope.get(POD, "name").name)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    scope.list(POD, label="app=web")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def what_the_server_answers_has_a_type(client: sc.Client) -> None:
    pods = await client.list("pods", namespace="a")
    assert_type(pods[0], sc.Object)
    assert_type(pods[1:], tuple[sc.Object, ...])
    assert_type(pods.resource_version, str)
    assert_type(await client.get(POD, "a", namespace="b"), sc.Object)
    assert_type(await client.get(POD, "a", namespace="b", model=Model), Model)
    assert_type(await client.patch(POD, "a", {"metadata": {}}, namespace="b"), sc.Object)
    assert_type(await client.delete(POD, "a", namespace="b"), sc.Object | None)
    async for change, pod in client.watch(POD):
        assert_type(change, str)
        assert_type(pod, sc.Object)
    await client.patch(POD, "a", {}, type="strategc")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.get("pods", "a", propagation="Orphan")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def reconcile(request: sc.Request) -> sc.Result:
    assert_type(request.key, sc.ObjectKey)
    return sc.Result(requeue_after=1.0)


def plain(request: sc.Request) -> None:
    sc.Result(requeue_after="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Reconciler:
    """An object with a reconcile method."""

    async def reconcile(self, request: sc.Request) -> sc.Result | None:
        return None


def a_controller_takes_every_form_of_reconciler(client: sc.Client, cache: sc.ScopedCache) -> None:
    controllers = [
        Controller(for_=POD, reconcile=reconcile, predicates=[generation_changed()]),
        Controller(for_=POD, reconcile=plain, owns=["pods"], namespaces=["a"]),
        Controller(for_=POD, reconcile=Reconciler(), deadline=None),
    ]
    Manager(cache, controllers=controllers)
    Controller(for_=POD, reconcile=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Controller(for_=POD, reconcile=reconcile, worker=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def helpers_of_the_kit_have_types(client: sc.Client, pod: sc.Object) -> None:
    assert_type(await patch_status(client, pod, {"phase": "Running"}), sc.Object)
    set_condition([], "Ready", True, reason="Here", message="")
    obj, change = await create_or_update(client, pod, lambda wanted: None)
    assert_type(obj, sc.Object)
    assert_type(change, Change)
    await create_or_update(client, pod, print, reed=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    applied, _ = await apply(client, pod, recreate_on_immutable="spec.scopes")
    assert_type(applied, sc.Object)
    assert_type(await delete_finalized(client, pod, "example.com/f"), bool)
    assert_type(await expire(client, pod, None), float | None)
    assert_type(quantity("1Gi"), Decimal)
    assert_type(quantity_text(quantity("1Gi")), str)
    await apply(client, pod, reed=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def a_program_has_types(client: sc.Client, key: sc.ObjectKey, cache: sc.ScopedCache) -> None:
    def assemble(setup: Setup) -> list[Controller]:
        assert_type(setup.cache, sc.ScopedCache)
        return [Controller(for_=POD, reconcile=reconcile, watches=[sc.Watch("pods", setup.every(POD))])]

    program = Program(assemble, name="printer", rights=Rights(cluster=[Rule("pods", "list watch")]))
    assert_type(program.main(["--help"]), int)
    Program(assemble)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Program(len, name="printer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    crd("example.com", "v1", "Widget", int, scope="Everywhere")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await allocate(client, key, ["1"], [key], read=cache.cluster.get), dict[sc.ObjectKey, str])
    assert_type(new_object(POD, "web", "app"), sc.Object)


async def reconcile_nothing(request: sc.Request) -> None: ...


async def many_namespaces_keep_the_type_of_the_work(cache: sc.ScopedCache, owner: sc.Object) -> None:
    async def count(scope: sc.ResourceCache) -> int:
        return len(scope.list(POD))

    async def remove(scope: sc.ResourceCache) -> None:
        await prune(cache.client, scope, POD, [], ours=LabelRoute("example.com/owner", uid=owner.uid))

    places = await in_each(cache, owner, [POD], ["a"], count)
    assert_type(places, Places[int])
    assert_type(places.done["a"], int)
    assert_type(places.denied["a"], sc.ForbiddenError)
    placed = await place_in_each(cache, owner, [POD], ["a"], count, remove, finalizer="example.com/f")
    assert_type(placed.done["a"], int)
    await in_each(cache, owner, [POD], ["a"], len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    clusters = sc.Clusters(secrets=sc.ClusterSecrets("fleet", {"fleet": "member"}))
    everywhere = selected_places(cache, owner, [{"app": "web"}], clusters)
    assert_type((await in_each(cache, owner, [POD], everywhere, count, clusters=clusters)).done, Mapping[str, int])
    controller = sc.Controller(for_=POD, reconcile=reconcile_nothing)
    assert_type(namespaces_elsewhere(controller, clusters), list[sc.Controller])
    cache.close(owner, namespace="a")
    await cache.open_all(owner, POD, namespaces=["a"], exclusive=True)
    scope = await cache.open(owner, sc.Need(POD, told_of="name", route=lambda pod: [pod.name, pod.key]))
    assert_type(await replicate(cache.client, owner, scope, ours=LabelRoute("a", uid="u")), Copied)


def controllers_have_settings(reconcile: sc.Controller, key: sc.ObjectKey) -> None:
    sc.Watch.selecting("namespaces", lambda obj: obj.at("spec", "selector"))
    sc.Watch(POD, lambda obj: [obj.key], name="one", selector="app=web")
    sc.Sharding("operator", namespace="system", identity="pod", lease_duration=30.0)
    sc.ControllerRing("operator", namespace="system", shard="pod", lease_duration=30.0)
    sc.Sharding("operator")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    sc.LeaderElection("lease", namespace="system", priority=0)
    sc.LeaderElection("lease", namespace="system", priority="0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def errors_carry_what_a_program_wants(error: sc.ForbiddenError) -> None:
    assert_type(error.verb, str)
    assert_type(error.resource, str)
    assert_type(error.namespace, str | None)
    assert_type(error.cached, bool)
    str(error.verbs)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]


def the_blocking_twins_have_the_same_types(cache: sync.ScopedCache, owner: sc.Object) -> None:
    scope = cache.open(owner, POD)
    assert_type(scope.get(POD, "name"), sc.Object | None)
    assert_type(scope.list(POD)[0], sc.Object)
    scope.get(POD)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def what_decides_about_writes_is_plain(client: sc.Client) -> None:
    def decide(request: web.AdmissionRequest) -> web.Verdict:
        assert_type(request.obj, sc.Object | None)
        return web.patched(request, lambda draft: None) if request.dry_run else web.deny("no")

    async def handler(request: aiohttp.web.Request, caller: web.Caller) -> aiohttp.web.StreamResponse:
        assert_type(caller.groups, frozenset[str])
        return await web.forward(client, request, own_name=True, query=[("limit", "5")])

    web.Server(
        ":0", [aiohttp.web.post("/", web.admission(decide)), aiohttp.web.get("/", web.for_caller(client, handler))]
    )
    web.admission(lambda request: True)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]


async def owners_are_served_as_somebody(client: sc.Client, owner: sc.Object) -> None:
    cache = sc.ScopedCache(client, identity=lambda owner: sc.ServiceAccount(owner.namespace, owner.name))
    scope = await cache.open(owner, sc.Need(POD, identity=None))
    assert_type(scope.client, sc.Client)
    assert_type(scope.client.identity, sc.As | sc.ServiceAccount | None)
    assert_type(client.acting_as(sc.As("alice", groups=["dev"], extra={"scopes": "one"})), sc.Client)
    sc.Need(POD, identity="alice")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def clusters_are_had_by_name(cache: sc.ScopedCache, client: sc.Client, request: sc.Request) -> None:
    clusters = sc.Clusters({"east": client}, secrets=sc.ClusterSecrets("fleet", "team=a"))
    assert_type(clusters[request.cluster].cache, sc.ScopedCache)
    sc.Manager(cache, clusters=clusters)
    sc.Manager(cache, clusters={"east": client})
