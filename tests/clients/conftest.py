"""The HTTP door, for clients that other people wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scopedcache.testing import EmbeddedCluster


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    """Yield a cluster with its door open."""
    with EmbeddedCluster.start(http=True, users=("alice",)) as running:
        yield running
