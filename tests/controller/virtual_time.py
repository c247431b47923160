"""A loop whose pauses cost nothing and last exactly as long as asked for."""

import asyncio
import selectors
from collections.abc import Callable, Mapping

import pytest


class _JumpingSelector(selectors.SelectSelector):
    """Moves the clock to the next timer as soon as nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is not None:
            self.now += timeout
            return []
        events = super().select(10)  # no timer either: only a thread can wake us
        if not events:
            raise RuntimeError("the test waits for something that never happens")
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return virtual time, and the real loop too for a test that names its loop."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"virtual": VirtualTimeLoop, "real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}
