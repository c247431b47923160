"""The monitor and a server that comes up, contradicts itself, or loses a request, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedcache import ForbiddenError
from scopedcache.access.hold_off import HOLD_OFF_AFTER_TROUBLE_SECONDS, HOLD_OFF_SECONDS
from scopedcache.access.readiness import READY_WAIT_SECONDS, READYZ_REFUSED_SECONDS
from scopedcache.testing import Grant
from tests.unit.access.world import CREATE_DEPLOYMENTS, LIST_PODS, PODS, WATCH_PODS, World, pods_in, world
from tests.unit.clock import after, now
from tests.unit.cluster import BY_PATH, NEVER_SECONDS, POD, REVIEWS, RULES_REVIEWS, Trouble

QUICKLY = 0.2  # what requests take, and margins


async def permitted(w: World, *places: str) -> list[Grant]:
    """Begin with rights that are there, and no trouble."""
    grants = []
    for place in places or ("a",):
        grants.append(w.server.grant(place, POD))
        await w.opened(*pods_in(place))
    return grants


# -- a server that is not ready --------------------------------------------------------------------------------------


NOT_READY = [{"code": 500}, {"code": 403}, {"code": 429}, {"refuse": True}, {"latency": NEVER_SECONDS}]


@pytest.mark.parametrize("readyz", NOT_READY, ids=str)
async def test_what_a_server_denies_before_it_is_ready_takes_nothing_away_and_worries_nobody(
    readyz: dict[str, Any],
) -> None:
    async with world() as w:
        await permitted(w)
        trouble = w.server.trouble(BY_PATH, **readyz)
        w.server.starts(2.0)
        w.monitor.hint("a")
        await after(4.0)
        trouble.over()

        await after(20.0)

        assert trouble.struck
        assert w.listener.states("watch") == ["allowed"]


async def test_a_no_counts_if_the_server_says_next_that_it_is_ready() -> None:
    async with world() as w:
        w.server.revoke(*await permitted(w))
        started = now()
        await w.until(WATCH_PODS, "denied")

        assert [one.verb for one in w.server.asked(started)][-4:] == ["review", "ready", "review", "ready"]


async def test_a_yes_and_a_no_that_is_no_news_are_worth_no_look_at_the_server() -> None:
    async with world() as w:
        await permitted(w)
        await w.opened(CREATE_DEPLOYMENTS)
        started = now()

        await after(60.0)

        assert w.server.requests("ready", since=started + 0.001) == 0


async def test_a_server_that_never_says_it_is_ready_is_believed_within_the_bound_that_is_reported() -> None:
    async with world() as w:
        grants = await permitted(w)
        w.server.trouble(BY_PATH, code=500)
        w.server.revoke(*grants)

        took = await w.until(WATCH_PODS, "denied")

        assert took >= READY_WAIT_SECONDS
        assert took <= w.monitor.bound


async def test_a_server_that_was_not_ready_makes_the_hold_off_the_long_one_and_the_bound_says_so() -> None:
    async with world() as w:
        grants = await permitted(w)
        before = w.monitor.bound
        w.server.starts(1.0)
        w.monitor.hint("a")
        await after(1.0)
        meanwhile = w.monitor.bound
        await after(5.0)
        w.server.revoke(*grants)
        await w.until(WATCH_PODS, "suspect")
        held = await w.until(WATCH_PODS, "denied")
        await after(60.0)

        assert (before, w.monitor.bound) == (7.5, 7.5)
        assert meanwhile == before - HOLD_OFF_SECONDS + HOLD_OFF_AFTER_TROUBLE_SECONDS
        assert held <= HOLD_OFF_AFTER_TROUBLE_SECONDS + QUICKLY


async def test_who_opens_while_the_server_comes_up_is_told_nothing_that_is_not_so() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.server.starts(0.5)

        await w.opened(*PODS)
        first = w.state(LIST_PODS)

        assert first == "unknown"
        assert await w.until(LIST_PODS, "allowed") <= READY_WAIT_SECONDS + QUICKLY


async def test_where_readyz_is_not_ours_to_ask_a_no_counts_by_itself_after_a_while() -> None:
    async with world() as w:
        first, second = await permitted(w, "a", "b")
        readyz = w.server.trouble(BY_PATH, code=403)
        first.revoke()
        await w.until(WATCH_PODS, "denied")
        await after(60.0)
        asked = readyz.struck
        await after(60.0)
        second.revoke()
        doubted = await w.until(pods_in("b")[1], "suspect")
        held = await w.until(pods_in("b")[1], "denied")

        assert doubted <= w.monitor.bound
        assert HOLD_OFF_SECONDS <= held <= HOLD_OFF_SECONDS + QUICKLY
        assert readyz.struck == asked + 2


async def test_where_readyz_is_not_ours_to_ask_doubt_in_two_places_at_once_must_last_longer() -> None:
    async with world() as w:
        grants = await permitted(w, "a", "b", "c")
        w.server.trouble(BY_PATH, code=403)
        grants.pop().revoke()
        await w.until(pods_in("c")[1], "denied")
        await after(60.0)
        w.server.revoke(*grants)
        for place in ("a", "b"):
            w.monitor.hint(place)
        await after(0.1)
        held = await w.until(WATCH_PODS, "denied")

        assert held >= HOLD_OFF_AFTER_TROUBLE_SECONDS - QUICKLY
        assert w.monitor.bound == 9.5


async def test_whether_readyz_is_ours_to_ask_is_found_out_within_some_periods() -> None:
    async with world() as w:
        grants = await permitted(w)
        readyz = w.server.trouble(BY_PATH, code=403)
        w.server.revoke(*grants)
        await w.until(WATCH_PODS, "denied")
        before = readyz.struck
        await after(READYZ_REFUSED_SECONDS + 6.0)
        asked = readyz.struck - before
        await after(60.0)

        assert 1 <= asked <= 3
        assert readyz.struck == before + asked


# -- a server that contradicts itself --------------------------------------------------------------------------------


async def refused_for_good(w: World) -> Trouble:
    """Let reviews say yes to a list that is refused."""
    await permitted(w)
    refusals = w.server.trouble(POD, verb="list", code=403)
    await w.call()
    await after(4.0)
    await w.call()
    return refusals


async def test_two_refusals_of_our_own_calls_deny_whatever_reviews_say() -> None:
    async with world() as w:
        await refused_for_good(w)
        await w.until(LIST_PODS, "denied", limit=1.0)
        await after(60.0)

        assert w.state(LIST_PODS) == "denied"
        assert w.state(WATCH_PODS) == "allowed"


async def test_two_refusals_by_a_server_that_is_not_ready_deny_nothing() -> None:
    async with world() as w:
        readyz = w.server.trouble(BY_PATH, code=500)
        refusals = await refused_for_good(w)
        await after(0.1)
        refusals.over()
        readyz.over()

        await after(10.0)

        assert "denied" not in w.listener.states("list")


async def test_what_is_refused_whatever_reviews_say_is_tried_once_a_period_and_heals_within_the_bound() -> None:
    async with world() as w:
        refusals = await refused_for_good(w)
        await w.until(LIST_PODS, "denied", limit=1.0)
        before = refusals.struck
        await after(60.0)
        tried = refusals.struck - before
        refusals.over()

        assert await w.until(LIST_PODS, "allowed") <= w.monitor.bound
        assert 10 <= tried <= 13


# -- a request that is lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0.0, 1.3, 2.9, 4.9])
async def test_one_review_that_is_never_answered_does_not_hold_detection_up(pause: float) -> None:
    async with world() as w:
        grants = await permitted(w)
        await after(60.0 + pause)
        w.server.revoke(*grants)
        lost = w.server.trouble(RULES_REVIEWS, latency=NEVER_SECONDS, times=1)

        assert await w.until(WATCH_PODS, "denied") <= w.monitor.bound + 1.0
        assert lost.struck == 1


async def test_a_review_is_given_up_before_the_next_one_is_due_and_asked_again_once() -> None:
    async with world() as w:
        await permitted(w)
        lost = w.server.trouble(RULES_REVIEWS, latency=NEVER_SECONDS)

        await after(60.0)

        assert 60 / 5.5 <= lost.struck <= 60 / 5 + 2


async def test_reviews_refused_for_good_start_the_attempts_while_connections_get_lost_all_the_time() -> None:
    async with world() as w:
        grants = await permitted(w)
        w.server.trouble(*REVIEWS, code=403)
        started = now()
        while now() < started + 25.0:
            await w.call()
            w.server.trouble(POD, refuse=True, times=1)
            await w.call()
            await asyncio.sleep(1.7)
        w.server.revoke(*grants)

        assert w.listener.modes == [True]
        assert await w.until(LIST_PODS, "denied") <= w.monitor.bound


async def test_a_server_that_refuses_everything_for_a_while_starts_no_attempts() -> None:
    async with world() as w:
        await permitted(w)
        w.server.embedded.restart(down=0.0, unready=12.0, reviews="refused")
        await after(60.0)

        assert w.listener.modes == []


async def test_a_write_is_refused_by_the_authoriser_only_if_the_server_that_says_so_is_ready() -> None:
    async with world() as w:
        w.server.put(POD, "one", "a")
        said = []
        for trouble in ((), (BY_PATH,)):
            if trouble:
                w.server.trouble(*trouble, code=500)
            with pytest.raises(ForbiddenError) as refused:
                await w.client.delete(POD, "one", namespace="a")
            said.append(refused.value.by)

        assert said == ["authorizer", "unknown"]
