"""The tests of the kit run in virtual time, against the embedded cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from scopedcache import Client
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, MEMCACHED, Cluster
from tests.unit.controller.virtual_time import loop_factories


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories(item)


@pytest.fixture
def server() -> Iterator[Cluster]:
    with Cluster.running() as cluster:
        yield cluster


@pytest.fixture
async def client(server: Cluster) -> AsyncIterator[Client]:
    """Yield a client of an operator that may do everything here."""
    server.grant("a", CONFIG_MAP, MEMCACHED, verbs=ALL_VERBS)
    server.embedded.grant(server.operator, ["patch"], [f"{MEMCACHED}/status"], namespace="a")
    async with server.client() as client:
        yield client


@pytest.fixture
def config_map() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "a"},
        "data": {"colour": "blue"},
    }


@pytest.fixture
def memcached() -> dict[str, Any]:
    return {
        "apiVersion": MEMCACHED.gvk.api_version,
        "kind": "Memcached",
        "metadata": {"name": "m", "namespace": "a"},
        "spec": {"size": 1},
    }
