"""Who hears of changed verdicts: one listener, at once, and whoever waits for the next change."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

import attrs

from ..api.permission import Permission
from ..event_logger import event_logger
from .verdict import Verdict, VerdictState

logger: Final = event_logger("scopedcache.access")


# Changes that are remembered, for a page to show.
REMEMBERED_CHANGES: Final = 100


@attrs.frozen
class VerdictChange:
    """One change, in the monitor's seconds."""

    at: float
    permission: Permission
    before: VerdictState
    state: VerdictState


class Listener(Protocol):
    """Hears of changed verdicts."""

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        """Act on it, synchronously: what is lost must be closed before this returns.

        `before` is the state that it is in where somebody awaited a "yes" that changes nothing.
        """

    def attempt_mode_changed(self, attempting: bool) -> None:
        """Shorten, or restore, the life of watches: where reviews are refused, only a new watch is authorised anew."""


class ChangeNotifier:
    """Logs a change, tells the listener, then wakes everybody who waits."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.recent: deque[VerdictChange] = deque(maxlen=REMEMBERED_CHANGES)  # the newest last
        self._next_change = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next change."""
        await self._next_change.wait()

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        """Tell of a verdict; what the listener raises is logged: the answer that told us is somebody else's."""
        permission = verdict.permission
        if verdict.state != before:
            self.recent.append(VerdictChange(verdict.since, permission, before, verdict.state))
        logger.debug(
            "verdict.changed",
            extra={
                "verb": permission.verb, "resource": permission.subject, "namespace": permission.namespace,
                "state": verdict.state, "before": before,
            },
        )  # fmt: skip
        if self.listener is not None:
            try:
                self.listener.verdict_changed(verdict, before)
            except Exception as error:
                logger.error("listener.failed", extra={"permission": str(permission)}, exc_info=error)
        self.wake()

    def attempt_mode_changed(self, attempting: bool, bound: float) -> None:
        """Tell that attempt mode began, or ended; who waits for a review to speak must attempt by itself now."""
        logger.warning("attempt_mode.changed", extra={"attempting": attempting, "bound": round(bound, 1)})
        if self.listener is not None:
            self.listener.attempt_mode_changed(attempting)
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        change, self._next_change = self._next_change, asyncio.Event()
        change.set()
