"""Thousands of openings at once: so many in a turn of the loop, and none is lost."""

import asyncio

import pytest

from scopedcache import CacheError, ObjectKey, OwnerId, ScopeClosedError
from scopedcache.cache.opening_turns import OPENINGS_IN_A_TURN, OpeningTurns
from tests.unit.cache.world import world
from tests.unit.cluster import MEMCACHED, POD


def an_owner(number):
    return OwnerId(MEMCACHED.gvk, ObjectKey("a", f"m-{number}"), f"uid-{number}")


async def most_in_a_turn(tasks):
    """Return how many of these tasks ended in one turn of the loop, at most."""
    most = ended = 0
    while ended < len(tasks):
        await asyncio.sleep(0)
        now = sum(task.done() for task in tasks)
        most, ended = max(most, now - ended), now
    return most


async def test_of_many_that_open_at_once_so_many_open_in_a_turn_of_the_loop():
    async with world() as w:
        w.server.grant("a", POD)
        await w.cache.open(an_owner(0), POD)

        opening = [asyncio.create_task(w.cache.open(an_owner(number), POD)) for number in range(1, 500)]
        most = await most_in_a_turn(opening)

        assert most == OPENINGS_IN_A_TURN
        assert len(w.cache.namespaces["a"]) == 500


async def test_of_many_that_wait_for_one_first_list_so_many_open_in_a_turn_of_the_loop():
    async with world() as w:
        w.server.grant("a", POD)

        opening = [asyncio.create_task(w.cache.open(an_owner(number), POD)) for number in range(500)]
        most = await most_in_a_turn(opening)

        assert most <= 2 * OPENINGS_IN_A_TURN  # those that wait, and those that come when it is there
        assert len(w.cache.namespaces["a"]) == 500


async def test_who_is_closed_while_it_waits_for_its_turn_opens_nothing():
    async with world() as w:
        w.server.grant("a", POD)
        opening = [asyncio.create_task(w.cache.open(an_owner(number), POD)) for number in range(50)]
        await asyncio.sleep(0)

        for number in range(50):
            w.cache.close(an_owner(number))

        answers = await asyncio.gather(*opening, return_exceptions=True)
        assert {type(answer) for answer in answers} == {ScopeClosedError}
        await w.cache.wait_closed()
        w.nothing_is_left()


async def test_who_is_closed_in_one_namespace_keeps_its_turn_in_another():
    turns = OpeningTurns(in_a_turn=1)
    first = asyncio.create_task(turns.take("first", "a"))
    closed = asyncio.create_task(turns.take("uid", "a"))
    kept = asyncio.create_task(turns.take("uid", "b"))
    await asyncio.sleep(0)

    turns.close("uid", "a")

    await first
    await kept
    with pytest.raises(ScopeClosedError):
        await closed
    assert len(turns) == 0


async def test_who_is_closed_between_its_turn_and_its_step_is_refused_too():
    turns = OpeningTurns(in_a_turn=1)
    first = asyncio.create_task(turns.take("first", "a"))
    second = asyncio.create_task(turns.take("uid", "a"))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(turns.close, "uid")  # after its turn was given, before it goes on

    await first
    with pytest.raises(ScopeClosedError):
        await second
    assert len(turns) == 0


async def test_leaving_the_cache_while_many_wait_for_their_turn_refuses_them_all():
    async with world() as w:
        w.server.grant("a", POD)
        await w.cache.open(an_owner(0), POD)
        opening = [asyncio.create_task(w.cache.open(an_owner(number), POD)) for number in range(1, 100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    answers = await asyncio.gather(*opening, return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {type(answer) for answer in refused} <= {ScopeClosedError, CacheError}
    assert len(refused) >= 50
    w.nothing_is_left()


async def test_who_gives_up_takes_nobody_s_turn():
    turns = OpeningTurns(in_a_turn=1)
    waiting = [asyncio.create_task(turns.take(f"uid-{number}", "a")) for number in range(4)]
    await asyncio.sleep(0)

    waiting[1].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [task.done() for task in waiting] == [True, True, True, False]
    await waiting[3]
    assert len(turns) == 0


async def test_who_has_begun_goes_before_those_who_have_not():
    turns, order = OpeningTurns(in_a_turn=1), []

    async def take(name, *, begun):
        await turns.take(name, "a", begun=begun)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in ("first", "new-1", "new-2", "begun"):
            group.create_task(take(name, begun=name == "begun"))

    assert order == ["first", "begun", "new-1", "new-2"]


async def test_while_there_is_room_nobody_waits():
    turns = OpeningTurns(in_a_turn=3)

    for number in range(3):
        with pytest.raises(StopIteration):
            turns.take(f"uid-{number}", "a").send(None)
