"""Something that holds the loop is noticed while it does, and named."""

import asyncio
import logging
import threading

import pytest

from scopedcache.controller.manager.loop_watchdog import LoopWatchdog
from scopedcache.event_logger import event_of
from scopedcache.metrics import LOOP_BLOCKED, LOOP_LAG, Counters
from scopedcache.testing import eventually

real = pytest.mark.asyncio(loop_factories=["real"])


class Notice(logging.Handler):
    """Sets an event when the loop is said to be blocked."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.noticed = threading.Event()

    def emit(self, record):
        if event_of(record) == "loop.blocked":
            self.records.append(record)
            self.noticed.set()


@pytest.fixture
def notice():
    handler = Notice()
    logger = logging.getLogger("scopedcache.controller")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def blocks_the_loop(notice):
    notice.noticed.wait()  # as `time.sleep` would


@real
async def test_a_coroutine_that_blocks_is_named_while_it_does(notice):
    counters = Counters()
    async with LoopWatchdog(counters, look=0.05):
        await blocks_the_loop(notice)
        await eventually(lambda: counters.value(LOOP_BLOCKED))

    (record,) = notice.records
    assert record.function == "blocks_the_loop"
    assert record.at.startswith(f"{__file__}:")
    assert "notice.noticed.wait()" in record.line
    assert counters.value(LOOP_BLOCKED) == 1


@real
async def test_the_lag_of_each_beat_is_counted():
    counters = Counters()
    async with LoopWatchdog(counters):
        pass

    (lag,) = counters.distributions()
    assert (lag.name, lag.count) == (LOOP_LAG, 1)


@real
async def test_nothing_is_left_of_it():
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with LoopWatchdog(Counters()):
        assert len(set(threading.enumerate()) - threads) == 1

    assert (asyncio.all_tasks(), set(threading.enumerate())) == (tasks, threads)
