"""The blocking twins over a server: the same names, the same answers, from any thread."""

import asyncio
import queue
import threading

import pytest

import scopedcache as sc
from scopedcache import sync
from scopedcache.api.permission import Permission
from scopedcache.kit import create_or_update, patch_status
from tests.unit import cluster

MEMCACHED = cluster.MEMCACHED.gvk
POD = cluster.POD.gvk
CONFIG_MAP = cluster.CONFIG_MAP.gvk
OWNER = sc.OwnerId(MEMCACHED, sc.ObjectKey("a", "m"), "uid-m")


def pod(name="p", *, owner="uid-m", **labels):
    references = [{"apiVersion": MEMCACHED.api_version, "kind": "Memcached", "name": "m", "uid": owner}]
    return cluster.manifest(cluster.POD, name, "a", labels=labels, ownerReferences=references)


def memcached(server):
    """Create the custom resource."""
    return server.write(cluster.manifest(cluster.MEMCACHED, "m", "a"))


def status_of_memcached(server):
    return server.find(cluster.MEMCACHED, "m", "a")["status"]


@pytest.fixture
def cache(kubeconfig):
    with sync.ScopedCache.connect(kubeconfig=kubeconfig, timeout=10, detection_bound=5.0, rbac_watch=False) as cache:
        yield cache


def version_of(server):
    return server.embedded.request("GET", "/version")["gitVersion"]


def names(found):
    return sorted(entry.name for entry in found)


def test_an_owner_opens_kinds_and_reads_them(server, cache):
    server.write(pod("p", tier="front"))
    server.write(pod("q", owner="somebody", tier="back"))
    cache.add_index(POD, "tier", lambda found: [found.labels["tier"]])

    scope = cache.open(OWNER, POD)

    assert names(scope.list(POD)) == ["p", "q"]
    assert names(scope.list(POD, labels="tier=back")) == ["q"]
    assert names(scope.by_index(POD, "tier", "front")) == ["p"]
    assert names(scope.owned(POD)) == ["p"]
    assert (scope.get(POD, "p").name, scope.get(POD, "gone")) == ("p", None)
    assert (scope.owner, scope.namespace, scope.generation, scope.kinds) == (OWNER, "a", 0, ("Pod",))
    assert scope.age(POD) >= 0
    scope.check()


def test_what_is_read_as_a_model_is_of_that_type(server, cache):
    server.write(pod())
    scope = cache.open(OWNER, POD)

    assert scope.get(POD, "p", model=dict)["kind"] == "Pod"
    assert [found["kind"] for found in scope.list(POD, model=dict)] == ["Pod"]
    assert cache.client.get(POD, "p", namespace="a", model=dict)["kind"] == "Pod"


def test_a_refusal_is_raised_and_the_scope_waits(server, cache, rights):
    server.revoke(rights)

    with pytest.raises(sc.ForbiddenError, match="may not list pods in namespace a"):
        cache.open(OWNER, POD)
    assert [state.namespace for state in cache.snapshot().waiting] == ["a"]


def test_many_namespaces_are_opened_at_once_and_a_refused_one_is_its_error(server, cache, rights):
    server.revoke(rights)
    server.grant("a", cluster.POD)

    opened = cache.open_all(OWNER, POD, namespaces=(name for name in "ab"))

    assert {name: type(found) for name, found in opened.items()} == {"a": sync.ResourceCache, "b": sc.ForbiddenError}


def test_what_was_opened_is_seen_closed_and_released(server, cache):
    scope = cache.open(OWNER, POD, CONFIG_MAP)
    seen = {name: list(found) for name, found in cache.namespaces.items()}
    scope.release(CONFIG_MAP)
    with pytest.raises(sc.NotWatchedError):
        scope.list(CONFIG_MAP)
    cache.close(OWNER)
    cache.wait_closed()

    assert seen == {"a": ["uid-m"]}
    assert (dict(cache.namespaces), cache.snapshot().open_watches) == ({}, 0)
    with pytest.raises(sc.ScopeClosedError):
        scope.get(POD, "p")


def test_a_subscriber_hears_of_changes_on_the_loops_thread(server, cache):
    changes: queue.Queue[sc.OwnerChanged] = queue.Queue()
    threads = set()

    def subscriber(change):
        threads.add(threading.current_thread())
        changes.put(change)

    unsubscribe = cache.subscribe(subscriber)
    cache.open(OWNER, POD)
    server.write(pod())
    heard = changes.get(timeout=10)
    unsubscribe()

    assert (heard.key, heard.cause) == (OWNER.key, "child")
    assert threading.current_thread() not in threads


def test_an_informer_is_held_for_the_block_and_tells_its_handlers(server, cache):
    server.write(pod())
    added: queue.Queue[tuple[str, bool]] = queue.Queue()
    with cache.informer(POD, namespace="a") as handle:
        remove = handle.add_handler(sc.EventHandler(on_add=lambda obj, initial: added.put((obj.name, initial))))
        handle.wait_synced()
        assert (names(handle.list()), handle.get(("a", "p")).name) == (["p"], "p")
        assert (handle.synced, handle.denied, handle.namespace, handle.resource.gvk) == (True, None, "a", POD)
        assert handle.age >= 0
        server.write(pod("q"))
        assert [added.get(timeout=10) for _ in range(2)] == [("p", True), ("q", False)]
        remove()

    assert cache.snapshot().informers == []


