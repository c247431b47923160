"""The blocking twins live in threads: they reach the embedded cluster over HTTPS, in ordinary time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scopedcache.testing import Grant
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, MEMCACHED, POD, Cluster


@pytest.fixture
def server() -> Iterator[Cluster]:
    with Cluster.running(http=True) as cluster:
        for namespace in "ab":
            cluster.embedded.create_namespace(namespace)
        yield cluster


@pytest.fixture
def rights(server: Cluster) -> Grant:
    """Return what the operator may do: everything, to the kinds of these tests, everywhere."""
    server.embedded.grant(server.operator, ["patch"], [f"{MEMCACHED}/status"])
    return server.grant(None, POD, CONFIG_MAP, MEMCACHED, verbs=ALL_VERBS)


@pytest.fixture
def kubeconfig(server: Cluster, rights: Grant) -> Path:
    return server.operator.kubeconfig
