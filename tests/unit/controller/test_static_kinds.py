"""Kinds that a controller declares (`owns=`, `watches=`) follow the rights as opened kinds do, on the embedded cluster.

Both edges are told to every key concerned, people are told once, and nothing runs hot.
"""

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager

import pytest

from scopedcache import GVK, Controller, Manager, Object, ObjectKey, ScopedCache, Watch
from scopedcache.errors import ForbiddenError, UnknownKindError
from scopedcache.event_logger import event_of
from scopedcache.testing import EmbeddedCluster, eventually, virtual_time
from tests.unit.cluster import MEMCACHED, definition

ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]
CONFIG_MAP, SECRET = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Secret")
OWN, OWNED, OTHER = "configmaps", "secrets", "services"
# Opening after a grant takes requests, and those take time.
SLACK = 1.0


class Admin:
    """A cluster with a user, and the hand that changes the user's rights."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.user = cluster.user("operator")

    def grant(self, *kinds, namespace=None, verbs=ALL):
        return self.cluster.grant(self.user, verbs, list(kinds), namespace=namespace)

    def primary(self, name="one", namespace="default"):
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        return Object.from_dict(self.cluster.create(manifest, namespace))


class Operator:
    """Reads the kinds it is told to in every reconcile, and notes each run as (second, key, what it met)."""

    def __init__(self, cache, reads=(), takes=0.0, **options):
        self.cache, self.reads, self.takes = cache, reads, takes
        self.runs = []
        self.controller = Controller(for_=CONFIG_MAP, reconcile=self, **options)

    async def reconcile(self, request):
        met = "nothing"
        try:
            for kind in self.reads:
                self.cache.cluster.list(kind)
        except ForbiddenError:
            met = "denial"
            raise
        finally:
            self.runs.append((now(), str(request), met))
            await asyncio.sleep(self.takes)

    def since(self, moment):
        return [(key, met) for second, key, met in self.runs if second >= moment]

    @property
    def informers(self):
        return {(one["kind"], one["namespace"]): one for one in self.controller.state()["informers"]}


def now():
    return asyncio.get_running_loop().time()


@pytest.fixture
def admin():
    with EmbeddedCluster.start(kubelet=False) as cluster:
        yield Admin(cluster)


@asynccontextmanager
async def operated(admin, *, reads=(), takes=0.0, **options):
    async with ScopedCache(admin.cluster.client(admin.user)) as cache:
        operator = Operator(cache, reads, takes, **options)
        task = asyncio.create_task(operator.controller.run(cache))
        await asyncio.sleep(10)
        yield operator
        task.cancel()
        await asyncio.wait([task])


@contextmanager
def lines(caplog, *events):
    caplog.set_level(logging.INFO, "scopedcache.controller")
    caplog.clear()
    found: list[tuple[str, str, str, str | None]] = []
    yield found
    found += [(r.levelname, event_of(r), r.kind, r.namespace) for r in caplog.records if event_of(r) in events]


def run(main):
    virtual_time.run(main())


# -- both edges ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [(OWNED,), (OWNED, OTHER)])
@pytest.mark.parametrize("had", [True, False])
def test_an_owned_kind_heals_after_a_grant_and_nothing_runs_hot(admin, kinds, had):
    async def main():
        admin.grant(OWN)
        admin.primary()
        grant = admin.grant(*kinds)
        if not had:
            grant.revoke()
        async with operated(admin, owns=kinds, reads=kinds) as operator:
            if had:
                grant.revoke()
            await asyncio.sleep(60)
            assert len(operator.runs) < 10, operator.runs
            assert operator.runs[-1][2] == "denial"

            grant.restore()
            granted, before = now(), len(operator.runs)
            await asyncio.sleep(operator.cache.bound + SLACK)
            assert operator.runs[-1][2] == "nothing", operator.runs[before:]
            await asyncio.sleep(60)
            assert len(operator.since(granted)) < 10, operator.runs[before:]
            assert all(one["synced"] for one in operator.informers.values())

    run(main)


def test_every_owner_is_reconciled_when_an_owned_kind_is_lost_and_when_it_is_back(admin):
    async def main():
        admin.grant(OWN)
        grant = admin.grant(OWNED)
        for number in range(30):
            admin.primary(f"m{number}")
        keys = {f"default/m{number}" for number in range(30)}
        async with operated(admin, owns=[OWNED]) as operator:
            for turn in (grant.revoke, grant.restore):
                turn()
                since = now()
                await asyncio.sleep(operator.cache.bound + SLACK)
                assert sorted(key for key, _ in operator.since(since)) == sorted(keys)

    run(main)


def test_a_kind_with_a_mapper_concerns_every_owner(admin):
    async def main():
        admin.grant(OWN)
        grant = admin.grant(OWNED)
        admin.primary("one")
        admin.primary("two", "kube-system")
        async with operated(admin, watches=[Watch(SECRET, lambda secret: [ObjectKey("default", "one")])]) as operator:
            since = now()
            grant.revoke()
            await asyncio.sleep(operator.cache.bound + SLACK)
            assert sorted(operator.since(since)) == [("default/one", "nothing"), ("kube-system/two", "nothing")]

    run(main)


def test_an_owned_kind_lost_in_one_namespace_concerns_the_owners_there_alone(admin):
    async def main():
        grants = {}
        for name in "ab":
            admin.cluster.create_namespace(name)
            admin.grant(OWN, namespace=name)
            grants[name] = admin.grant(OWNED, namespace=name)
            admin.primary("m", name)
        async with operated(admin, namespaces=["a", "b"], owns=[OWNED]) as operator:
            for turn in (grants["a"].revoke, grants["a"].restore):
                turn()
                since = now()
                await asyncio.sleep(operator.cache.bound + SLACK)
                assert operator.since(since) == [("a/m", "nothing")]

    run(main)


def test_what_changes_overtakes_the_owners_that_a_lost_kind_concerns(admin):
    async def main():
        admin.grant(OWN)
        grant = admin.grant(OWNED)
        for number in range(10):
            admin.primary(f"m{number}")
        async with operated(admin, owns=[OWNED], takes=1.0) as operator:
            await asyncio.sleep(10)
            since = now()
            grant.revoke()
            await eventually(lambda: len(operator.since(since)) == 2)
            admin.primary("new")
            await asyncio.sleep(20)
            keys = [key for key, _ in operator.since(since)]
            assert (keys.index("default/new") < 5, len(keys)) == (True, 11)

    run(main)


def test_a_kind_that_is_lost_while_a_reconcile_runs_is_reconciled_once_more(admin):
    async def main():
        admin.grant(OWN)
        grant = admin.grant(OWNED)
        admin.primary()
        async with ScopedCache(admin.cluster.client(admin.user)) as cache:
            runs = []

            async def reconcile(request):
                cache.cluster.list(OWNED)
                runs.append(now())
                await asyncio.sleep(20)

            controller = Controller(for_=CONFIG_MAP, reconcile=reconcile, owns=[OWNED])
            task = asyncio.create_task(controller.run(cache))
            await asyncio.sleep(5)
            grant.revoke()
            await asyncio.sleep(10)
            grant.restore()
            await asyncio.sleep(60)
            assert len(runs) == 2
            task.cancel()
            await asyncio.wait([task])

    run(main)


class Refused(Operator):
    """Notes what every reconcile was refused for."""

    async def reconcile(self, request):
        met = "nothing"
        try:
            self.cache.cluster.list(self.reads[0])
        except (ForbiddenError, UnknownKindError) as error:
            met = error.subject if isinstance(error, ForbiddenError) else "not served"
            raise
        finally:
            self.runs.append((now(), str(request), met))


@asynccontextmanager
async def refused(admin, kind, seconds=10):
    async with ScopedCache(admin.cluster.client(admin.user)) as cache:
        operator = Refused(cache, [kind], owns=[kind])
        task = asyncio.create_task(operator.controller.run(cache))
        await asyncio.sleep(seconds)
        yield operator
        task.cancel()
        await asyncio.wait([task])


def test_owners_of_a_kind_that_is_not_served_hear_that_they_may_not_see_it_once_it_is(admin):
    """Its right was lost while nobody served it: that is another thing to say, and another to mend."""

    async def main():
        admin.grant(OWN)
        admin.primary()
        crd = definition(MEMCACHED)
        admin.cluster.create(crd)
        grant = admin.grant(str(MEMCACHED))
        async with refused(admin, str(MEMCACHED)) as operator:
            admin.cluster.delete("customresourcedefinitions.apiextensions.k8s.io", crd["metadata"]["name"])
            await asyncio.sleep(60)
            assert operator.runs[-1][2] == "not served"
            grant.revoke()
            await asyncio.sleep(30)
            admin.cluster.create(crd)
            await asyncio.sleep(60)
            assert operator.runs[-1][2] == f"list {MEMCACHED} at the cluster scope"
            grant.restore()
            await asyncio.sleep(30)
            assert (operator.runs[-1][2], len(operator.runs) < 20) == ("nothing", True)

    run(main)


def test_owners_hear_which_right_is_missing_still_when_one_of_two_is_back(admin):
    async def main():
        admin.grant(OWN)
        admin.primary()
        grant = admin.grant(OWNED)
        async with refused(admin, OWNED) as operator:
            grant.revoke()
            await asyncio.sleep(30)
            lost = operator.runs[-1][2]
            admin.grant(OWNED, verbs=["list"])
            await asyncio.sleep(30)
            assert (lost, operator.runs[-1][2]) == (
                "list secrets at the cluster scope",
                "watch secrets at the cluster scope",
            )

    run(main)


# -- people are told -----------------------------------------------------------------------------------------------


def test_people_are_told_once_of_a_loss_and_once_of_the_gain(admin, caplog):
    async def main():
        admin.grant(OWN)
        grant = admin.grant(OWNED)
        admin.primary()
        async with operated(admin, owns=[OWNED], reads=[OWNED]) as operator:
            with lines(caplog, "watch.denied", "watch.granted") as told:
                grant.revoke()
                await asyncio.sleep(60)
            assert told == [("WARNING", "watch.denied", "secrets", None)]
            with lines(caplog, "watch.denied", "watch.granted") as told:
                grant.restore()
                await asyncio.sleep(60)
            assert told == [("INFO", "watch.granted", "secrets", None)]
            assert operator.informers["secrets", None]["denied"] is None

    run(main)


def test_people_are_told_of_a_kind_that_was_never_allowed(admin, caplog):
    async def main():
        admin.grant(OWN)
        with lines(caplog, "watch.denied") as told:
            async with operated(admin, owns=[OWNED]) as operator:
                denied = operator.informers["secrets", None]["denied"]
        assert told == [("WARNING", "watch.denied", "secrets", None)]
        assert "may not list secrets" in denied

    run(main)


def test_people_are_told_of_the_loss_of_the_controllers_own_kind(admin, caplog):
    async def main():
        grant = admin.grant(OWN)
        with lines(caplog, "watch.denied", "watch.granted") as told:
            async with operated(admin):
                grant.revoke()
                await asyncio.sleep(20)
                grant.restore()
                await asyncio.sleep(20)
        assert told == [
            ("WARNING", "watch.denied", "configmaps", None),
            ("INFO", "watch.granted", "configmaps", None),
        ]

    run(main)


# -- ready, and degraded -------------------------------------------------------------------------------------------


@asynccontextmanager
async def managed(admin, **options):
    async with ScopedCache(admin.cluster.client(admin.user)) as cache:

        async def reconcile(request):
            return None

        manager = Manager(cache, controllers=[Controller(for_=CONFIG_MAP, reconcile=reconcile, **options)])
        stop = asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        await asyncio.sleep(10)
        yield manager
        stop.set()
        await task


def test_a_denied_owned_kind_is_degraded_with_its_reason_and_leaves_the_operator_ready(admin):
    async def main():
        admin.grant(OWN)
        async with managed(admin, owns=[OWNED]) as manager:
            state = manager.state()
            assert (manager.ready, state["degraded"]) == (True, True)
            assert any("may not list secrets" in reason for reason in state["reasons"])

    run(main)


def test_one_denied_namespace_is_degraded_with_its_reason_and_leaves_the_operator_ready(admin):
    async def main():
        for name in "ab":
            admin.cluster.create_namespace(name)
        admin.grant(OWN, namespace="a")
        grant = admin.grant(OWN, namespace="b")
        grant.revoke()
        async with managed(admin, namespaces=["a", "b"]) as manager:
            state = manager.state()
            assert (manager.ready, state["degraded"]) == (True, True)
            assert any("configmaps in namespace b" in reason for reason in state["reasons"])

            grant.restore()
            await asyncio.sleep(10)
            state = manager.state()
            assert (manager.ready, state["degraded"], state["reasons"]) == (True, False, [])

    run(main)


def test_an_operator_that_sees_its_kind_nowhere_is_not_ready(admin):
    async def main():
        for name in "ab":
            admin.cluster.create_namespace(name)
        grant = admin.grant(OWN, namespace="a")
        async with managed(admin, namespaces=["a", "b"]) as manager:
            assert manager.ready
            grant.revoke()
            await asyncio.sleep(10)
            assert (manager.ready, manager.state()["degraded"]) == (False, True)

    run(main)


# -- rights in single namespaces -----------------------------------------------------------------------------------


def test_with_rights_in_one_of_two_namespaces_the_other_is_waited_for(admin):
    async def main():
        grants = {}
        for name in "ab":
            admin.cluster.create_namespace(name)
            grants[name] = admin.grant(OWN, OWNED, namespace=name)
            admin.primary("m", name)
        grants["b"].revoke()
        async with ScopedCache(admin.cluster.client(admin.user)) as cache:
            done = []

            async def reconcile(request):
                owner = cache.cluster.get(CONFIG_MAP, request.key)
                assert owner is not None
                await cache.open(owner, SECRET)
                done.append(str(request))

            controller = Controller(for_=CONFIG_MAP, reconcile=reconcile, namespaces=["a", "b"])
            task = asyncio.create_task(controller.run(cache))
            await asyncio.sleep(30)
            assert done == ["a/m"]
            grants["b"].restore()
            await asyncio.sleep(cache.bound + SLACK)
            assert done == ["a/m", "b/m"]
            task.cancel()
            await asyncio.wait([task])

    run(main)
