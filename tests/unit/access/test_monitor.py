"""The monitor against a server whose rights change, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from scopedcache import ForbiddenError, NotFoundError
from scopedcache.api.permission import Permission
from scopedcache.clock import wall_time
from scopedcache.testing import never
from tests.unit.access.world import CREATE_DEPLOYMENTS, LIST_PODS, PODS, WATCH_PODS, pods_in, world
from tests.unit.clock import after, now
from tests.unit.cluster import ACCESS_REVIEWS, DEPLOYMENT, MEMCACHED, POD, RULES_REVIEWS

# -- both edges ------------------------------------------------------------------------------------------------------


async def test_a_first_question_is_answered_by_one_review_of_the_place() -> None:
    async with world() as w:
        w.server.grant("a", POD, DEPLOYMENT)

        await w.opened(*PODS, CREATE_DEPLOYMENTS)

        assert (w.state(LIST_PODS), w.state(CREATE_DEPLOYMENTS)) == ("allowed", "denied")
        # The "no" is worth a look at whether the server is ready.
        assert (w.server.requests("review"), w.server.requests("ready"), w.server.requests()) == (1, 1, 2)


@pytest.mark.parametrize("pause", [0.0, 1.3, 2.9, 4.9])
async def test_a_revocation_is_noticed_within_the_bound_whenever_it_comes(pause: float) -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        await after(60 + pause)
        w.server.revoke(given)

        assert await w.until(WATCH_PODS, "denied") <= w.monitor.bound


@pytest.mark.parametrize("pause", [0.0, 1.3, 2.9, 4.9])
async def test_a_grant_is_noticed_within_the_bound_whenever_it_comes(pause: float) -> None:
    async with world() as w:
        await w.opened(*PODS)
        await after(60 + pause)
        w.server.grant("a", POD)

        assert await w.until(WATCH_PODS, "allowed") <= w.monitor.bound


async def test_losing_one_verb_denies_that_verb_alone() -> None:
    async with world() as w:
        both = w.server.grant("a", POD)
        await w.opened(*PODS)
        w.server.grant("a", POD, verbs=["watch"])
        w.server.revoke(both)

        await w.until(LIST_PODS, "denied")

        assert w.state(WATCH_PODS) == "allowed"


async def test_a_single_answered_no_is_confirmed_a_second_later_before_it_counts() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        w.server.revoke(given)
        await w.until(WATCH_PODS, "suspect")
        w.server.grant("a", POD)

        await after(30)

        assert w.listener.states("watch") == ["allowed", "suspect", "allowed"]


async def test_after_a_lost_connection_the_second_no_counts_three_seconds_later() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        down = w.server.trouble(refuse=True)
        await w.call()
        down.over()
        w.server.revoke(given)
        await w.until(WATCH_PODS, "suspect")

        assert 3.0 <= await w.until(WATCH_PODS, "denied") < 3.2


async def test_a_denial_names_the_date_that_the_loop_has() -> None:
    """In virtual time, too: the date of the machine would be off by as much as the test has slept."""
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        await after(3600)
        revoked_at = wall_time()
        w.server.revoke(given)
        await w.until(WATCH_PODS, "denied")

        verdict = w.monitor.verdict(WATCH_PODS)

        assert verdict is not None
        error = verdict.error()
        assert isinstance(error, ForbiddenError)
        assert revoked_at <= error.since <= revoked_at + timedelta(seconds=w.monitor.bound)


async def test_a_right_given_on_one_name_is_asked_for_by_that_name() -> None:
    named = Permission("list", "", "pods", "a", name="one")
    async with world() as w:
        w.server.grant("a", POD, names=["one"])

        await w.opened(named, LIST_PODS)

        assert (w.state(named), w.state(LIST_PODS)) == ("allowed", "denied")


async def test_a_cluster_wide_right_is_learnt_from_a_namespace_that_nobody_uses() -> None:
    everywhere = Permission("list", "", "pods", None)
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(everywhere)
        before = w.state(everywhere)
        w.server.grant(None, POD)

        await w.until(everywhere, "allowed")

        assert before == "denied"


# -- what it costs ---------------------------------------------------------------------------------------------------


async def test_idle_probing_is_one_review_per_place_and_period_and_one_for_the_cluster() -> None:
    async with world() as w:
        w.server.grant(None, POD)
        await w.opened(*pods_in("a"), *pods_in("b"), CREATE_DEPLOYMENTS, Permission("list", "", "nodes", None))
        started = now()
        verdicts = [w.monitor.verdicts[permission] for permission in (*pods_in("a"), *pods_in("b"))]

        await never(lambda: max(map(w.monitor.since_evidence, verdicts)) > 1.1 * 5, within=60)

        assert w.server.requests("review", since=started + 0.001) <= 3 * 60 / 5
        assert w.server.requests(since=started + 0.001) == w.server.requests("review", since=started + 0.001)


async def test_a_place_that_nobody_leases_is_not_asked_about() -> None:
    async with world() as w:
        await w.opened(*PODS)
        w.monitor.untrack(PODS)
        released = now()

        await after(60)

        assert w.server.requests(since=released + 0.001) == 0
        assert (w.monitor.places, w.monitor.verdict(LIST_PODS)) == (0, None)


async def test_a_right_leased_twice_is_forgotten_with_the_second_release() -> None:
    async with world() as w:
        w.monitor.track(PODS)
        w.monitor.track(PODS)
        w.monitor.untrack(PODS)
        once = w.monitor.places
        w.monitor.untrack(PODS)

        assert (once, w.monitor.places) == (1, 0)


async def test_questions_asked_at_the_same_time_share_one_review() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.monitor.track(PODS)

        await asyncio.gather(*(w.monitor.check(PODS) for _ in range(50)))

        assert w.server.requests("review") == 1


async def test_a_right_leased_while_a_review_is_under_way_gets_an_answer_of_its_own() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.monitor.track([LIST_PODS])
        first = asyncio.ensure_future(w.monitor.check([LIST_PODS]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the review of the first right is sent
        w.monitor.track([CREATE_DEPLOYMENTS])

        (verdict,) = await w.monitor.check([CREATE_DEPLOYMENTS])
        await first

        assert verdict.state == "denied"


async def test_one_waiter_that_is_cancelled_does_not_take_the_answer_from_the_others() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.monitor.track(PODS)
        first, second = (asyncio.ensure_future(w.monitor.check(PODS)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()

        verdicts = await second

        assert [verdict.state for verdict in verdicts] == ["allowed", "allowed"]


async def test_an_incomplete_review_leaves_to_access_reviews_what_it_does_not_prove() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.proxy.hides_rules = True

        await w.opened(*PODS, CREATE_DEPLOYMENTS)

        assert (w.state(LIST_PODS), w.state(CREATE_DEPLOYMENTS)) == ("allowed", "denied")
        reviews = [one.resource for one in w.server.asked() if one.verb == "review"]
        assert reviews == [RULES_REVIEWS, *[ACCESS_REVIEWS] * 3]


async def test_what_an_incomplete_review_costs_on_top_counts_in_the_budget_and_in_the_bound() -> None:
    async with world() as w:
        w.proxy.hides_rules = True
        places = [permission for n in range(100) for permission in pods_in(f"n{n}")]
        w.monitor.track(places)
        await w.monitor.check(places)
        started = now() + 0.001
        await after(100)

        assert w.server.requests("review", since=started) <= 20 * 100 + 3 * 20
        assert w.monitor.bound == pytest.approx(1.1 * 300 / 20 + 2)


async def test_what_rules_prove_is_not_lost_when_an_access_review_fails() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        w.proxy.hides_rules = True
        w.server.trouble(ACCESS_REVIEWS, skip=1, code=429)

        await w.opened(*PODS)

        assert (w.state(LIST_PODS), w.state(WATCH_PODS)) == ("allowed", "unknown")


async def test_where_rules_are_incomplete_they_do_not_outvote_a_refusal() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        w.proxy.denies.add("pods")
        await w.call("list")
        took = await w.until(LIST_PODS, "denied")
        await after(60)
        still = w.state(LIST_PODS)
        w.proxy.denies.clear()
        healed = await w.until(LIST_PODS, "allowed")

        assert took <= 2.0
        assert (still, healed <= w.monitor.bound) == ("denied", True)


async def test_three_hundred_denied_places_stay_inside_the_budget_and_their_bound() -> None:
    async with world() as w:
        places = [permission for n in range(300) for permission in pods_in(f"n{n}")]
        w.monitor.track(places)
        await w.monitor.check(places)
        started = now() + 0.001
        await after(100)
        spent = w.server.requests("review", since=started)

        w.server.grant("n299", POD)
        took = await w.until(Permission("watch", "", "pods", "n299"), "allowed")

        assert spent <= 20 * 100 + 20
        assert took <= w.monitor.bound == pytest.approx(1.1 * 15 + 2)


# -- what our own calls tell -----------------------------------------------------------------------------------------


async def test_a_refused_list_is_settled_by_a_review_within_two_seconds() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        await after(0.6)
        w.server.revoke(given)
        await w.call("list")

        assert await w.until(LIST_PODS, "denied") <= 2.0


async def test_a_refused_write_brings_the_review_of_its_place_forward() -> None:
    async with world() as w:
        given = w.server.grant("a", DEPLOYMENT, verbs=["create"])
        await w.opened(CREATE_DEPLOYMENTS)
        w.server.revoke(given)
        await w.call("create")

        assert await w.until(CREATE_DEPLOYMENTS, "denied") <= 2.0


async def test_a_loop_of_refused_writes_does_not_become_a_loop_of_reviews() -> None:
    async with world() as w:
        await w.opened(*PODS)
        started = now()
        while now() < started + 20:
            await w.call("create")
            await asyncio.sleep(0.05)

        assert sum(one.resource == RULES_REVIEWS for one in w.server.asked()) <= 2 * 20 + 2


async def test_refusals_alone_deny_nothing_as_long_as_reviews_say_yes() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        restarting = w.server.trouble(code=403)
        for _ in range(5):
            await w.call()
        restarting.over()

        await after(30)

        assert "denied" not in w.listener.states("list")
        assert w.state(LIST_PODS) == "allowed"


async def test_a_kind_that_is_not_served_is_absent_and_not_denied() -> None:
    async with world() as w:
        w.server.grant("a", MEMCACHED)
        listing, watching = (Permission(verb, "cache.example.com", "memcacheds", "a") for verb in ("list", "watch"))
        await w.opened(listing, watching)
        w.server.embedded.delete("customresourcedefinitions.apiextensions.k8s.io", str(MEMCACHED))
        with pytest.raises(NotFoundError):
            await w.client.list(MEMCACHED, namespace="a")

        await after(20)

        assert (w.state(listing), w.state(watching)) == ("absent", "allowed")


# -- RBAC events -----------------------------------------------------------------------------------------------------


async def test_a_hint_is_followed_by_reviews_at_once_and_after_a_third_and_a_whole_second() -> None:
    async with world() as w:
        await w.opened(*PODS)
        await after(0.1)
        started = now()
        w.monitor.hint("a")

        await after(3)

        times = [round(one.at - started, 2) for one in w.server.asked(started)]
        assert times[:3] == [0.0, 0.3, 1.0]


async def test_a_revocation_with_a_hint_is_noticed_within_two_seconds() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        await after(0.1)
        w.server.revoke(given)
        w.monitor.hint("a")

        assert await w.until(WATCH_PODS, "denied") <= 2.0


async def test_a_hint_decides_nothing() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.opened(*PODS)
        for _ in range(5):
            w.monitor.hint("a")
            await after(0.7)

        assert w.listener.states("watch") == ["allowed"]


async def test_a_hint_about_a_place_not_in_use_asks_nothing() -> None:
    async with world() as w:
        w.monitor.hint("elsewhere")

        await after(2)

        assert w.server.requests() == 0


async def test_a_storm_of_hints_is_shared_and_its_last_one_is_still_followed() -> None:
    async with world() as w:
        given = w.server.grant("a", POD)
        await w.opened(*PODS)
        started = now()
        for _ in range(1000):
            w.monitor.hint("a")
            await asyncio.sleep(0.01)
        stormed = w.server.requests("review", since=started)
        w.server.revoke(given)
        w.monitor.hint("a")

        assert stormed <= 10 * 10 + 5
        assert await w.until(WATCH_PODS, "denied") <= 2.0


async def test_a_hint_about_the_cluster_reviews_everything_in_use_from_a_budget_of_its_own() -> None:
    async with world() as w:
        places = [permission for n in range(250) for permission in pods_in(f"n{n}")]
        w.monitor.track(places)
        await w.monitor.check(places)
        started = now() + 0.001
        await asyncio.sleep(0.002)
        w.monitor.hint(None)

        await after(10)

        per_second = [
            w.server.requests("review", since=started + s) - w.server.requests("review", since=started + s + 1)
            for s in range(10)
        ]
        assert sum(per_second) >= 3 * 250
        assert max(per_second[1:]) <= 100 + 2 * 20


async def test_when_many_places_are_used_no_longer_a_grant_in_the_last_one_is_seen_within_the_bound_of_one() -> None:
    async with world() as w:
        many = [pods_in(f"n{number}") for number in range(400)]
        await w.opened(*PODS, *(right for pair in many for right in pair))
        await after(7)  # it has had a probe, and is to have the next one twenty seconds later
        w.monitor.untrack(right for pair in many for right in pair)
        bound = w.monitor.bound
        w.server.grant("a", POD)
        took = await w.until(LIST_PODS, "allowed")

    assert took <= bound < 10
