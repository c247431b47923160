"""One piece of work per place at a time."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache.access.single_flight import SingleFlight
from scopedcache.supervisor import Supervisor


async def test_who_asks_when_the_work_is_just_done_gets_work_of_his_own() -> None:
    """The answer of a review that ended says nothing about what changed since, even if nobody has heard it yet."""
    begun: list[str | None] = []
    ending = asyncio.Event()

    async def work(place: str | None) -> None:
        begun.append(place)
        ending.set()

    flight, supervisor = SingleFlight("work", work), Supervisor("test")
    first = flight.start("a", supervisor)
    await ending.wait()
    done = first.done()
    await flight.share("a", supervisor)

    assert (done, begun) == (True, ["a", "a"])
    await supervisor.close()


async def test_what_the_work_raises_everybody_who_shares_it_gets() -> None:
    async def work(place: str | None) -> None:
        raise LookupError(place)

    flight, supervisor = SingleFlight("work", work), Supervisor("test")
    shared = await asyncio.gather(*(flight.share("a", supervisor) for _ in range(3)), return_exceptions=True)

    assert [str(error) for error in shared] == ["a"] * 3
    await supervisor.close()


async def test_places_do_not_wait_for_each_other() -> None:
    gate = asyncio.Event()

    async def work(place: str | None) -> None:
        if place == "slow":
            await gate.wait()

    flight, supervisor = SingleFlight("work", work), Supervisor("test")
    slow = flight.start("slow", supervisor)
    await flight.share("fast", supervisor)

    assert not slow.done()
    await supervisor.close()
    with pytest.raises(asyncio.CancelledError):
        await slow
