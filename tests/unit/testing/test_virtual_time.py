"""A loop with virtual time: dates move with it, and who never waits is found out."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from scopedcache.clock import wall_time
from scopedcache.kit import set_condition
from scopedcache.testing import eventually, never, virtual_time
from scopedcache.testing.virtual_time import VirtualTimeLoop

T = TypeVar("T")


def test_what_is_stamped_an_hour_later_is_an_hour_apart() -> None:
    async def main() -> tuple[str, str]:
        first = set_condition(None, "Ready", True, "Begun")
        await asyncio.sleep(3600)
        second = set_condition(None, "Ready", True, "Begun")
        return first[0]["lastTransitionTime"], second[0]["lastTransitionTime"]

    before, after = (datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") for text in virtual_time.run(main()))
    assert after - before in (timedelta(seconds=3599), timedelta(seconds=3600), timedelta(seconds=3601))


def test_the_first_date_is_that_of_the_machine() -> None:
    async def main() -> datetime:
        return wall_time()

    assert abs(virtual_time.run(main()) - datetime.now(UTC)) < timedelta(seconds=60)


def test_on_an_ordinary_loop_and_without_one_the_date_is_that_of_the_machine() -> None:
    async def main() -> datetime:
        return wall_time()

    for told in (asyncio.run(main()), wall_time()):
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=60)


def test_work_that_never_waits_ends_the_test_with_the_reason() -> None:
    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match=r"no virtual time has passed: somebody never waits"):
        run_until_busy_for(0.05, main())


def test_work_that_waits_in_between_may_take_as_long_as_it_likes() -> None:
    async def main() -> str:
        for _ in range(2_000):
            for _ in range(20):
                await asyncio.sleep(0)
            await asyncio.sleep(1)
        return "done"

    assert run_until_busy_for(0.05, main()) == "done"


def run_until_busy_for(seconds: float, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(busy_seconds=seconds)) as runner:
        return runner.run(main)


async def ticking(seconds: float) -> None:
    for _ in itertools.count():
        await asyncio.sleep(seconds)


def test_what_happens_is_seen_at_its_moment_though_others_wait_for_everybody_too() -> None:
    async def main() -> float:
        happened: list[float] = []

        async def work() -> None:
            await asyncio.sleep(3)
            for _ in range(3):  # as a test beside this one does
                await virtual_time.idle()
            happened.append(virtual_time.now())

        async with asyncio.TaskGroup() as group:
            others = group.create_task(ticking(2.0))
            group.create_task(work())
            await eventually(lambda: happened)
            others.cancel()
            return virtual_time.now() - happened[0]

    assert virtual_time.run(main()) == 0.0


def test_two_who_look_again_do_not_keep_each_other_at_one_moment() -> None:
    async def main() -> float:
        began = virtual_time.now()
        await asyncio.gather(*(never(lambda: False, within=seconds) for seconds in (2.0, 3.0)), asyncio.sleep(1.0))
        return virtual_time.now() - began

    assert virtual_time.run(main()) == 3.0


def test_a_thread_is_done_before_the_hour_is_over() -> None:
    async def main() -> float:
        began = virtual_time.now()
        others = asyncio.create_task(ticking(1.0))
        await asyncio.to_thread(sum, range(3_000_000))
        others.cancel()
        return virtual_time.now() - began

    assert virtual_time.run(main()) == 0.0


def test_what_a_thread_did_is_seen_at_its_moment() -> None:
    async def main() -> float:
        began = virtual_time.now()
        others = asyncio.create_task(ticking(1.0))
        done = asyncio.create_task(asyncio.to_thread(sum, range(3_000_000)))
        await eventually(done.done)
        others.cancel()
        return virtual_time.now() - began

    assert virtual_time.run(main()) == 0.0


def test_a_thread_that_waits_for_the_loops_time_is_not_waited_for() -> None:
    async def main() -> str:
        passed = threading.Event()
        asyncio.get_running_loop().call_later(3600, passed.set)
        await asyncio.to_thread(passed.wait)
        return "done"

    assert virtual_time.run(main()) == "done"
