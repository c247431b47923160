"""What is declared is emitted, under the names that people know, and the page is what Prometheus reads."""

import asyncio
from contextlib import suppress

import pytest

from scopedcache import ForbiddenError, ScopedCache, TerminalError
from scopedcache.controller import Controller, LeaderElection, Manager, Result
from scopedcache.controller.manager.prometheus_page import prometheus_page
from scopedcache.metrics import (
    BOUND,
    CACHED_OBJECTS,
    DECLARED,
    DENIED_SINCE,
    DETECTION_SECONDS,
    QUEUE_SECONDS,
    RECONCILES,
    RELISTS,
    REQUESTS,
    RIGHTS,
    SCOPES,
    WATCH_EVENTS,
    Counters,
)
from tests.unit.clock import after
from tests.unit.cluster import CONFIG_MAP, DEPLOYMENT, LEASE, MEMCACHED, POD


class Reconciler:
    """Opens Pods, and ends in the way that an object is called."""

    def __init__(self, cache, owners):
        self._cache = cache
        self._owners = owners

    async def reconcile(self, request):
        match request.name:
            case "terminal":
                raise TerminalError("never again")
            case "error":
                raise ValueError("a bug")
            case "slow":
                await asyncio.sleep(1e6)
        await self._cache.open(self._owners[request.name], POD)
        return Result(requeue_after=60)


async def operated(w):
    """Let an operator live through everything that is counted; return its numbers as of a scrape."""
    owners = {name: w.memcached(name) for name in ("ok", "terminal", "error", "slow")}
    reconciler = Reconciler(w.cache, owners)
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconciler, workers=4, deadline=5.0)
    manager = Manager(
        w.cache, controllers=[controller], leader_election=LeaderElection("lease", namespace="system", identity="me")
    )
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    await asyncio.sleep(20)
    w.pod(owner=owners["ok"])
    w.server.revoke(w.rights[POD])
    lost = w.server.trouble(LEASE, code=503)
    with suppress(ForbiddenError):
        await w.client.list(DEPLOYMENT, namespace="a")
    await asyncio.sleep(20)
    lost.over()
    manager.report(manager.instrumentation)
    stop.set()
    await task
    return manager.instrumentation


async def test_what_is_declared_is_emitted_and_nothing_else(w):
    counters = await operated(w)
    emitted = {sample.name for sample in counters} | {one.name for one in counters.distributions()}

    assert sorted(emitted) == sorted(DECLARED)


async def test_every_series_has_the_labels_that_are_declared(w):
    counters = await operated(w)
    series = [*counters, *counters.distributions()]
    wrong = {
        one.name: one.labels for one in series if {label for label, _ in one.labels} != {*DECLARED[one.name].labels}
    }

    assert wrong == {}


async def test_the_numbers_of_a_cache_need_no_wiring(w):
    counters = await operated(w)

    assert counters.value(CACHED_OBJECTS, kind=str(MEMCACHED)) == 4
    assert counters.value(RIGHTS, verdict="denied") == 2
    assert counters.value(SCOPES, state="waiting") == 1
    assert counters.value(BOUND) > 1
    assert counters.value(WATCH_EVENTS, kind=str(POD)) > 0  # of an informer that is closed
    assert counters.value(REQUESTS, code="200", method="GET") > 5
    assert counters.value(DETECTION_SECONDS) == 2
    assert counters.value(DENIED_SINCE, verb="list", resource="pods") > 1_000_000_000


async def test_what_a_cache_would_like_for_itself_is_no_denied_right(w):
    counters = Counters()
    async with ScopedCache(w.client, rbac_watch=True) as cache:
        await after(5)
        cache.report(counters)

    assert counters.value(RIGHTS) == 0


async def test_runs_are_counted_by_how_they_ended(w):
    counters = await operated(w)
    ended = {result: counters.value(RECONCILES, result=result) for result in ("terminal", "timeout", "requeue_after")}

    assert ended["terminal"] == 1
    assert ended["timeout"] >= 1
    assert ended["requeue_after"] >= 1
    assert counters.value(RECONCILES, result="forbidden") >= 1
    assert counters.value(QUEUE_SECONDS) >= counters.value(RECONCILES)


async def test_a_number_whose_subject_is_gone_is_gone(w):
    counters = Counters()
    owner = w.memcached()
    await w.cache.open(owner, CONFIG_MAP)
    w.cache.report(counters)
    before = counters.value(SCOPES, state="open")
    w.cache.close(owner)
    w.cache.report(counters)

    assert (before, counters.value(SCOPES), [s for s in counters if s.name == CACHED_OBJECTS]) == (1, 0, [])
    assert counters.value(RELISTS, kind=str(CONFIG_MAP)) == 0


def test_the_page_has_help_type_and_series_of_each_sort():
    counters = Counters()
    counters.increment(RECONCILES, 2, controller="m", result="success")
    counters.set("own_gauge", float("inf"), label='a"b\\c\nd')
    counters.observe(DETECTION_SECONDS, 4.0)
    page, content_type = prometheus_page(counters)
    lines = page.decode().splitlines()

    assert content_type.startswith("text/plain; version=")
    assert 'controller_runtime_reconcile_total{controller="m",result="success"} 2.0' in lines
    assert "# HELP controller_runtime_reconcile_total Reconciles that ended, by result." in lines
    assert 'own_gauge{label="a\\"b\\\\c\\nd"} +Inf' in lines
    assert 'scopedcache_detection_seconds_bucket{le="3.0"} 0.0' in lines
    assert 'scopedcache_detection_seconds_bucket{le="5.0"} 1.0' in lines
    assert "scopedcache_detection_seconds_sum 4.0" in lines
    assert "# TYPE python_info gauge" in lines  # what an author has in prometheus-client's own registry


def test_OpenMetrics_is_spoken_to_who_asks_for_it():
    page, content_type = prometheus_page(Counters(), "application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")


def test_counters_sum_over_the_labels_left_out():
    counters = Counters()
    counters.increment("n", controller="a", result="x")
    counters.increment("n", 2.5, controller="a", result="y")
    counters.increment("n", controller="b", result="x")

    assert (counters.value("n"), counters.value("n", controller="a"), counters.value("n", result="z")) == (4.5, 3.5, 0)


def test_a_removed_series_is_gone():
    counters = Counters()
    counters.set("gauge", 1, place="a")
    counters.remove("gauge", place="a")
    counters.remove("gauge", place="b")

    assert list(counters) == []


@pytest.mark.parametrize("name", DECLARED)
def test_a_name_says_its_type_and_unit(name):
    declared = DECLARED[name]

    assert name.endswith("_total") == (declared.type == "counter")
    assert bool(declared.buckets) == (declared.type == "histogram")
    assert declared.help.endswith(".")
