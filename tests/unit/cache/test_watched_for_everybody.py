"""Kinds watched for everybody, in the whole cluster or in single namespaces, and what a denial of them is taken for."""

import asyncio

import pytest

from scopedcache import GVK, Object, ObjectKey, ScopedCache
from scopedcache.errors import ForbiddenError, NotSyncedError, NotWatchedError, ScopeClosedError
from scopedcache.testing import EmbeddedCluster, virtual_time
from scopedcache.testing.embedded import Fault

READ = ["get", "list", "watch"]
CONFIG_MAP, SECRET = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Secret")
OWNER = GVK("", "v1", "ServiceAccount")


@pytest.fixture
def cluster():
    with EmbeddedCluster.start(kubelet=False) as made:
        for namespace in "ab":
            made.create_namespace(namespace)
            made.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}, namespace)
        yield made


@pytest.fixture
def user(cluster):
    return cluster.user("operator")


def run(main):
    virtual_time.run(main())


def refusal(read):
    with pytest.raises(ForbiddenError) as caught:
        read()
    return caught.value


async def denied_list(cache, kind):
    """Return what a read raises once the kind is known to be denied."""
    await asyncio.sleep(5)
    return refusal(lambda: cache.cluster.list(kind))


# -- in single namespaces ------------------------------------------------------------------------------------------


def test_what_is_watched_in_a_namespace_is_read_with_the_namespace_in_the_key(cluster, user):
    async def main():
        cluster.grant(user, READ, ["configmaps"], namespace="a")
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(CONFIG_MAP, namespace="a") as handle:
            await handle.wait_synced()
            found = cache.cluster.get(CONFIG_MAP, ObjectKey("a", "one"))
            assert found is not None
            assert found.namespace == "a"
            assert cache.cluster.get("configmaps", ("a", "two")) is None
            with pytest.raises(NotWatchedError, match="in namespace b"):
                cache.cluster.get(CONFIG_MAP, ObjectKey("b", "one"))
            with pytest.raises(NotWatchedError, match="in the whole cluster"):
                cache.cluster.list(CONFIG_MAP)

    run(main)


def test_what_is_watched_in_a_namespace_is_listed_there(cluster, user):
    async def main():
        cluster.grant(user, READ, ["configmaps"], namespace="a")
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(CONFIG_MAP, namespace="a") as handle:
            await handle.wait_synced()
            lister = cache.cluster.in_namespace("a")
            assert "one" in {one.name for one in lister.list(CONFIG_MAP)}
            assert lister.get(CONFIG_MAP, "one") is not None
            with pytest.raises(NotWatchedError, match="in namespace b"):
                cache.cluster.in_namespace("b").list(CONFIG_MAP)

    run(main)


def test_a_namespace_of_what_is_watched_in_the_whole_cluster_is_listed_alone(cluster):
    async def main():
        async with ScopedCache(cluster.client()) as cache, cache.informer(CONFIG_MAP) as handle:
            await handle.wait_synced()
            assert {one.namespace for one in cache.cluster.in_namespace("a").list(CONFIG_MAP)} == {"a"}
            assert {"a", "b"} <= {one.namespace for one in cache.cluster.list(CONFIG_MAP)}
            with pytest.raises(NotWatchedError):
                cache.cluster.in_namespace("a").get(CONFIG_MAP, ObjectKey("b", "one"))

    run(main)


def test_a_namespace_that_may_not_be_seen_is_a_denial_there_and_nowhere_else(cluster, user):
    async def main():
        cluster.grant(user, READ, ["configmaps"], namespace="a")
        async with (
            ScopedCache(cluster.client(user)) as cache,
            cache.informer(CONFIG_MAP, namespace="a") as handle,
            cache.informer(CONFIG_MAP, namespace="b"),
        ):
            await handle.wait_synced()
            await asyncio.sleep(5)
            error = refusal(lambda: cache.cluster.get(CONFIG_MAP, ObjectKey("b", "one")))
            assert (error.verb, error.namespace) == ("list", "b")
            assert cache.cluster.get(CONFIG_MAP, ObjectKey("a", "one")) is not None

    run(main)


def test_what_an_owner_opened_in_its_namespace_is_not_read_from_the_cluster_cache(cluster):
    async def main():
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "owner"}}
        owner = Object.from_dict(cluster.create(body, "a"))
        async with ScopedCache(cluster.client()) as cache:
            await cache.open(owner, CONFIG_MAP)
            with pytest.raises(NotWatchedError):
                cache.cluster.get(CONFIG_MAP, ObjectKey("a", "one"))

    run(main)


