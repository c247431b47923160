"""The tests of the way to the server run in virtual time, except those that open sockets or start programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.unit.clock import loop_factories

# Those that open sockets or start programs.
_REAL_TIME = ("test_http", "test_exec_plugins")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    real = item.path.stem.startswith(_REAL_TIME)
    return {"real": asyncio.new_event_loop} if real else loop_factories()
