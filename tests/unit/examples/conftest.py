"""The operator of the examples: in process and in virtual time, or as a process that reaches the cluster over HTTPS."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from scopedcache.testing import Grant
from tests.unit.clock import loop_factories
from tests.unit.cluster import ALL_VERBS, DEPLOYMENT, LEASE, POD, Cluster
from tests.unit.examples.objects import CRD, MEMCACHEDS
from tests.unit.examples.operator import Operator


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories()


def begin(server: Cluster) -> Grant:
    """Let the operator be in charge of its own kind, and of what it makes; return the second right."""
    for namespace in ("a", "scoped-memcached-operator-system"):
        server.embedded.create_namespace(namespace)
    server.embedded.grant(server.operator, ["patch"], [f"{MEMCACHEDS}/status"])
    server.embedded.grant(server.operator, ALL_VERBS, ["events.events.k8s.io"])
    server.grant(None, MEMCACHEDS, LEASE, verbs=ALL_VERBS)
    return server.grant(None, POD, DEPLOYMENT, verbs=ALL_VERBS)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Yield a cluster that serves Memcacheds; over HTTPS too where a test starts the command."""
    with Cluster.running(http="operator" in request.fixturenames, definitions=[CRD]) as cluster:
        yield cluster


@pytest.fixture
def rights(server: Cluster) -> Grant:
    """Return the operator's right to Deployments and Pods."""
    return begin(server)


@pytest.fixture
def kubeconfig(server: Cluster, rights: Grant) -> Path:
    return server.operator.kubeconfig


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Return a function that starts the command with its arguments; what still runs after the test is killed."""
    started: list[Operator] = []

    def start(*arguments: object) -> Operator:
        started.append(Operator.start(tmp_path / f"operator-{len(started)}.log", *map(str, arguments)))
        return started[-1]

    yield start
    for one in started:
        one.kill()
