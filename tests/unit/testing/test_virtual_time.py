"""A loop with virtual time: dates move with it, and who never waits is found out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from scopedcache.clock import wall_time
from scopedcache.kit import set_condition
from scopedcache.testing import virtual_time
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
