"""The monitor where reviews fail, credentials expire, and others make mistakes, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedcache import ScopedCacheError
from scopedcache.access import Verdict
from scopedcache.access.verdict import VerdictState
from scopedcache.metrics import ACCESS_REVIEWS
from tests.unit.access.world import LIST_PODS, PODS, WATCH_PODS, Listener, world
from tests.unit.clock import after, idle, now
from tests.unit.cluster import POD, REVIEWS, Cluster, Trouble

# -- reviews that fail -----------------------------------------------------------------------------------------------


async def test_reviews_refused_for_a_moment_deny_nothing_and_start_no_attempts() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        w.server.embedded.restart(down=0, unready=6, reviews="refused")

        await after(16)

        assert w.listener.modes == []
        assert w.listener.states("watch") == ["allowed"]


async def test_two_restarts_of_the_server_are_no_ten_seconds_of_refusals() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        for _ in range(3):
            w.server.embedded.restart(down=5.6, unready=5.6, reviews="refused")
            await after(11.2)
            w.server.embedded.restart(down=1, unready=0)
            await after(1)

        assert w.listener.modes == []


@pytest.mark.parametrize("period", [5.0, 50.0])
async def test_reviews_refused_for_ten_seconds_start_the_attempts(period: float) -> None:
    async with world(period=period) as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        w.server.trouble(*REVIEWS, code=403)
        w.monitor.hint("a")

        await after(16)

        assert w.listener.modes == [True]
        assert w.state(WATCH_PODS) == "allowed"


async def test_reviews_refused_from_the_start_mean_attempts_and_the_first_answer_ends_them() -> None:
    async with world() as w:
        refused = w.server.trouble(*REVIEWS, code=403)
        await w.opened(*PODS)
        begun = list(w.listener.modes)
        refused.over()

        await after(6)

        assert (begun, w.listener.modes) == ([True], [True, False])


async def test_in_attempt_mode_a_grant_is_found_by_trying_within_the_bound() -> None:
    async with world() as w:
        w.server.trouble(*REVIEWS, code=403)
        await w.opened(*PODS)
        await w.until(LIST_PODS, "denied")
        w.server.grant("a", POD)

        assert await w.until(LIST_PODS, "allowed") <= w.monitor.bound


async def test_in_attempt_mode_a_watch_that_is_denied_alone_is_tried_by_itself() -> None:
    async with world() as w:
        w.server.trouble(*REVIEWS, code=403)
        w.server.grant("a", POD, verbs=["list"])
        await w.opened(*PODS)
        for _ in range(3):  # what an informer would do
            try:
                async with w.client.open_watch(POD, namespace="a"):
                    pass
            except ScopedCacheError:
                await asyncio.sleep(3.01)
        denied = w.state(WATCH_PODS)
        await after(30)
        still = w.state(WATCH_PODS)
        w.server.grant("a", POD, verbs=["watch"])
        await w.until(WATCH_PODS, "allowed")

        assert (denied, still) == ("denied", "denied")
        assert w.listener.states("watch").count("allowed") == 1


async def test_in_attempt_mode_a_list_that_is_revoked_alone_is_noticed_within_the_bound() -> None:
    async with world() as w:
        w.server.trouble(*REVIEWS, code=403)
        both = w.server.grant("a", POD)
        await w.opened(*PODS)
        await w.until(LIST_PODS, "allowed")
        w.server.grant("a", POD, verbs=["watch"])
        w.server.revoke(both)

        assert await w.until(LIST_PODS, "denied") <= w.monitor.bound


async def test_who_waits_for_permission_is_woken_when_only_attempts_can_tell() -> None:
    """Reviews and the watch are lost together: the gate of the informer must open, or nobody would ever ask again."""
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        w.server.trouble(*REVIEWS, code=403)
        w.server.revoke(given)
        await w.call("list")
        started = now()

        async with asyncio.timeout(30):
            await w.monitor.wait_until_permitted(PODS)

        assert 10 <= now() - started <= 16
        assert await w.until(LIST_PODS, "denied") <= 10


async def test_permission_is_waited_for_while_a_right_is_lost_and_no_longer() -> None:
    async with world() as w:
        await w.opened(*PODS)
        waiting = asyncio.ensure_future(w.monitor.wait_until_permitted(PODS))
        await after(20)
        before = waiting.done()
        w.server.grant("a", POD)
        await w.until(WATCH_PODS, "allowed")
        await idle()

        assert (before, waiting.done()) == (False, True)


FAILURES: dict[str, dict[str, Any]] = {
    "refuse": {"code": 403},
    "overload": {"code": 429},
    "break": {"code": 500},
    "garble": {"code": 201, "html": True},
    "down": {"refuse": True},
    "expired": {"code": 401},
    "restarting": {"code": 403},
}


def _break(server: Cluster, failure: str) -> tuple[Trouble, Trouble]:
    """Let reviews fail, and the last three ways everything; return what meets the reviews and what meets the rest."""
    reviews = server.trouble(*REVIEWS, **FAILURES[failure])
    everything = failure in ("down", "expired", "restarting")
    return reviews, server.trouble(**FAILURES[failure] if everything else {"latency": 0.0})


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("before", ["allowed", "probing"])
async def test_no_failing_review_becomes_a_hot_loop(failure: str, before: str) -> None:
    async with world() as w:
        w.server.grant("a", POD)
        if before == "allowed":
            await w.opened(*PODS)
        reviews, others = _break(w.server, failure)
        if before == "probing":
            await w.opened(*PODS)

        await after(60)

        assert reviews.struck <= 60 / 5 + 4
        assert reviews.struck + others.struck <= 3 * (60 / 5 + 4)  # attempts: one list each, and a watch that is lost


@pytest.mark.parametrize("failure", [failure for failure in FAILURES if failure != "expired"])
async def test_no_failing_review_takes_anything_away(failure: str) -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        _break(w.server, failure)

        await after(9)

        assert w.listener.states("watch") == ["allowed"]


@pytest.mark.parametrize("failure", ["overload", "break", "garble", "down"])
async def test_what_nobody_answered_is_unknown_and_may_be_tried(failure: str) -> None:
    async with world() as w:
        _break(w.server, failure)
        await w.opened(*PODS)

        verdict = w.monitor.verdict(WATCH_PODS)

        assert verdict is not None
        assert (verdict.state, verdict.open) == ("unknown", True)


# -- credentials -----------------------------------------------------------------------------------------------------


async def test_credentials_refused_for_as_long_as_the_bound_end_in_unauthenticated_and_a_new_token_heals() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        expired = w.server.trouble(code=401)
        await w.call()
        lost = await w.until(WATCH_PODS, "unauthenticated")
        expired.over()
        healed = await w.until(WATCH_PODS, "allowed")

        assert w.monitor.bound <= lost <= w.monitor.bound + 1
        assert healed <= w.monitor.bound


async def test_credentials_refused_for_a_moment_take_nothing_away() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        for _ in range(5):
            expired = w.server.trouble(code=401)
            await w.call()
            await after(4)
            expired.over()
            await w.call()
            await after(4)

        assert w.listener.states("watch") == ["allowed"]


async def test_a_refusal_proves_that_the_credentials_are_good() -> None:
    async with world() as w:
        w.server.trouble(*REVIEWS, code=403)
        await w.opened(*PODS)
        expired = w.server.trouble(code=401)
        await w.call()
        expired.over()
        await after(6)  # everything is refused, but by the authoriser

        assert not w.monitor.unauthenticated


# -- others' mistakes ------------------------------------------------------------------------------------------------


class Clumsy(Listener):
    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        super().verdict_changed(verdict, before)
        raise LookupError("a listener of ours")


async def test_a_listener_that_raises_spoils_neither_the_other_verdicts_nor_the_call_that_told() -> None:
    async with world(listener=Clumsy()) as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        both = (w.state(LIST_PODS), w.state(WATCH_PODS))
        w.server.revoke(given)
        await w.call("list")  # raises what the server said, and nothing else

        assert both == ("allowed", "allowed")
        assert await w.until(WATCH_PODS, "denied") <= w.monitor.bound


async def test_stopping_with_a_review_under_way_leaves_no_task_behind() -> None:
    with Cluster.running() as server:
        before = asyncio.all_tasks()
        async with world(server) as w:
            w.monitor.track(PODS)
            asking = asyncio.ensure_future(w.monitor.check(PODS))
            w.monitor.hint("a")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asking
        await idle()

        assert asyncio.all_tasks() <= before


async def test_every_review_that_was_sent_is_counted() -> None:
    async with world() as w:
        await w.opened(*PODS)
        broken = w.server.trouble(*REVIEWS, code=500)
        await after(12)
        broken.over()
        w.server.trouble(*REVIEWS, code=403)
        await after(12)

        assert w.monitor.reviews == w.server.requests("review") == w.counters.value(ACCESS_REVIEWS)
