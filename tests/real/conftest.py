"""What the tests against the real control plane share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from scopedcache.testing import ControlPlane

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
