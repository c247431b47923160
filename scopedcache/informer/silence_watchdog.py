"""When a silent connection counts as dead, and how old what is read may be: one clock for both.

A watch that is alive says something about once a minute, if only a BOOKMARK. One that is silent for longer is cut by
the transport, which is told so when it is opened, and opened again at the version it had come to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..api.transport import IDLE_TIMEOUT_SECONDS


class SilenceWatchdog:
    """Knows when the server was last heard. `timer` returns seconds."""

    def __init__(self, timer: Callable[[], float], *, idle_timeout: float = IDLE_TIMEOUT_SECONDS) -> None:
        self.idle_timeout: Final = idle_timeout
        self._timer = timer
        self._heard = timer()

    def heard(self) -> None:
        """The server accepted a watch, sent a page of a list, or whole lines of a watch."""
        self._heard = self._timer()

    @property
    def age(self) -> float:
        """Return the seconds since the server was last heard: what is read may be that old."""
        return self._timer() - self._heard
