"""A controller while something is not there: a first list, its own kind, the kind of a child, its own rights."""

import asyncio
import logging
from functools import partial

import pytest

from scopedcache import Need, UnknownKindError
from scopedcache.controller.controller import Controller
from scopedcache.kinds import ObjectKey
from scopedcache.selectors import LabelSelector
from scopedcache.testing import eventually
from tests.unit.cluster import CONFIG_MAP, MEMCACHED, POD, definition, served
from tests.unit.controller.reconciling import Reconciler, running
from tests.unit.controller.world import DEFINITIONS, NAMESPACE

WIDGET = served("toys.example.org", "widgets", "Widget")
BETA = served("toys.example.org", "widgets", "Widget", version="v1beta1")


class Opener(Reconciler):
    """Opens something for each key, and notes which ones came through."""

    def __init__(self, cache, *needs, kind=MEMCACHED.gvk):
        super().__init__()
        self.cache = cache
        self.needs = needs
        self.kind = kind
        self.done = []

    def has_done(self, key):
        return key in self.done

    async def reconcile(self, request):
        self.runs.append((asyncio.get_running_loop().time(), str(request)))
        owner = self.cache.cluster.get(self.kind, request.key)
        if owner is not None:
            await self.cache.open(owner, *self.needs)
            self.done.append(str(request))


def events(caplog, name):
    return [record for record in caplog.records if getattr(record, "event", None) == name]


async def test_lists_that_hang_in_one_namespace_hold_no_worker_from_another(w, caplog):
    for number in range(5):
        w.memcached(f"m{number}", "sick")
    opener = Opener(w.cache, CONFIG_MAP)
    trouble = w.server.trouble(CONFIG_MAP, namespace="sick", code=503)
    with caplog.at_level(logging.INFO, "scopedcache.controller"):
        async with running(w, opener):
            waits = []
            for number in range(4):
                w.memcached(f"m{number}", "well")
                began = asyncio.get_running_loop().time()
                await eventually(partial(opener.has_done, f"well/m{number}"), within=60)
                waits.append(asyncio.get_running_loop().time() - began)
                await asyncio.sleep(7)
            runs = len(opener.runs)
            trouble.over()
            await asyncio.sleep(40)
            healed = sorted(key for key in opener.done if key.startswith("sick"))

    assert max(waits) < 5
    assert runs == 9  # once each: nobody tries again what is awaited
    assert healed == [f"sick/m{number}" for number in range(5)]
    assert len(events(caplog, "reconcile.waiting")) == 5
    assert events(caplog, "reconcile.failed") == []


async def test_a_kind_of_a_child_that_is_not_served_is_waited_for_without_an_error(w, caplog):
    w.memcached("m")
    w.server.grant(None, WIDGET)
    opener = Opener(w.cache, str(WIDGET))
    with caplog.at_level(logging.INFO, "scopedcache"):
        async with running(w, opener):
            await asyncio.sleep(60)
            runs = len(opener.runs)
            w.server.embedded.create(definition(WIDGET, "v1"))
            await asyncio.sleep(10)

    assert (runs, opener.done) == (1, ["a/m"])
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("name", ["widgets.toys.example.org", "versioned"])
async def test_a_controller_finds_its_own_kind_again_in_another_version_and_is_not_ready_meanwhile(w, name):
    w.server.embedded.create(definition(WIDGET, "v1beta1"))
    w.server.grant(None, WIDGET)
    kind = BETA.gvk if name == "versioned" else name
    reconciler = Reconciler()
    controller = Controller(for_=kind, reconcile=reconciler)
    task = asyncio.create_task(controller.run(w.cache))
    await asyncio.sleep(5)
    w.server.put(BETA, "first", "a")
    await asyncio.sleep(1)
    ready = controller.ready
    w.server.embedded.delete(DEFINITIONS, str(WIDGET))
    await asyncio.sleep(15)
    gone = (controller.ready, " ".join(controller.reasons))
    w.server.embedded.create(definition(WIDGET, "v1"))
    w.server.put(WIDGET, "second", "a")
    await asyncio.sleep(15)
    again = controller.ready
    task.cancel()
    await asyncio.wait([task])

    assert (ready, gone[0], again) == (True, False, name != "versioned")
    assert "does not serve" in gone[1]
    assert ("a/second" in reconciler.keys) is (name != "versioned")


async def test_an_owned_kind_that_goes_and_comes_concerns_the_keys_both_times(w, caplog):
    w.server.embedded.create(definition(WIDGET, "v1"))
    w.server.grant(None, WIDGET)
    w.memcached("m")
    reconciler = Reconciler()
    with caplog.at_level(logging.INFO, "scopedcache.controller"):
        async with running(w, reconciler, owns=[str(WIDGET)]):
            await asyncio.sleep(5)
            before = len(reconciler.runs)
            w.server.embedded.delete(DEFINITIONS, str(WIDGET))
            await asyncio.sleep(15)
            lost = len(reconciler.runs)
            with pytest.raises(UnknownKindError):
                w.cache.cluster.list(str(WIDGET))
            w.server.embedded.create(definition(WIDGET, "v1"))
            await asyncio.sleep(15)

    assert (before, lost, len(reconciler.runs)) == (1, 2, 3)
    assert len(events(caplog, "watch.denied")) == len(events(caplog, "watch.granted")) == 1


async def test_an_owned_kind_that_cannot_be_watched_is_waited_for_and_no_defect(w, caplog):
    w.memcached("m")
    w.proxy.hides_verbs = {"pods": {"watch"}}
    reconciler = Reconciler()
    with caplog.at_level(logging.INFO, "scopedcache"):
        async with running(w, reconciler, owns=["pods"]):
            await asyncio.sleep(60)
            watched = ("pods", None) in w.watched
            w.proxy.hides_verbs = {}
            await asyncio.sleep(10)
            again = ("pods", None) in w.watched

    assert (watched, again) == (False, True)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_namespace_that_leaves_while_its_own_kind_is_denied_is_closed(w):
    w.server.put(NAMESPACE, "a", labels={"team": "ours"})
    everywhere = w.rights[MEMCACHED]
    right = w.server.grant("a", MEMCACHED, verbs=("get", "list", "watch"))
    everywhere.revoke()
    owner = w.memcached("m")
    opener = Opener(w.cache, CONFIG_MAP, Need(POD, optional=True))
    async with running(w, opener, namespaces=LabelSelector.parse("team=ours")):
        await asyncio.sleep(2)
        opened = w.open_scopes
        owners = w.cache.owners(MEMCACHED.gvk, "a")
        right.revoke()
        await asyncio.sleep(30)
        while_denied = w.open_scopes
        w.server.put(NAMESPACE, "a", labels={"team": "theirs"})
        await asyncio.sleep(5)

        assert opened == while_denied == {ObjectKey("a", "m")}
        assert [(one.uid, one.key) for one in owners] == [(owner.uid, owner.key)]
        assert (w.open_scopes, w.cache.owners(MEMCACHED.gvk, "a")) == (set(), [])
        assert w.server.open(CONFIG_MAP, POD) == 0
