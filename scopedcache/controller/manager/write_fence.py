"""Keeps writes from being sent once this process does not lead: stands in the client's session, before each write.

What a left-behind thread does after leadership was lost, or a process that wakes after its Lease has expired, meets it
as well: it asks a clock that counts suspension, at the last moment before the transport. A write that is under way when
leadership ends is given up; whether the server has done it is then unknown, as with a lost connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final

from ...api.request_info import RequestInfo
from ...clock import boot_time
from ...errors import NotLeaderError
from .leader_fence import LeaderFence, is_fenced

_UNFENCED: Final[ContextVar[bool]] = ContextVar("scopedcache_unfenced", default=False)


@contextmanager
def unfenced() -> Iterator[None]:
    """Let the writes of this block, and of the tasks begun in it, pass: they are no leader's work."""
    token = _UNFENCED.set(True)
    try:
        yield
    finally:
        _UNFENCED.reset(token)


class WriteFence:
    """A fence in front of one client's writes; belongs to the running loop."""

    def __init__(self, *, timer: Callable[[], float] = boot_time) -> None:
        self._fence = LeaderFence()
        self._timer = timer
        self._limits: set[asyncio.Timeout] = set()  # of the writes under way

    def open_until(self, deadline: float) -> None:
        """Let writes pass before `deadline`, those under way too."""
        self._fence.open_until(deadline)
        self._reschedule()

    def close(self) -> None:
        """Let nothing pass any more, and give up what is under way."""
        self._fence.close()
        self._reschedule()

    @asynccontextmanager
    async def admit(self, info: RequestInfo) -> AsyncIterator[None]:
        """Let one write pass, for as long as leadership lasts.

        Raises:
            NotLeaderError: we do not lead, or not any more.
        """
        if _UNFENCED.get() or not is_fenced(info):
            yield
            return
        left = self._fence.seconds_left(self._timer())
        if left <= 0:
            raise NotLeaderError(f"may not {info.verb} {info.resource}: this process does not lead, or not for certain")
        limit = asyncio.timeout(left)
        try:
            async with limit:
                self._limits.add(limit)
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            words = "leadership ended before it was answered"
            raise NotLeaderError(f"gave up to {info.verb} {info.resource}: {words}") from error
        finally:
            self._limits.discard(limit)

    def _reschedule(self) -> None:
        left = max(0.0, self._fence.seconds_left(self._timer()))
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time() + left)

    def __repr__(self) -> str:
        left = self._fence.seconds_left(self._timer())
        return f"<WriteFence {f'open for {left:.1f} s' if left > 0 else 'closed'} under way={len(self._limits)}>"
