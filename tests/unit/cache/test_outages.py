"""A server that is away, and back: the first good answer wakes whoever waits, and nobody is hammered for it."""

from __future__ import annotations

import pytest

from tests.unit.cache.world import world
from tests.unit.clock import after, now
from tests.unit.cluster import CONFIG_MAP, POD

# A review comes round in 5 s and a tenth, its answer may be late by a second, and informers spread over another.
BACK_SECONDS = 7.5


@pytest.mark.parametrize("seconds", [3, 20, 60, 300])
async def test_watches_are_back_soon_after_the_server_however_long_it_was_away(seconds: float) -> None:
    async with world() as w:
        w.server.grant("a", POD, CONFIG_MAP)
        scope = await w.cache.open(w.owner(), POD, CONFIG_MAP)
        w.server.embedded.restart(down=seconds, unready=0.0)
        await after(seconds)
        w.server.put(POD, "made-meanwhile", "a")

        took = await w.until(lambda: w.cache.snapshot().open_watches == 2)

        assert took < BACK_SECONDS
        await w.until(lambda: scope.get(POD, "made-meanwhile"), 0.5)


async def test_a_server_that_fails_at_everything_is_an_outage_too() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.cache.open(w.owner(), POD)
        trouble = w.server.trouble(code=503)
        w.server.cut()
        await after(120)
        trouble.over()

        assert await w.until(lambda: w.cache.snapshot().open_watches) < BACK_SECONDS


async def test_a_kind_that_fails_alone_is_not_asked_more_often_because_reviews_are_answered() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.cache.open(w.owner(), POD)
        w.server.trouble(POD, code=500)
        w.server.cut()
        await after(300)
        start = now()
        await after(300)

        assert w.server.requests("list", "watch", since=start) <= 2 * 300 / 30


async def test_watches_that_cannot_connect_while_reviews_can_back_off_all_the_same() -> None:
    async with world() as w:
        w.server.grant("a", POD)
        await w.cache.open(w.owner(), POD)
        trouble = w.server.trouble(POD, refuse=True)
        w.server.cut()
        await after(300)
        before = trouble.struck
        await after(300)

        assert trouble.struck - before <= 2 * 300 / 16
