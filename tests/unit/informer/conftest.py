"""The tests of the informer run in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from tests.unit.clock import loop_factories
from tests.unit.informer.world import World


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Yield an informer that was not started yet, and see that it leaves nothing behind."""
    made = World()
    yield made
    await made.end()
    assert (made.server.open, len(made.supervisor)) == (set(), 0)
