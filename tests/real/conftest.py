"""What the tests against the real control plane share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from scopedcache.testing import ControlPlane, MissingBinariesError
from scopedcache.testing.control_plane.node import MissingPartsError

_numbers = itertools.count(1)


@pytest.fixture
def new_namespace(control_plane: ControlPlane) -> Iterator[Callable[[], str]]:
    """Return a function that creates a namespace of its own; all are deleted after the test."""
    created: list[str] = []

    def create() -> str:
        name = f"test-{next(_numbers)}"
        control_plane.create_namespace(name)
        created.append(name)
        return name

    yield create
    for name in created:
        control_plane.delete_namespace(name)


@pytest.fixture
def namespace(new_namespace: Callable[[], str]) -> str:
    """Return a namespace that nobody else uses."""
    return new_namespace()


@pytest.fixture
def node_plane() -> Iterator[ControlPlane]:
    """Yield a control plane with a node, for this test alone.

    Skips where its parts are missing; fails there where the environment says `CI` and not `WITHOUT_NODE`.
    """
    try:
        running = ControlPlane.start(node=True)
    except (MissingBinariesError, MissingPartsError) as missing:
        if os.environ.get("CI") and not os.environ.get("WITHOUT_NODE"):
            pytest.fail(f"CI is set, WITHOUT_NODE is not, and {missing}", pytrace=False)
        pytest.skip(str(missing))
    with running:
        yield running
