import asyncio
from collections.abc import Callable, Mapping

import pytest

from scopedcache.metrics import Counters
from tests.unit.controller.fake_cache import FakeCache
from tests.unit.controller.virtual_time import loop_factories


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories(item)


@pytest.fixture
def cache():
    return FakeCache()


@pytest.fixture
def counters():
    return Counters()
