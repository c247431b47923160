"""The pytest plugin: fixtures for the embedded cluster, for a real control plane, and for both in turn.

Registered as an entry point, therefore loaded by every pytest run of everyone who has the package installed: this file
imports nothing heavy, the fixtures do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .api.client import Client
    from .testing.assertions import Twice
    from .testing.control_plane.control_plane import ControlPlane
    from .testing.embedded import EmbeddedCluster
    from .testing.embedded.clock import Clock
    from .testing.rbac import Grant


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known: half of the tests that use `api_server` carry it."""
    config.addinivalue_line("markers", "real: needs the real control plane")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Yield a running control plane with a fake kubelet and the users `alice` and `bob`, shared by the session.

    Tests that stop parts of it, or need other flags, start their own with `ControlPlane.start(...)`. Skips where the
    binaries are missing, and fails where the environment says `CI`: there a silent skip would hide everything.
    """
    from .testing.control_plane.binaries import MissingBinariesError
    from .testing.control_plane.control_plane import ControlPlane

    try:
        running = ControlPlane.start(kubelet=True, users=("alice", "bob"))
    except MissingBinariesError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI is set and the real control plane cannot start: {missing}", pytrace=False)
        pytest.skip(str(missing))
    with running:
        yield running


@pytest.fixture
def embedded_cluster() -> Iterator[EmbeddedCluster]:
    """Yield a cluster in this process, for this test alone."""
    from .testing.embedded import EmbeddedCluster

    with EmbeddedCluster.start() as cluster:
        yield cluster


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def api_server(request: pytest.FixtureRequest) -> EmbeddedCluster | ControlPlane:
    """Yield the embedded cluster, then the real control plane: the test runs on both.

    `-m "not real"` leaves the second half out. Namespaces and names are the test's own: the control plane is shared.
    """
    fixture = {"embedded": "embedded_cluster", "real": "control_plane"}[request.param]
    server: EmbeddedCluster | ControlPlane = request.getfixturevalue(fixture)
    return server


@pytest.fixture
def as_user(embedded_cluster: EmbeddedCluster) -> Callable[[str], Client]:
    """Return a function from a user's name to a client with the rights of that user, for the running loop."""
    return lambda name: embedded_cluster.client(embedded_cluster.user(name))


@pytest.fixture
def grants() -> dict[str, list[Grant]]:
    """Return what was granted in this test, by user."""
    return {}


@pytest.fixture
def grant(embedded_cluster: EmbeddedCluster, grants: dict[str, list[Grant]]) -> Callable[..., Grant]:
    """Return a function that grants a user rights: `grant("alice", ["list"], ["pods"], namespace="a")`."""

    def give(name: str, *rights: Any, **place: Any) -> Grant:
        given = embedded_cluster.grant(embedded_cluster.user(name), *rights, **place)
        grants.setdefault(name, []).append(given)
        return given

    return give


@pytest.fixture
def revoke(grants: dict[str, list[Grant]]) -> Callable[[str], None]:
    """Return a function that revokes all that was granted to a user in this test."""

    def take(name: str) -> None:
        for given in grants.pop(name, []):
            given.revoke()

    return take


@pytest.fixture
def clock(embedded_cluster: EmbeddedCluster) -> Clock:
    """Return the time of the embedded cluster."""
    return embedded_cluster.clock


@pytest.fixture
def twice() -> Iterator[Callable[[Any, Client], Twice]]:
    """Yield a wrapper that runs each reconcile twice: the test fails when a second run writes.

    `Controller(…, reconcile=twice(reconciler, client))`.
    """
    from .testing.assertions import Twice

    made: list[Twice] = []

    def wrap(reconciler: Any, client: Client) -> Twice:
        made.append(Twice(reconciler, client))
        return made[-1]

    yield wrap
    for one in made:
        one.check()