def test_in_a_handler_reads_are_answered_and_what_waits_raises(server, cache):
    seen: queue.Queue[object] = queue.Queue()

    def on_add(obj, initial):
        seen.put(names(handle.list()))
        try:
            cache.client.version()
        except sc.CacheError as error:
            seen.put(type(error))

    with cache.informer(POD, namespace="a") as handle:
        handle.wait_synced()
        handle.add_handler(sc.EventHandler(on_add=on_add))
        server.write(pod())

        assert [seen.get(timeout=10) for _ in range(2)] == [["p"], sc.CacheError]


def test_cluster_wide_reads_go_to_whoever_watches_everywhere(server, cache):
    server.write(pod())
    with cache.informer(POD) as handle:
        handle.wait_synced()
        assert names(cache.cluster.list(POD)) == ["p"]
    with pytest.raises(sc.NotWatchedError):
        cache.cluster.list(POD)


def test_the_client_writes_and_the_cache_sees_it_at_once(server, cache):
    scope = cache.open(OWNER, CONFIG_MAP)
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}, "data": {"x": "1"}}

    created = cache.client.create(made)
    assert scope.get(CONFIG_MAP, "c").at("data", "x") == "1"
    cache.client.patch(CONFIG_MAP, created.key, {"data": {"x": "2"}})
    assert scope.get(CONFIG_MAP, "c").at("data", "x") == "2"
    fresh = cache.client.get(CONFIG_MAP, created.key)
    fresh["data"]["x"] = "3"
    cache.client.update(fresh)
    assert scope.get(CONFIG_MAP, "c").at("data", "x") == "3"
    assert names(cache.client.list(CONFIG_MAP, namespace="a")) == ["c"]
    assert cache.client.delete(fresh) is None
    assert scope.get(CONFIG_MAP, "c") is None


def test_the_helpers_of_the_kit_are_called_through_the_client(server, cache):
    memcached(server)
    scope = cache.open(OWNER, CONFIG_MAP)
    found = cache.client.get(MEMCACHED, "m", namespace="a")
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}}

    _, change = cache.client.call(create_or_update, wanted, lambda obj: None, read=scope.get)
    cache.client.call(patch_status, found, {"ready": True})

    assert (change, status_of_memcached(server)) == ("created", {"ready": True})


def test_a_watch_is_followed_until_its_reader_leaves(server, cache):
    server.write(pod())
    watching = cache.client.watch(POD, namespace="a")

    type_, found = next(watching)
    watching.close()

    assert (type_, found.name) == ("ADDED", "p")


def test_after_the_block_every_read_raises(server, kubeconfig):
    with sync.ScopedCache.connect(kubeconfig=kubeconfig, rbac_watch=False) as cache:
        scope = cache.open(OWNER, POD)

    for read in (lambda: scope.list(POD), cache.snapshot, cache.client.version, lambda: cache.open(OWNER, POD)):
        with pytest.raises(sc.CacheError, match="has ended"):
            read()


def test_a_client_alone_is_enough_for_requests(server, kubeconfig):
    server.write(pod())
    with sync.Client.connect(kubeconfig=kubeconfig, timeout=10) as client:
        assert (client.version(), names(client.list(POD))) == (version_of(server), ["p"])
        assert client.review_access(Permission("list", "", "pods", "a"))


def test_a_way_to_no_server_is_named_at_once(tmp_path):
    with (
        pytest.raises(sc.ConfigurationError, match="does not exist"),
        sync.ScopedCache.connect(kubeconfig=tmp_path / "none"),
    ):
        pass


# -- a cache that runs on a loop already -----------------------------------------------------------------------------


class Reconciler:
    """A reconciler as somebody writes it who knows no `await`."""

    def __init__(self, cache):
        self.cache = cache
        self.seen: queue.Queue[threading.Thread] = queue.Queue()

    def reconcile(self, request):
        memcached = self.cache.cluster.get(MEMCACHED, request.key)
        scope = self.cache.open(memcached, POD)
        self.cache.client.call(patch_status, memcached, {"nodes": names(scope.list(POD))})
        self.seen.put(threading.current_thread())


async def test_a_plain_reconcile_works_with_the_twins_of_a_running_cache(server, kubeconfig):
    server.write(pod())
    memcached(server)
    async with sc.ScopedCache.connect(kubeconfig=kubeconfig, rbac_watch=False) as cache:
        reconciler = Reconciler(sync.of(cache, timeout=10))
        running = asyncio.create_task(sc.Controller(for_=MEMCACHED, reconcile=reconciler).run(cache))
        thread = await asyncio.to_thread(reconciler.seen.get, timeout=10)
        running.cancel()
        await asyncio.wait({running})

    assert thread is not threading.current_thread()
    assert status_of_memcached(server) == {"nodes": ["p"]}


async def test_a_twin_used_on_the_loops_own_thread_raises_instead_of_waiting_for_itself(server, kubeconfig):
    async with sc.Client.connect(kubeconfig=kubeconfig) as client, sc.ScopedCache(client, rbac_watch=False) as cache:
        with pytest.raises(sc.CacheError, match="own thread"):
            sync.of(cache).open(OWNER, POD)
        with pytest.raises(sc.CacheError, match="own thread"):
            sync.of(client).version()
        assert await asyncio.to_thread(sync.of(client).version) == version_of(server)


async def test_only_what_runs_has_a_twin(server, kubeconfig):
    async with sc.Client.connect(kubeconfig=kubeconfig) as client:
        with pytest.raises(sc.CacheError, match="does not run"):
            sync.of(sc.ScopedCache(client))
        with pytest.raises(sc.CacheError, match="where its loop runs"):
            await asyncio.to_thread(sync.of, client)
