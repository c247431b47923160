"""The fixtures and the marker of the pytest plugin without their prefix, for projects that ask for them.

Nobody gets common words like `clock` and `real` from a package that is merely installed: this module is loaded by
`scopedcache_short_names = true` in pytest's configuration. A fixture of the project with such a name goes before ours.
"""

from __future__ import annotations

from typing import Any

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is `scopedcache_real` as `real` too."""
    if item.get_closest_marker("scopedcache_real") is not None:
        item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def control_plane(scopedcache_control_plane: Any) -> Any:
    """Return `scopedcache_control_plane`."""
    return scopedcache_control_plane


@pytest.fixture
def embedded_cluster(scopedcache_embedded_cluster: Any) -> Any:
    """Return `scopedcache_embedded_cluster`."""
    return scopedcache_embedded_cluster


@pytest.fixture
def api_server(scopedcache_api_server: Any) -> Any:
    """Return `scopedcache_api_server`."""
    return scopedcache_api_server


@pytest.fixture
def as_user(scopedcache_as_user: Any) -> Any:
    """Return `scopedcache_as_user`."""
    return scopedcache_as_user


@pytest.fixture
def grants(scopedcache_grants: Any) -> Any:
    """Return `scopedcache_grants`."""
    return scopedcache_grants


@pytest.fixture
def grant(scopedcache_grant: Any) -> Any:
    """Return `scopedcache_grant`."""
    return scopedcache_grant


@pytest.fixture
def revoke(scopedcache_revoke: Any) -> Any:
    """Return `scopedcache_revoke`."""
    return scopedcache_revoke


@pytest.fixture
def clock(scopedcache_clock: Any) -> Any:
    """Return `scopedcache_clock`."""
    return scopedcache_clock


@pytest.fixture
def twice(scopedcache_twice: Any) -> Any:
    """Return `scopedcache_twice`."""
    return scopedcache_twice
