import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from scopedcache.metrics import Counters
from tests.unit.controller.virtual_time import loop_factories
from tests.unit.controller.world import World, world


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories(item)


@pytest.fixture
async def w() -> AsyncIterator[World]:
    async with world() as running:
        yield running


@pytest.fixture
def counters():
    return Counters()