# -- a denial that is remembered is an old answer ------------------------------------------------------------------


def test_a_remembered_denial_does_not_stand_against_what_was_granted_meanwhile(cluster, user):
    async def main():
        owner = owner_of(cluster)
        grant = cluster.grant(user, READ, ["secrets"])
        grant.revoke()
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(SECRET) as handle:

            def reconcile():
                try:
                    cache.cluster.list(SECRET)
                except ForbiddenError as error:
                    cache.await_grant(owner, error)
                except NotSyncedError:
                    pass  # tried again

            def told(change):
                asyncio.get_running_loop().call_soon(reconcile)

            cache.subscribe(told)
            await asyncio.sleep(5)
            reconcile()
            grant.restore()
            async with asyncio.timeout(cache.bound + 1):
                await handle.wait_synced()

    run(main)


def test_who_waits_for_what_is_there_already_is_told_at_once(cluster, user):
    async def main():
        owner = owner_of(cluster)
        grant = cluster.grant(user, READ, ["secrets"])
        grant.revoke()
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(SECRET) as handle:
            told = []
            cache.subscribe(lambda change: told.append((change.key, change.cause)))
            error = await denied_list(cache, SECRET)
            grant.restore()
            await handle.wait_synced()
            cache.await_grant(owner, error)
            assert told == [(owner.key, "granted")]

    run(main)


def test_who_waits_for_a_remembered_denial_is_told_of_the_grant(cluster, user):
    async def main():
        owner = owner_of(cluster)
        grant = cluster.grant(user, READ, ["secrets"])
        grant.revoke()
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(SECRET):
            told = []
            cache.subscribe(lambda change: told.append((change.key, change.cause)))
            cache.await_grant(owner, await denied_list(cache, SECRET))
            await asyncio.sleep(20)
            assert told == []
            grant.restore()
            await asyncio.sleep(cache.bound)
            assert told == [(owner.key, "granted")]

    run(main)


def test_a_kind_that_is_being_listed_after_a_grant_is_not_synced_rather_than_denied(cluster, user):
    async def main():
        grant = cluster.grant(user, READ, ["secrets"])
        grant.revoke()
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(SECRET) as handle:
            await denied_list(cache, SECRET)
            grant.restore()
            cluster.faults.add(Fault(latency=0.2))
            met = set()
            while not handle.synced:
                try:
                    cache.cluster.list(SECRET)
                except (ForbiddenError, NotSyncedError) as error:
                    met.add((type(error), handle.denied is not None))
                await asyncio.sleep(0.01)
            assert met == {(ForbiddenError, True), (NotSyncedError, False)}

    run(main)


def owner_of(cluster):
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "owner"}}
    return Object.from_dict(cluster.create(body, "a"))


# -- waiting for a denial ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("had", [True, False])
def test_a_handle_tells_who_waits_for_a_denial_which_right_is_missing(cluster, user, had):
    async def main():
        grant = cluster.grant(user, READ, ["secrets"])
        if not had:
            grant.revoke()
        async with ScopedCache(cluster.client(user)) as cache, cache.informer(SECRET) as handle:
            waiting = asyncio.create_task(handle.wait_denied())
            if had:
                await handle.wait_synced()
                await asyncio.sleep(10)
                assert not waiting.done()
                grant.revoke()
            denial = await waiting
            assert isinstance(denial, ForbiddenError)
            assert (denial.verb, str(handle.denied)) == ("list", str(denial))
            assert await handle.wait_denied() is not None

            grant.restore()
            await handle.wait_synced()
            again = asyncio.create_task(handle.wait_denied())
            await asyncio.sleep(10)
            assert not again.done()
            grant.revoke()
            await again

    run(main)


def test_who_waits_for_a_denial_of_a_handle_that_ends_is_told_so(cluster):
    async def main():
        async with ScopedCache(cluster.client()) as cache:
            async with cache.informer(SECRET) as handle:
                waiting = asyncio.create_task(handle.wait_denied())
                await handle.wait_synced()
            with pytest.raises(ScopeClosedError):
                await waiting

    run(main)


def test_a_handle_lists_its_keys(cluster):
    async def main():
        async with ScopedCache(cluster.client()) as cache, cache.informer(CONFIG_MAP) as handle:
            with pytest.raises(NotSyncedError):
                handle.list_keys()
            await handle.wait_synced()
            assert sorted(handle.list_keys()) == sorted(tuple(one.key) for one in handle.list())

    run(main)
