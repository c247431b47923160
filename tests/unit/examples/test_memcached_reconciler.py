"""One reconcile after another, over a cache of the embedded cluster, in virtual time."""

from contextlib import asynccontextmanager

import pytest

import scopedcache as sc
from examples.memcached_operator.operand import selector_of
from examples.memcached_operator.reconciler import FINALIZER, MemcachedReconciler
from scopedcache.testing import eventually
from scopedcache.testing.virtual_time import idle
from tests.unit.cluster import DEPLOYMENT, OPERATOR, POD, REVIEWS, Cluster
from tests.unit.examples.conftest import begin
from tests.unit.examples.objects import CRD, MEMCACHEDS, deployment, manifest

REQUEST = sc.Request(sc.ObjectKey("a", "m"))


@asynccontextmanager
async def reconciling(server):
    async with (
        server.client() as client,
        sc.ScopedCache(client, rbac_watch=False) as cache,
        cache.informer(MEMCACHEDS) as handle,
    ):
        await handle.wait_synced()
        yield MemcachedReconciler(cache, client)


def writes(server):
    """Return what the operator wrote, in order."""
    verbs = ("create", "update", "patch", "delete")
    found = server.embedded.audit.requests(user=OPERATOR)
    return [
        f"{one.verb} {one.resource}" + (f"/{one.subresource}" if one.subresource else "")
        for one in found
        if one.verb in verbs and one.resource not in REVIEWS
    ]


def the(server, kind):
    found = server.find(kind, "m", "a")
    assert found is not None
    return found


def status(server):
    return the(server, MEMCACHEDS).get("status") or {}


def reason(server):
    return [(c["type"], c["reason"]) for c in status(server).get("conditions", [])]


def written(data, **metadata):
    """Return an object as somebody writes it, of one as the server has it."""
    kept = {name: value for name, value in data["metadata"].items() if name not in ("uid", "resourceVersion")}
    return {**data, "metadata": {**kept, **metadata}}


async def test_the_first_makes_a_Deployment_and_a_later_one_writes_nothing():
    with Cluster.running(controllers=True, definitions=[CRD]) as server:
        begin(server)
        server.write(manifest(size=2))
        async with reconciling(server) as reconciler:
            await reconciler.reconcile(REQUEST)
            await eventually(lambda: the(server, DEPLOYMENT)["status"].get("availableReplicas") == 2)
            await reconciler.reconcile(REQUEST)
            first = writes(server)
            assert reason(server) == [("Successful", "ReconcileSucceeded")]
            assert status(server)["nodes"] == sorted(server.names(POD, "a"))
            await idle()
            await reconciler.reconcile(REQUEST)

        assert first == [
            "patch memcacheds.cache.example.com",  # the finalizer
            "create deployments.apps",
            "patch memcacheds.cache.example.com/status",
            "patch memcacheds.cache.example.com/status",
        ]
        assert writes(server) == first
        assert the(server, MEMCACHEDS)["metadata"]["finalizers"] == [FINALIZER]


async def test_what_somebody_changed_is_set_right_with_one_update(server, rights):
    owner = server.write(manifest(size=2, finalizers=[FINALIZER]))
    changed = written(deployment(owner).to_dict(), labels={})
    changed["spec"]["replicas"] = 5
    server.write(changed)
    async with reconciling(server) as reconciler:
        await reconciler.reconcile(REQUEST)

    found = the(server, DEPLOYMENT)
    assert (found["spec"]["replicas"], found["metadata"]["labels"]["memcached_cr"]) == (2, "m")
    assert [write for write in writes(server) if "deployments" in write] == ["update deployments.apps"]


async def test_a_Deployment_of_somebody_else_is_neither_adopted_nor_changed(server, rights):
    owner = server.write(manifest(size=2, finalizers=[FINALIZER]))
    foreign = written(deployment(owner).to_dict(), ownerReferences=[], labels=selector_of(owner))
    foreign["spec"]["replicas"] = 5
    server.write(foreign)
    before = the(server, DEPLOYMENT)
    async with reconciling(server) as reconciler:
        await reconciler.reconcile(REQUEST)

    assert the(server, DEPLOYMENT) == before
    assert reason(server) == [("Successful", "NameTaken")]


async def test_a_refusal_is_raised_and_nothing_is_written(server, rights):
    server.revoke(rights)
    server.write(manifest(finalizers=[FINALIZER]))
    async with reconciling(server) as reconciler:
        with pytest.raises(sc.ForbiddenError, match="in namespace a"):
            await reconciler.reconcile(REQUEST)

    assert writes(server) == []


async def test_a_deletion_closes_the_cache_then_lets_the_object_go_even_while_everything_is_refused(server, rights):
    server.write(manifest(finalizers=[FINALIZER]))
    server.remove(MEMCACHEDS, "m", "a")
    server.revoke(rights)
    async with reconciling(server) as reconciler:
        await reconciler.reconcile(REQUEST)
        assert dict(reconciler.cache.namespaces) == {}

    assert server.find(MEMCACHEDS, "m", "a") is None
    assert writes(server) == ["patch memcacheds.cache.example.com"]


async def test_one_that_is_gone_needs_nothing(server, rights):
    async with reconciling(server) as reconciler:
        assert await reconciler.reconcile(REQUEST) == sc.Result()

    assert writes(server) == []
