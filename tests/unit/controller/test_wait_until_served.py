"""A kind that the server does not serve yet: waited for, said once, and ready only then."""

import asyncio
import logging

import pytest

from scopedcache.controller.controller import Controller
from scopedcache.controller.mapping import Watch
from scopedcache.errors import TransportError, UnknownKindError
from tests.unit.controller.fake_cache import MEMCACHED, POD, FakeCache, memcached, pod

NOT_SERVED = UnknownKindError("the API server does not serve Memcached; check that its CRD is installed")


@pytest.fixture
def cache():
    return FakeCache()


async def run(cache, seen, *, after=60, **options):
    async def reconcile(request):
        seen.append(str(request))

    controller = Controller(for_=MEMCACHED, reconcile=reconcile, **options)
    task = asyncio.create_task(controller.run(cache))
    await asyncio.sleep(after)
    return controller, task


async def end(task):
    task.cancel()
    await asyncio.wait({task})


def lines(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.getMessage()[:4] == "kind"]


async def test_a_primary_kind_without_its_CRD_is_waited_for_and_said_in_one_line(cache, caplog):
    caplog.set_level(logging.INFO)
    cache.unserved["Memcached"] = NOT_SERVED
    seen: list[str] = []
    cache.put(memcached("m"))

    controller, task = await run(cache, seen)
    assert (controller.ready, seen) == (False, [])
    assert controller.state()["not_served"] == ["Memcached.v1alpha1.cache.example.com"]
    assert lines(caplog) == [("WARNING", "kind.not_served")]
    assert [record.exc_info for record in caplog.records if record.levelno >= logging.WARNING] == [None]

    cache.unserved.clear()
    await asyncio.sleep(5)
    assert (controller.ready, seen) == (True, ["a/m"])
    assert lines(caplog)[1:] == [("INFO", "kind.served")]
    await end(task)


async def test_each_new_reason_is_said_once(cache, caplog):
    cache.unserved["Memcached"] = TransportError("nobody answers")
    _, task = await run(cache, [])
    cache.unserved["Memcached"] = NOT_SERVED
    await asyncio.sleep(60)

    assert lines(caplog) == [("WARNING", "kind.discovery_failed"), ("WARNING", "kind.not_served")]
    await end(task)


async def test_a_watched_kind_that_is_not_served_delays_only_what_it_would_tell(cache, caplog):
    caplog.set_level(logging.INFO)
    cache.unserved["Pod"] = NOT_SERVED
    cache.put(memcached("m"))
    seen: list[str] = []

    controller, task = await run(cache, seen, after=1, watches=[Watch(POD, lambda obj: [obj.key])])
    assert (controller.ready, seen) == (True, ["a/m"])

    cache.unserved.clear()
    await asyncio.sleep(5)
    cache.put(pod("p"))
    await asyncio.sleep(1)
    assert ("INFO", "kind.served") in lines(caplog)
    await end(task)


async def test_before_its_first_informer_a_controller_is_not_ready(cache):
    cache.withheld.add(("Memcached", None))
    controller, task = await run(cache, [])

    assert controller.ready is False
    await end(task)
