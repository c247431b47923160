"""The pytest plugin: fixtures for the embedded cluster, for a real control plane, and for both in turn.

Registered as an entry point, therefore loaded by every pytest run of everyone who has the package installed: it imports
nothing but pytest until a fixture is used, and its names begin with `scopedcache_`. Who sets the option
`scopedcache_short_names` gets the same without the prefix too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .api.client import Client
    from .testing import Clock, ControlPlane, EmbeddedCluster, Grant, Twice


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option to pytest's configuration file."""
    words = "also provide the fixtures and the marker of scopedcache without the prefix: `clock`, `grant`, `real` …"
    parser.addini("scopedcache_short_names", words, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and the short names where they are wanted."""
    words = "needs the real control plane: half of the tests that use `scopedcache_api_server` carry it"
    config.addinivalue_line("markers", f"scopedcache_real: {words}")
    if config.getini("scopedcache_short_names"):
        from .testing import pytest_short_names

        config.addinivalue_line("markers", "real: needs real binaries; what is `scopedcache_real` is `real` too")
        config.pluginmanager.register(pytest_short_names, "scopedcache_short_names")


@pytest.fixture(scope="session")
def scopedcache_control_plane() -> Iterator[ControlPlane]:
    """Yield a running control plane with a fake kubelet and the users `alice` and `bob`, shared by the session.

    Tests that stop parts of it, or need other flags, start their own with `ControlPlane.start(...)`. Skips where the
    binaries are missing, and fails where the environment says `CI`: there a silent skip would hide everything.
    """
    from .testing import ControlPlane, MissingBinariesError

    try:
        running = ControlPlane.start(kubelet=True, users=("alice", "bob"))
    except MissingBinariesError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI is set and the real control plane cannot start: {missing}", pytrace=False)
        pytest.skip(str(missing))
    with running:
        yield running


@pytest.fixture
def scopedcache_embedded_cluster() -> Iterator[EmbeddedCluster]:
    """Yield a cluster in this process, for this test alone."""
    from .testing import EmbeddedCluster

    with EmbeddedCluster.start() as cluster:
        yield cluster


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.scopedcache_real)])
def scopedcache_api_server(request: pytest.FixtureRequest) -> EmbeddedCluster | ControlPlane:
    """Yield the embedded cluster, then the real control plane: the test runs on both.

    `-m "not scopedcache_real"` leaves the second half out. Namespaces and names are the test's own: the control plane
    is shared.
    """
    fixture = {"embedded": "scopedcache_embedded_cluster", "real": "scopedcache_control_plane"}[request.param]
    server: EmbeddedCluster | ControlPlane = request.getfixturevalue(fixture)
    return server


@pytest.fixture
def scopedcache_as_user(scopedcache_embedded_cluster: EmbeddedCluster) -> Callable[[str], Client]:
    """Return a function from a user's name to a client with the rights of that user, for the running loop."""
    cluster = scopedcache_embedded_cluster
    return lambda name: cluster.client(cluster.user(name))


@pytest.fixture
def scopedcache_grants() -> dict[str, list[Grant]]:
    """Return what was granted in this test, by user."""
    return {}


@pytest.fixture
def scopedcache_grant(
    scopedcache_embedded_cluster: EmbeddedCluster, scopedcache_grants: dict[str, list[Grant]]
) -> Callable[..., Grant]:
    """Return a function that grants a user rights: `grant("alice", ["list"], ["pods"], namespace="a")`."""
    cluster = scopedcache_embedded_cluster

    def grant(name: str, *rights: Any, **place: Any) -> Grant:
        granted = cluster.grant(cluster.user(name), *rights, **place)
        scopedcache_grants.setdefault(name, []).append(granted)
        return granted

    return grant


@pytest.fixture
def scopedcache_revoke(scopedcache_grants: dict[str, list[Grant]]) -> Callable[[str], None]:
    """Return a function that revokes all that was granted to a user in this test."""

    def revoke(name: str) -> None:
        for grant in scopedcache_grants.pop(name, []):
            grant.revoke()

    return revoke


@pytest.fixture
def scopedcache_clock(scopedcache_embedded_cluster: EmbeddedCluster) -> Clock:
    """Return the time of the embedded cluster."""
    return scopedcache_embedded_cluster.clock


@pytest.fixture
def scopedcache_twice() -> Iterator[Callable[[Any, Client], Twice]]:
    """Yield a wrapper that runs each reconcile twice: the test fails when a second run writes.

    `Controller(…, reconcile=twice(reconciler, client))`.
    """
    from .testing import Twice

    wrapped: list[Twice] = []

    def twice(reconciler: Any, client: Client) -> Twice:
        wrapped.append(Twice(reconciler, client))
        return wrapped[-1]

    yield twice
    for one in wrapped:
        one.check()
