"""One reconcile after another, over a real cache and an API server of one dict."""

import asyncio
from contextlib import asynccontextmanager

import pytest

import scopedcache as sc
from examples.memcached_operator.operand import MEMCACHED, POD, selector_of
from examples.memcached_operator.reconciler import FINALIZER, MemcachedReconciler
from tests.unit.examples.objects import deployment, memcached

REQUEST = sc.Request(sc.ObjectKey("a", "m"))


@asynccontextmanager
async def reconciling(kubeconfig):
    async with (
        sc.ScopedCache.connect(kubeconfig=kubeconfig, rbac_watch=False) as cache,
        cache.informer(MEMCACHED) as lease,
    ):
        await lease.wait_synced()
        yield MemcachedReconciler(cache, cache.client)


async def shown(cache, kind, met, *, namespace=None):
    """Wait until the cache shows something."""
    changed = asyncio.Event()
    note = sc.EventHandler(on_add=lambda obj, initial: changed.set(), on_update=lambda old, new: changed.set())
    async with asyncio.timeout(10), cache.informer(kind, namespace=namespace) as lease:
        lease.add_handler(note)
        await lease.wait_synced()
        while not met(lease.list()):
            changed.clear()
            await changed.wait()


def put_memcached(api, **metadata):
    made = memcached(size=2).to_dict()
    made["metadata"] |= metadata
    return sc.Object.from_dict(api.put(made))


def roll_out(api):
    """Do what the Deployment's controller and a kubelet do."""
    found = api.find("deployments", "a", "m")
    replicas = found["spec"]["replicas"]
    found["status"] = {"observedGeneration": found["metadata"]["generation"], "availableReplicas": replicas}
    api.put(found)
    for number in range(replicas):
        metadata = {"name": f"m-{number}", "namespace": "a", "labels": found["spec"]["template"]["metadata"]["labels"]}
        api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


def status(api):
    return api.find("memcacheds", "a", "m").get("status") or {}


def reason(api):
    return [(c["type"], c["reason"]) for c in status(api).get("conditions", [])]


async def test_the_first_makes_a_Deployment_and_a_later_one_writes_nothing(api, kubeconfig):
    put_memcached(api)
    async with reconciling(kubeconfig) as reconciler:
        await reconciler.reconcile(REQUEST)
        roll_out(api)
        await shown(reconciler.cache, POD, lambda pods: len(pods) == 2, namespace="a")
        await reconciler.reconcile(REQUEST)
        first = api.writes()
        assert (reason(api), status(api)["nodes"]) == ([("Successful", "ReconcileSucceeded")], ["m-0", "m-1"])
        await shown(reconciler.cache, MEMCACHED, lambda found: found[0].at("status", "nodes"))
        await reconciler.reconcile(REQUEST)

    assert [write.split("?")[0].rpartition("/v1")[2] for write in first] == [
        "alpha1/namespaces/a/memcacheds/m",  # the finalizer
        "/namespaces/a/deployments",
        "alpha1/namespaces/a/memcacheds/m/status",
        "alpha1/namespaces/a/memcacheds/m/status",
    ]
    assert api.writes() == first
    assert api.find("memcacheds", "a", "m")["metadata"]["finalizers"] == [FINALIZER]


async def test_what_somebody_changed_is_set_right_with_one_update(api, kubeconfig):
    owner = put_memcached(api, finalizers=[FINALIZER])
    changed = deployment(owner).to_dict()
    changed["spec"]["replicas"] = 5
    changed["metadata"]["labels"] = {}
    api.put(changed)
    async with reconciling(kubeconfig) as reconciler:
        await reconciler.reconcile(REQUEST)

    found = api.find("deployments", "a", "m")
    assert (found["spec"]["replicas"], found["metadata"]["labels"]["memcached_cr"]) == (2, "m")
    assert [write.split()[0] for write in api.writes() if "/deployments" in write] == ["PUT"]


async def test_a_Deployment_of_somebody_else_is_neither_adopted_nor_changed(api, kubeconfig):
    owner = put_memcached(api, finalizers=[FINALIZER])
    foreign = deployment(owner).to_dict()
    foreign["metadata"] |= {"ownerReferences": [], "labels": selector_of(owner)}
    foreign["spec"]["replicas"] = 5
    before = api.put(foreign)
    async with reconciling(kubeconfig) as reconciler:
        await reconciler.reconcile(REQUEST)

    assert api.find("deployments", "a", "m") == before
    assert reason(api) == [("Successful", "NameTaken")]


async def test_a_refusal_is_raised_and_nothing_is_written(api, kubeconfig):
    api.denied.add("a")
    put_memcached(api, finalizers=[FINALIZER])
    async with reconciling(kubeconfig) as reconciler:
        with pytest.raises(sc.ForbiddenError, match="in namespace a"):
            await reconciler.reconcile(REQUEST)

    assert api.writes() == []


async def test_a_deletion_closes_the_cache_then_lets_the_object_go_even_while_everything_is_refused(api, kubeconfig):
    put_memcached(api, finalizers=[FINALIZER], deletionTimestamp="2026-01-01T00:00:00Z")
    api.denied.add("a")
    async with reconciling(kubeconfig) as reconciler:
        await reconciler.reconcile(REQUEST)
        assert dict(reconciler.cache.namespaces) == {}

    assert api.find("memcacheds", "a", "m") is None
    assert [write.split()[0] for write in api.writes()] == ["PATCH"]


async def test_one_that_is_gone_needs_nothing(api, kubeconfig):
    async with reconciling(kubeconfig) as reconciler:
        assert await reconciler.reconcile(REQUEST) == sc.Result()

    assert api.writes() == []
