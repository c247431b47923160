"""Which loops the tests of a folder run on: virtual time, and the real one too for a test that names its loop."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from scopedcache.testing.virtual_time import VirtualTimeLoop


def from_zero() -> VirtualTimeLoop:
    """Return a loop whose time begins at nought: delays can be compared with it as they are."""
    return VirtualTimeLoop(0.0)


def loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return virtual time, and the real loop too for a test that names its loop."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"virtual": from_zero, "real": asyncio.new_event_loop}
    return {"virtual": from_zero}
