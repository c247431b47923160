"""Notices that something holds the event loop, and names it: `time.sleep` in a coroutine stops every watch and probe.

The loop beats several times a second; each beat tells how late it was. A thread looks on, and when no beat comes for
too long it says where the loop's thread is: in which function of whose file. It says so once for each blockage.
"""

from __future__ import annotations

import asyncio
import sys
import sysconfig
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Final

from ...event_logger import event_logger
from ...metrics import LOOP_BLOCKED, LOOP_LAG, Instrumentation

logger: Final = event_logger("scopedcache.controller")

BEAT_SECONDS: Final = 0.25
# No beat between three looks of the thread, a second: no list is decoded for so long, for that is done in slices.
LOOK_SECONDS: Final = 0.5
LOOKS_WITHOUT_BEAT: Final = 2

# Whose code is not the author's: ours, Python's and that of what was installed.
_FOREIGN: Final = (
    str(Path(__file__).parents[2]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    "<",
)


class LoopWatchdog:
    """Beats on the running loop, and looks on from a thread; use it with `async with`."""

    def __init__(self, instrumentation: Instrumentation, *, look: float = LOOK_SECONDS) -> None:
        self._instrumentation = instrumentation
        self._look = look
        self._beats = 0
        self._noticed = 0  # by the thread
        self._counted = 0  # by the loop
        self._stop = threading.Event()
        self._handle: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> LoopWatchdog:
        loop = asyncio.get_running_loop()
        self._beat(loop, loop.time())
        watched = threading.get_ident()
        self._thread = threading.Thread(target=self._look_on, args=(watched,), name="loop-watchdog", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join()

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._beats += 1
        self._instrumentation.observe(LOOP_LAG, max(0.0, now - due))
        new = self._noticed - self._counted
        self._instrumentation.increment(LOOP_BLOCKED, new)
        self._counted += new
        due = now + BEAT_SECONDS
        self._handle = loop.call_at(due, self._beat, loop, due)

    def _look_on(self, watched: int) -> None:
        seen, looks = 0, 0
        while not self._stop.wait(self._look):
            looks = looks + 1 if seen == self._beats else 0
            seen = self._beats
            if looks == LOOKS_WITHOUT_BEAT:
                self._name(watched)

    def _name(self, watched: int) -> None:
        frame = sys._current_frames().get(watched)
        if frame is not None:
            self._noticed += 1
            logger.warning("loop.blocked", extra={"seconds": LOOKS_WITHOUT_BEAT * self._look, **place_of(frame)})


def place_of(frame: FrameType) -> dict[str, str]:
    """Return where a thread is: the innermost function of the author's, and what it called last."""
    steps = traceback.extract_stack(frame)
    own = [step for step in steps if not step.filename.startswith(_FOREIGN)]
    place = (own or steps)[-1]
    found = {"function": place.name, "at": f"{place.filename}:{place.lineno}"}
    return found | ({"line": place.line} if place.line else {})
