import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.unit.controller.dict_client import DictClient
from tests.unit.controller.virtual_time import loop_factories


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories(item)


@pytest.fixture
def client() -> DictClient:
    return DictClient()


@pytest.fixture
def config_map() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "a"},
        "data": {"colour": "blue"},
    }
