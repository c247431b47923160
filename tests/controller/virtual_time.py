"""Virtual time for these tests; one that names its loop gets the real one too."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.clock import VirtualTimeLoop


def from_zero() -> VirtualTimeLoop:
    """Return a loop whose time is the time since the test began."""
    return VirtualTimeLoop(0.0)


def loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return virtual time, and the real loop too for a test that names its loop."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"virtual": from_zero, "real": asyncio.new_event_loop}
    return {"virtual": from_zero}
