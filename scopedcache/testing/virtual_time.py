"""A loop with virtual time: a pause costs nothing, lasts exactly as long as asked for, and `idle()` ends between two.

`run(main())` runs a test on it; ten seconds of probing cost a millisecond. Time moves only when nothing else is left
to do. A test may therefore say "after 75 seconds" and mean it, and may say "when everybody waits" instead of guessing
how many turns of the loop that takes.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Real seconds after which a loop that waits for nothing but a thread is taken for stuck.
STUCK_SECONDS: Final = 10.0
# Real seconds that what runs in a thread gets before virtual time moves; who waits there for virtual time loses them.
THREAD_SECONDS: Final = 0.2
# Virtual time at which a loop that only ever waits for its own timers is taken for stuck: about a day.
NEVER_SECONDS: Final = 100_000.0
# Seconds of this thread's work at one moment of virtual time after which whoever works is taken for somebody who never
# waits. A thousand custom resources that are reconciled in one instant take about three.
BUSY_SECONDS: Final = 60.0


class _JumpingSelector(selectors.SelectSelector):
    """Moves the clock to the next timer as soon as nothing else is left to do."""

    def __init__(self, start: float, busy_seconds: float) -> None:
        super().__init__()
        self.now = start
        self._busy_seconds = busy_seconds
        self.idlers: list[asyncio.Future[None]] = []
        self.travellers: list[asyncio.Future[bool]] = []
        # By what runs in a thread for the loop: until when (the machine's time) it is waited for before time moves.
        self.threads: dict[object, float] = {}
        self._since = time.thread_time()
        # Whether something has happened while travellers waited, and time did not move: a thread has ended, or another
        # has gone on who waited for everybody to wait. They look again then.
        self._looked_away = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            self._check_busy()
            return self._noted(events)
        if self.idlers:
            idlers, self.idlers = self.idlers, []
            self._looked_away = self._looked_away or bool(self.travellers)
            _wake(idlers, None)
            return []
        if self._looked_away:
            self._wake_travellers(moved=False)
            return []
        if timeout is None:
            events = super().select(STUCK_SECONDS)
            if events:
                return self._noted(events)
        elif self.now < NEVER_SECONDS:
            events = self._wait_for_threads()
            if events:
                return self._noted(events)
            self.now += timeout
            self._since = time.thread_time()
            self._wake_travellers(moved=True)
            return []
        raise RuntimeError("the test waits for something that never happens")

    def _noted(self, events: list[tuple[selectors.SelectorKey, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        self._looked_away = self._looked_away or bool(events and self.travellers)
        return events

    def _wake_travellers(self, *, moved: bool) -> None:
        self._looked_away = False
        travellers, self.travellers = self.travellers, []
        _wake(travellers, moved)

    def _wait_for_threads(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Give threads a while of the machine's time: an hour of the loop's would be over before they have begun."""
        patience = max(self.threads.values(), default=0.0) - time.monotonic()
        return super().select(patience) if patience > 0 else []

    def _check_busy(self) -> None:
        if time.thread_time() - self._since > self._busy_seconds:
            self._since = time.thread_time()  # so that cleaning up is still possible
            raise RuntimeError(f"{self._busy_seconds:g} s of work and no virtual time has passed: somebody never waits")


def _wake(waiting: list[asyncio.Future[T]], answer: T) -> None:
    for one in waiting:
        if not one.done():
            one.set_result(answer)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop of a test in virtual time, which begins at `start`.

    Who works for `busy_seconds` of this thread's time at one moment is taken for somebody who never waits.
    """

    def __init__(self, start: float = 1000.0, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.jumping = _JumpingSelector(start, busy_seconds)
        self._born = datetime.now(UTC) - timedelta(seconds=start)
        self._suspended = 0.0
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now

    def wall_time(self) -> datetime:
        """Return the date: that of the machine when the loop was made, and the virtual time that has passed since.

        What the library stamps (conditions, Leases, Events) carries it.
        """
        return self._born + timedelta(seconds=self.jumping.now)

    def boot_time(self) -> float:
        """Return the virtual time, and what the machine was suspended for."""
        return self.jumping.now + self._suspended

    def suspend(self, seconds: float) -> None:
        """Suspend the machine: no timer of the loop sees that time, and clocks that count suspension do."""
        self._suspended += seconds
        self._born += timedelta(seconds=seconds)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run a function in a thread; time does not move on before it had a while of the machine's."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self.jumping.threads[future] = time.monotonic() + THREAD_SECONDS
        future.add_done_callback(lambda done: self.jumping.threads.pop(done, None))
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for threads without a limit: since Python 3.12 there is one, and here it would be over at once."""
        await super().shutdown_default_executor()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a new loop with virtual time, and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def suspend(seconds: float) -> None:
    """Suspend the machine: no timer sees that time, and clocks that count suspension do."""
    _virtual().suspend(seconds)


async def idle() -> None:
    """Wait until every other task waits for a timer or for the test; no time passes."""
    await _turn(_virtual().jumping.idlers)


async def moment(until: float) -> None:
    """Wait until something has happened, then until everybody waits; no later than at the time `until`.

    That is when something is due again, or, without a step of time, when a thread has ended, or somebody else has gone
    on who waited for that everybody waits, too.
    """
    loop = _virtual()
    limit = loop.call_at(until, _nothing)
    try:
        moved = await _turn(loop.jumping.travellers)
    finally:
        limit.cancel()
    if moved:  # else everybody waits already; to wait for that again would wake other travellers for nothing
        await idle()


async def after(seconds: float) -> None:
    """Let time pass, and then everything that is due come to rest."""
    await asyncio.sleep(seconds)
    await idle()


def loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return what the hook `pytest_asyncio_loop_factories` of a folder in virtual time answers."""
    return {"virtual": VirtualTimeLoop}


def _virtual() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise RuntimeError("this loop has ordinary time: run the test with `virtual_time.run`")
    return loop


async def _turn(queue: list[asyncio.Future[T]]) -> T:
    woken: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    queue.append(woken)
    return await woken


def _nothing() -> None:
    """Be a timer."""
