"""Background work with a parent, and pauses that grow."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.backoff import Backoff
from scopedcache.event_logger import event_of
from scopedcache.supervisor import QUIET, Supervisor
from tests.unit.clock import after, idle, now

# -- pauses ----------------------------------------------------------------------------------------------------------


def test_pauses_grow_to_a_cap_and_begin_small_after_a_reset():
    pauses = Backoff(base=1, factor=2, cap=10, jitter=0)
    grown = [pauses.next() for _ in range(6)]
    pauses.reset()
    assert (grown, pauses.next()) == ([1, 2, 4, 8, 10, 10], 1)


@given(st.integers(0, 70), st.floats(0, 1))
def test_a_pause_is_never_over_its_cap_and_jitter(tries, luck):
    pauses = Backoff(base=0.8, factor=2, cap=30, jitter=0.5, chance=lambda: luck)
    for _ in range(tries):
        pauses.next()
    assert 0.8 <= pauses.next() <= 45


# -- tasks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def supervisor():
    made = Supervisor("test")
    yield made
    await made.close()


class Work:
    """Fails as long as `trouble` says; `runs` are the times it was started at."""

    def __init__(self, *lasts):
        self.runs = []
        self.lasts = list(lasts)

    async def __call__(self):
        self.runs.append(now())
        if self.lasts:
            await asyncio.sleep(self.lasts.pop(0))
            raise RuntimeError("broken")


def gaps(times):
    return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]


async def test_work_that_fails_is_reported_told_and_started_again_after_a_growing_pause(supervisor, caplog):
    told: list[Exception] = []
    work = Work(0, 0, 0)
    await supervisor.start_guarded("work", work, on_failure=told.append)
    assert [type(error) for error in told] == [RuntimeError] * 3
    assert [event_of(record) for record in caplog.records] == ["task.failed"] * 3
    first, second, third = gaps(work.runs)
    assert 0.8 <= first <= 1.2 < 1.6 <= second <= 2.4 < 3.2 <= third <= 4.8


async def test_work_that_went_well_for_long_begins_with_the_smallest_pause_again(supervisor):
    work = Work(0, 0, 0, QUIET + 1)
    await supervisor.start_guarded("work", work)
    assert gaps(work.runs)[-1] <= QUIET + 2.2


async def test_trouble_while_telling_of_a_failure_does_not_end_the_guard(supervisor, caplog):
    work = Work(0)
    await supervisor.start_guarded("work", work, on_failure=lambda error: 1 / 0)
    assert len(work.runs) == 2
    assert [event_of(record) for record in caplog.records] == ["task.failed"] * 2


async def test_work_that_ends_is_not_started_again(supervisor):
    work = Work()
    await supervisor.start_guarded("work", work)
    await after(1000)
    assert (len(work.runs), len(supervisor)) == (1, 0)


async def test_a_task_that_fails_without_a_guard_is_reported(supervisor, caplog):
    supervisor.start("once", Work(0)())
    await idle()
    assert [event_of(record) for record in caplog.records] == ["task.failed"]


async def test_a_quiet_task_leaves_its_error_to_whoever_awaits_it(supervisor, caplog):
    task = supervisor.start("once", Work(0)(), quiet=True)
    with pytest.raises(RuntimeError, match="broken"):
        await task
    supervisor.start("nobody waits", Work(0)(), quiet=True)
    await idle()
    assert caplog.records == []


async def test_close_waits_until_every_task_is_gone(supervisor):
    ended = []

    async def slow_to_leave():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(5)
            ended.append(now())

    for name in "ab":
        supervisor.start(name, slow_to_leave())
    await idle()
    started = now()
    await supervisor.close()
    await supervisor.close()
    assert ended == [started + 5] * 2
    assert len(supervisor) == 0


async def test_a_task_may_close_its_own_supervisor(supervisor):
    done = []

    async def end_all():
        await supervisor.close()
        done.append(True)

    other = supervisor.start("other", asyncio.sleep(1000))
    await supervisor.start("closer", end_all())
    assert (done, other.cancelled()) == ([True], True)


async def test_nothing_starts_after_the_end(supervisor):
    await supervisor.close()
    with pytest.raises(RuntimeError, match="test is closed"):
        supervisor.start("late", asyncio.sleep(0))


async def test_cancelling_guarded_work_ends_it(supervisor):
    work = Work(1000)
    task = supervisor.start_guarded("work", work)
    await idle()
    task.cancel()
    await after(100)
    assert (task.cancelled(), len(work.runs), repr(supervisor)) == (True, 1, "<Supervisor test tasks=0>")
