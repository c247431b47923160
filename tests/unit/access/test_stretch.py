"""Probes are rarer while events tell of every change of rights, and only then."""

from __future__ import annotations

from scopedcache.access.probe_schedule import EVENTS_PERIOD_FACTOR
from tests.unit.access.world import PODS, world
from tests.unit.clock import after
from tests.unit.cluster import POD


async def reviews_in(w, seconds):
    before = w.server.requests("review")
    await after(seconds)
    return w.server.requests("review") - before


async def test_while_events_tell_of_every_change_a_place_is_reviewed_half_as_often():
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        usual = await reviews_in(w, 600)
        bound = w.monitor.bound
        w.monitor.expect_events(lambda: True)

        rarer = await reviews_in(w, 600)

        assert usual / EVENTS_PERIOD_FACTOR * 0.8 < rarer < usual / EVENTS_PERIOD_FACTOR * 1.2
        assert w.monitor.bound > bound  # what holds without the events is said


async def test_an_authoriser_that_shows_no_rules_is_asked_as_often_as_ever():
    async with world() as w:
        w.proxy.hides_rules = True
        w.server.grant("a", POD)
        await w.opened(*PODS)
        usual = await reviews_in(w, 600)
        w.monitor.expect_events(lambda: True)

        assert await reviews_in(w, 600) > usual * 0.9


async def test_when_the_events_end_the_bound_is_what_it_was():
    async with world() as w:
        live = True
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        usual = w.monitor.bound
        w.monitor.expect_events(lambda: live)
        await after(60)
        live = False
        await after(2 * w.monitor.period * EVENTS_PERIOD_FACTOR)
        w.server.revoke(given)

        assert await w.until(PODS[1], "denied") <= w.monitor.bound == usual
