"""A kind that the server does not serve yet: waited for, said once, and ready only then."""

import asyncio
import logging

from scopedcache import Controller, Watch
from scopedcache.event_logger import event_of
from tests.unit.cluster import MEMCACHED, definition, manifest, served
from tests.unit.controller.world import DEFINITIONS

GADGET = served("cache.example.com", "gadgets", "Gadget")


def uninstall(w):
    w.server.embedded.delete(DEFINITIONS, str(MEMCACHED))


def install(w, kind=MEMCACHED):
    w.server.embedded.create(definition(kind))


async def run(w, seen, *, after=60, **options):
    async def reconcile(request):
        seen.append(str(request))

    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile, **options)
    task = asyncio.create_task(controller.run(w.cache))
    await asyncio.sleep(after)
    return controller, task


async def end(task):
    task.cancel()
    await asyncio.wait({task})


def lines(caplog):
    return [(record.levelname, event_of(record)) for record in caplog.records if event_of(record)[:4] == "kind"]


async def test_a_primary_kind_without_its_CRD_is_waited_for_and_said_in_one_line(w, caplog):
    caplog.set_level(logging.INFO)
    uninstall(w)
    seen: list[str] = []

    controller, task = await run(w, seen)
    assert (controller.ready, seen) == (False, [])
    assert controller.state()["not_served"] == ["Memcached.v1.cache.example.com"]
    assert lines(caplog) == [("WARNING", "kind.not_served")]
    assert [record.exc_info for record in caplog.records if record.levelno >= logging.WARNING] == [None]

    install(w)
    w.memcached("m")
    await asyncio.sleep(5)
    assert (controller.ready, seen) == (True, ["a/m"])
    assert lines(caplog)[1:] == [("INFO", "kind.served")]
    await end(task)


async def test_each_new_reason_is_said_once(w, caplog):
    uninstall(w)
    down = w.server.trouble(refuse=True)
    _, task = await run(w, [])
    down.over()
    await asyncio.sleep(60)

    assert lines(caplog) == [("WARNING", "kind.discovery_failed"), ("WARNING", "kind.not_served")]
    await end(task)


async def test_a_watched_kind_that_is_not_served_delays_only_what_it_would_tell(w, caplog):
    caplog.set_level(logging.INFO)
    w.memcached("m")
    w.server.grant(None, GADGET)
    seen: list[str] = []

    controller, task = await run(w, seen, after=1, watches=[Watch(GADGET.gvk, lambda obj: [obj.key])])
    assert (controller.ready, seen) == (True, ["a/m"])

    install(w, GADGET)
    await asyncio.sleep(5)
    assert ("INFO", "kind.served") in lines(caplog)
    seen.clear()
    w.server.embedded.create(manifest(GADGET, "m", "a"))
    await asyncio.sleep(1)
    assert seen == ["a/m"]
    await end(task)


async def test_before_its_first_informer_a_controller_is_not_ready(w):
    w.server.silence(MEMCACHED)
    controller, task = await run(w, [])

    assert controller.ready is False
    await end(task)
