"""Looks at a cache while somebody looks at the page, and tells the viewers what is new.

All viewers share one look a second, made in slices: a page that is open must not delay a watch. A viewer who does not
read fast enough is let go; its browser comes back by itself, and begins with everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from ....api.watch.pace import Pace
from ....cache.live_view import LiveView, worse
from ....clock import loop_time
from ....supervisor import Supervisor
from .page_state import PageState, Rows

TICK_SECONDS: Final = 1.0
# News that wait for a viewer who does not read.
UNREAD_AT_MOST: Final = 30
ROWS_PER_CHECKPOINT: Final = 64
VIEWERS_AT_MOST: Final = 16

Message = tuple[str, bytes]


class TooManyViewersError(Exception):
    """The page is open often enough."""


class RightsFeed:
    """What the viewers of the page hear; use it with `async with`."""

    def __init__(self, view: LiveView, *, tick: float = TICK_SECONDS) -> None:
        self._view = view
        self._tick = tick
        self._state = PageState()
        self._viewers: set[asyncio.Queue[Message | None]] = set()
        self._supervisor = Supervisor("rights-page")
        self._task: asyncio.Task[Any] | None = None
        self._events: dict[str, tuple[float, int]] = {}  # of each informer: when they were counted, and how many

    async def __aenter__(self) -> RightsFeed:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()
        await self._supervisor.close()

    def end(self) -> None:
        """Let every viewer go."""
        for viewer in self._viewers:
            _end(viewer)

    @asynccontextmanager
    async def viewer(self) -> AsyncIterator[asyncio.Queue[Message | None]]:
        """Yield what one viewer is to be told, everything first; None ends it.

        Raises:
            TooManyViewersError: there are enough of them.
        """
        if len(self._viewers) >= VIEWERS_AT_MOST:
            raise TooManyViewersError(f"{VIEWERS_AT_MOST} viewers are there already")
        queue: asyncio.Queue[Message | None] = asyncio.Queue(UNREAD_AT_MOST)
        first = not self._viewers
        if first:
            await self._look()
        queue.put_nowait(("full", msgspec.json.encode(self._state.sections)))
        self._viewers.add(queue)
        if self._task is None:
            self._task = self._supervisor.start_guarded("look", self._run)
        try:
            yield queue
        finally:
            self._viewers.discard(queue)
            if not self._viewers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._tick)
            news = await self._look()
            if news:
                self._tell(("news", msgspec.json.encode(news)))

    def _tell(self, message: Message) -> None:
        for viewer in list(self._viewers):
            if viewer.full():
                self._viewers.discard(viewer)
                _end(viewer)
            else:
                viewer.put_nowait(message)

    async def _look(self) -> dict[str, Rows]:
        looked = {
            "rights": await self._rights(),
            "informers": await self._informers(),
            "owners": await _rows(self._view.owners()),
            "changes": {"last": list(self._view.changes())},
            "summary": dict(self._view.summary()),
        }
        news = {section: self._state.update(section, rows) for section, rows in looked.items()}
        return {section: rows for section, rows in news.items() if rows}

    async def _rights(self) -> Rows:
        found: Rows = {}
        pace = Pace()
        for number, (namespace, right, row) in enumerate(self._view.rights()):
            if number % ROWS_PER_CHECKPOINT == 0:
                await pace.checkpoint()
            cells = found.setdefault(namespace, {})
            cells[right] = worse(cells[right], row) if right in cells else row
        return found

    async def _informers(self) -> Rows:
        rows = await _rows(self._view.informers())
        now, before = loop_time(), self._events
        self._events = {}
        for key, row in rows.items():
            count = row.pop("events")
            at, counted = before.get(key, (now, count))
            row["rate"] = round((count - counted) / (now - at), 1) if now > at else 0.0
            self._events[key] = (now, count)
        return rows


async def _rows(rows: Iterator[tuple[str, Any]]) -> Rows:
    found: Rows = {}
    pace = Pace()
    for number, (key, row) in enumerate(rows):
        if number % ROWS_PER_CHECKPOINT == 0:
            await pace.checkpoint()
        found[key] = row
    return found


def _end(viewer: asyncio.Queue[Message | None]) -> None:
    while not viewer.empty():
        viewer.get_nowait()
    viewer.put_nowait(None)
