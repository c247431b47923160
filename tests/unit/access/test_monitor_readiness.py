"""The monitor and a server that comes up, contradicts itself, or loses a request, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import ScopedCacheError
from scopedcache.access.hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS, HOLD_OFF_SECONDS
from scopedcache.access.readiness import READY_WAIT_SECONDS, READYZ_REFUSED_SECONDS
from tests.unit.access.world import CREATE_DEPLOYMENTS, LIST_PODS, PODS, WATCH_PODS, World, pods_in, world
from tests.unit.cache.api_server import POD
from tests.unit.clock import after, now

QUICKLY = 0.2  # what requests take, and margins


async def permitted(w: World, *places: str) -> None:
    """Begin with rights that are there, and no trouble."""
    for place in places or ("a",):
        w.server.grant(place, POD)
        await w.opened(*pods_in(place))


# -- a server that is not ready --------------------------------------------------------------------------------------


@pytest.mark.parametrize("readyz", [500, 403, 429, 0])
async def test_what_a_server_denies_before_it_is_ready_takes_nothing_away_and_worries_nobody(readyz: int) -> None:
    async with world() as w:
        await permitted(w)
        w.server.starting, w.server.ready = True, readyz
        w.monitor.hint("a")
        await after(2.0)
        w.server.starting = False
        await after(2.0)
        w.server.ready = 200

        await after(20.0)

        assert w.listener.states("watch") == ["allowed"]


async def test_a_no_counts_if_the_server_says_next_that_it_is_ready() -> None:
    async with world() as w:
        await permitted(w)
        w.server.revoke(*w.server.grants)
        await w.until(WATCH_PODS, "denied")

        about = [one.verb for one in w.server.asked if one.at > 1000.0]

        assert about[-4:] == ["review", "ready", "review", "ready"]


async def test_a_yes_and_a_no_that_is_no_news_are_worth_no_look_at_the_server() -> None:
    async with world() as w:
        await permitted(w)
        await w.opened(CREATE_DEPLOYMENTS)
        started = now()

        await after(60.0)

        assert w.server.requests("ready", since=started + 0.001) == 0


async def test_a_server_that_never_says_it_is_ready_is_believed_within_the_bound_that_is_reported() -> None:
    async with world() as w:
        await permitted(w)
        w.server.ready = 500
        w.server.revoke(*w.server.grants)

        took = await w.until(WATCH_PODS, "denied")

        assert took >= READY_WAIT_SECONDS
        assert took <= w.monitor.bound


async def test_a_server_that_was_not_ready_makes_the_hold_off_the_long_one_and_the_bound_says_so() -> None:
    async with world() as w:
        await permitted(w)
        before = w.monitor.bound
        w.server.starting, w.server.ready = True, 500
        w.monitor.hint("a")
        await after(1.0)
        w.server.starting, w.server.ready = False, 200
        meanwhile = w.monitor.bound
        await after(5.0)
        w.server.revoke(*w.server.grants)
        await w.until(WATCH_PODS, "suspect")
        held = await w.until(WATCH_PODS, "denied")
        await after(60.0)

        assert (before, w.monitor.bound) == (7.5, 7.5)
        assert meanwhile == before - HOLD_OFF_SECONDS + HOLD_OFF_AFTER_TROUBLE_SECONDS
        assert held <= HOLD_OFF_AFTER_TROUBLE_SECONDS + QUICKLY


async def test_who_opens_while_the_server_comes_up_is_told_nothing_that_is_not_so() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.starting, w.server.ready = True, 500

        await w.opened(*PODS)
        first = w.state(LIST_PODS)
        w.server.starting = False

        assert first == "unknown"
        assert await w.until(LIST_PODS, "allowed") <= READY_WAIT_SECONDS + QUICKLY


async def test_where_readyz_is_not_ours_to_ask_a_no_counts_by_itself_after_a_while() -> None:
    async with world() as w:
        await permitted(w, "a", "b")
        w.server.ready = 403
        first = w.server.grants[0]
        w.server.revoke(first)
        await w.until(WATCH_PODS, "denied")
        await after(60.0)
        asked = w.server.requests("ready")
        await after(60.0)
        w.server.revoke(*w.server.grants)
        doubted = await w.until(pods_in("b")[1], "suspect")
        held = await w.until(pods_in("b")[1], "denied")

        assert doubted <= w.monitor.bound
        assert HOLD_OFF_SECONDS <= held <= HOLD_OFF_SECONDS + QUICKLY
        assert w.server.requests("ready") == asked + 2


async def test_where_readyz_is_not_ours_to_ask_doubt_in_two_places_at_once_must_last_longer() -> None:
    async with world() as w:
        await permitted(w, "a", "b", "c")
        w.server.ready = 403
        w.server.revoke(w.server.grants[2])
        await w.until(pods_in("c")[1], "denied")
        await after(60.0)
        w.server.revoke(*w.server.grants)
        for place in ("a", "b"):
            w.monitor.hint(place)
        await after(0.1)
        held = await w.until(WATCH_PODS, "denied")

        assert held >= HOLD_OFF_AFTER_TROUBLE_SECONDS - QUICKLY
        assert w.monitor.bound == 9.5


async def test_whether_readyz_is_ours_to_ask_is_found_out_within_some_periods() -> None:
    async with world() as w:
        await permitted(w)
        w.server.ready = 403
        w.server.revoke(*w.server.grants)
        await w.until(WATCH_PODS, "denied")
        started = now()
        await after(READYZ_REFUSED_SECONDS + 6.0)
        asked = w.server.requests("ready", since=started)
        await after(60.0)

        assert 1 <= asked <= 3
        assert w.server.requests("ready", since=started) == asked


# -- a server that contradicts itself --------------------------------------------------------------------------------


async def refused_for_good(w: World) -> None:
    """Let reviews say yes to what is refused."""
    await permitted(w)
    w.server.contradicts = True
    await w.call()
    await after(4.0)
    await w.call()


async def test_two_refusals_of_our_own_calls_deny_whatever_reviews_say() -> None:
    async with world() as w:
        await refused_for_good(w)
        await w.until(LIST_PODS, "denied", limit=1.0)
        await after(60.0)

        assert w.state(LIST_PODS) == "denied"
        assert w.state(WATCH_PODS) == "allowed"


async def test_two_refusals_by_a_server_that_is_not_ready_deny_nothing() -> None:
    async with world() as w:
        await permitted(w)
        w.server.contradicts, w.server.ready = True, 500
        await w.call()
        await after(4.0)
        await w.call()
        await after(0.1)
        w.server.contradicts, w.server.ready = False, 200

        await after(10.0)

        assert "denied" not in w.listener.states("list")


async def test_what_is_refused_whatever_reviews_say_is_tried_once_a_period_and_heals_within_the_bound() -> None:
    async with world() as w:
        await refused_for_good(w)
        await w.until(LIST_PODS, "denied", limit=1.0)
        started = now()
        await after(60.0)
        tried = w.server.requests("list", since=started)
        w.server.contradicts = False

        assert await w.until(LIST_PODS, "allowed") <= w.monitor.bound
        assert 10 <= tried <= 13


# -- a request that is lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0.0, 1.3, 2.9, 4.9])
async def test_one_review_that_is_never_answered_does_not_hold_detection_up(pause: float) -> None:
    async with world() as w:
        await permitted(w)
        await after(60.0 + pause)
        w.server.revoke(*w.server.grants)
        w.server.swallowed = 1

        assert await w.until(WATCH_PODS, "denied") <= w.monitor.bound + 1.0


async def test_a_review_is_given_up_before_the_next_one_is_due_and_asked_again_once() -> None:
    async with world() as w:
        await permitted(w)
        w.server.swallowed = 1_000
        started = now()

        await after(60.0)

        assert 60 / 5.5 <= w.server.requests("review", since=started) <= 60 / 5 + 2


async def test_reviews_refused_for_good_start_the_attempts_while_connections_get_lost_all_the_time() -> None:
    async with world() as w:
        await permitted(w)
        w.server.reviews = "refuse"
        started = now()
        while now() < started + 25.0:
            await w.call()
            w.server.down = True
            await w.call()
            w.server.down = False
            await asyncio.sleep(1.7)
        w.server.revoke(*w.server.grants)

        assert w.listener.modes == [True]
        assert await w.until(LIST_PODS, "denied") <= w.monitor.bound


async def test_a_server_that_refuses_everything_for_a_while_starts_no_attempts() -> None:
    async with world() as w:
        await permitted(w)
        w.server.restarting = True
        await after(12.0)
        w.server.restarting = False
        await after(60.0)

        assert w.listener.modes == []


async def test_a_write_is_refused_by_the_authoriser_only_if_the_server_that_says_so_is_ready() -> None:
    async with world() as w:
        said = []
        for ready in (200, 500):
            w.server.ready = ready
            try:
                await w.client.delete(POD, "one", namespace="a")
            except ScopedCacheError as error:
                said.append(getattr(error, "by", None))

        assert said == ["authorizer", "unknown"]
